import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Locks on what runs share, and the queue before each. Fencing tokens come from one sequence for all."""

    dependencies = [
        ("workflows", "0005_outbox_and_inbox"),
    ]

    operations = [
        migrations.RunSQL("CREATE SEQUENCE workflows_lock_token", reverse_sql="DROP SEQUENCE workflows_lock_token"),
        migrations.CreateModel(
            name="ResourceLock",
            fields=[
                ("key", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("step", models.CharField(blank=True, default="", max_length=80)),
                (
                    "token",
                    models.BigIntegerField(help_text="fencing token: grows with each time that any lock is taken"),
                ),
                ("since", models.DateTimeField(help_text="when it was taken, or given back")),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workflows.run",
                    ),
                ),
            ],
            options={
                "ordering": ["key"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LockTicket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("step", models.CharField(max_length=80)),
                ("queued_at", models.DateTimeField()),
                (
                    "run",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workflows.run",
                    ),
                ),
                (
                    "lock",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workflows.resourcelock",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="resourcelock",
            index=models.Index(condition=models.Q(("run__isnull", False)), fields=["run"], name="lock_holder"),
        ),
        migrations.AddIndex(
            model_name="resourcelock",
            index=models.Index(condition=models.Q(("run__isnull", True)), fields=["since"], name="lock_free"),
        ),
        migrations.AddIndex(
            model_name="lockticket",
            index=models.Index(fields=["lock", "id"], name="ticket_order"),
        ),
    ]
