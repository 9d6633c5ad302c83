"""Pages of events: contracts and completeness."""

from __future__ import annotations

from django.urls import path

from workflows.events.pages import completeness, views

urlpatterns = [
    path("completeness/", completeness.completeness_page, name="completeness"),
    path("completeness/_summary/", completeness.summary_fragment, name="completeness-summary"),
    *(
        path(
            f"completeness/<uuid:inbox_id>/{command.name}/",
            completeness.command_view(command),
            name=f"missed-{command.name}",
        )
        for command in completeness.COMMANDS
    ),
    path("contracts/", views.contract_list_page, name="contract-list"),
    path("contracts/<str:name>/", views.contract_detail_page, name="contract"),
]
