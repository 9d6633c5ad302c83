from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0014_call_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeptOutput",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workflow", models.SlugField(db_index=False, max_length=80)),
                ("step", models.CharField(max_length=80)),
                ("key", models.CharField(help_text="SHA-256 of what the output depends on", max_length=64)),
                ("output", models.JSONField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["workflow", "step", "at"], name="kept_output_age")],
                "constraints": [models.UniqueConstraint(fields=("workflow", "step", "key"), name="kept_output_once")],
            },
        ),
    ]
