"""The API's addresses of completeness and contracts, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from workflows.events.pages import api

urlpatterns = [
    path("completeness/", api.CompletenessView.as_view(), name="api-completeness"),
    path("completeness/missed/", api.MissedList.as_view(), name="api-missed-list"),
    path("completeness/missed/<uuid:inbox_id>/send/", api.SendAgain.as_view(), name="api-missed-send"),
    path("completeness/missed/<uuid:inbox_id>/give-up/", api.GiveUp.as_view(), name="api-missed-give-up"),
    path("contracts/", api.ContractList.as_view(), name="api-contract-list"),
    path("contracts/<str:event>/", api.ContractDetail.as_view(), name="api-contract"),
]
