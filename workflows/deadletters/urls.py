from __future__ import annotations

from django.urls import path

from workflows.deadletters import views

urlpatterns = [
    path("", views.dead_letters, name="dead-letter-list"),
    path("_overview/", views.overview_fragment, name="dead-letter-overview"),
    path("<uuid:letter_id>/", views.dead_letter, name="dead-letter"),
    *(
        path(f"<uuid:letter_id>/{command.name}/", views.command_view(command), name=f"dead-letter-{command.name}")
        for command in views.COMMANDS
    ),
]
