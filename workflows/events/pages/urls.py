"""Pages of events: contracts and completeness."""

from __future__ import annotations

from django.urls import path

from workflows.events.pages import views

urlpatterns = [
    path("contracts/", views.contract_list_page, name="contract-list"),
    path("contracts/<str:name>/", views.contract_detail_page, name="contract"),
]
