"""Pages of bulk operations, below /bulk/."""

from __future__ import annotations

from django.urls import path

from workflows.bulk import views
from workflows.bulk.dialogs import HANDS, hand_view

urlpatterns = [
    path("", views.bulk_list, name="bulk-list"),
    path("new/", views.bulk_new, name="bulk-new"),
    path("<uuid:operation_id>/", views.bulk_detail, name="bulk-detail"),
    *(path(f"<uuid:operation_id>/{hand.name}/", hand_view(hand), name=f"bulk-{hand.name}") for hand in HANDS),
]
