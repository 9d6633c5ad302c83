from django.db import migrations


class Migration(migrations.Migration):
    """Leave room on each page of runs: a checkpoint's update then stays on its page and touches no index."""

    dependencies = [("workflows", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE workflows_run SET (fillfactor = 70)",
            reverse_sql="ALTER TABLE workflows_run RESET (fillfactor)",
        )
    ]
