from __future__ import annotations

from django.urls import path

from workflows.schedules.views import COMMANDS, command_view, schedules

urlpatterns = [
    path("", schedules, name="schedule-list"),
    *(
        path(f"<slug:slug>/<slug:schedule>/{command.name}/", command_view(command), name=f"schedule-{command.name}")
        for command in COMMANDS
    ),
]
