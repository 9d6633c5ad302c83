from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0005_approval_right"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="team",
            options={
                "default_permissions": (),
                "ordering": ["slug"],
                "permissions": [
                    ("view_workflow", "May view workflow"),
                    ("view_run", "May view run"),
                    ("view_payload", "May view payload"),
                    ("start_run", "May start run"),
                    ("resume_run", "May resume run"),
                    ("retry_step", "May retry step"),
                    ("skip_step", "May skip step"),
                    ("decide_step", "May decide step"),
                    ("approve_step", "May approve step"),
                    ("pause_run", "May pause run"),
                    ("cancel_run", "May cancel run"),
                    ("roll_back_run", "May roll back run"),
                    ("replay_dead_letter", "May replay dead letter"),
                    ("edit_dead_letter", "May edit dead letter"),
                    ("discard_dead_letter", "May discard dead letter"),
                    ("operate_dependency", "May operate dependency"),
                    ("break_lock", "May break lock"),
                    ("pause_workflow", "May pause workflow"),
                    ("start_bulk_operation", "May start bulk operation"),
                    ("approve_bulk_operation", "May approve bulk operation"),
                    ("view_audit", "May view audit"),
                    ("export_audit", "May export audit"),
                    ("view_access", "May view access"),
                    ("manage_access", "May manage access"),
                    ("manage_own_tokens", "May manage own tokens"),
                    ("operate_sandbox", "May operate sandbox"),
                ],
            },
        ),
    ]
