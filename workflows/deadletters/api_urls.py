"""The API's addresses of dead letters, below /api/v1/dead-letters/."""

from __future__ import annotations

from django.urls import path

from workflows.deadletters import api

urlpatterns = [
    path("", api.DeadLetterList.as_view(), name="api-dead-letter-list"),
    path("<uuid:letter_id>/", api.DeadLetterDetail.as_view(), name="api-dead-letter"),
    path("<uuid:letter_id>/replay/", api.Replay.as_view(), name="api-dead-letter-replay"),
    path("<uuid:letter_id>/edit-and-replay/", api.EditAndReplay.as_view(), name="api-dead-letter-edit"),
    path("<uuid:letter_id>/discard/", api.Discard.as_view(), name="api-dead-letter-discard"),
    path("<uuid:letter_id>/restore/", api.Restore.as_view(), name="api-dead-letter-restore"),
]
