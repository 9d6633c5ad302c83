import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0013_right_to_emit"),
    ]

    operations = [
        migrations.CreateModel(
            name="CallRate",
            fields=[
                (
                    "dependency",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="workflows.dependency",
                    ),
                ),
                ("next_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="CallSlot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("lease", models.UUIDField(null=True, unique=True)),
                ("holder", models.CharField(blank=True, max_length=200)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "waiting"), ("waiting_reason", "capacity")),
                fields=["waiting_on", "id"],
                name="run_awaits_capacity",
            ),
        ),
        migrations.AddField(
            model_name="callslot",
            name="dependency",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="workflows.dependency",
            ),
        ),
        migrations.AddConstraint(
            model_name="callslot",
            constraint=models.UniqueConstraint(fields=("dependency", "number"), name="slot_once"),
        ),
    ]
