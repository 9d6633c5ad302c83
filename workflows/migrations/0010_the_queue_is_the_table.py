from django.db import migrations, models


class Migration(migrations.Migration):
    """Workers take the oldest queued run of a queue from the table: an index that holds just those."""

    dependencies = [("workflows", "0009_schedules")]

    operations = [
        migrations.RemoveIndex(model_name="run", name="run_to_dispatch"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(
                    ("lease_owner", ""), ("status__in", ["queued", "rolling_back"]), ("wake_at__isnull", True)
                ),
                fields=["queue", "id"],
                name="run_queued",
            ),
        ),
    ]
