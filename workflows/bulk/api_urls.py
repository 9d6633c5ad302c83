"""The API's addresses of bulk operations, below /api/v1/bulk-operations/."""

from __future__ import annotations

from django.urls import path

from workflows.bulk import api

_HANDS = {
    "pause": api.Pause,
    "continue": api.Continue,
    "stop": api.Stop,
    "approve": api.Approve,
    "reject": api.Reject,
}

urlpatterns = [
    path("", api.OperationList.as_view(), name="api-bulk-list"),
    path("<uuid:operation_id>/", api.OperationDetail.as_view(), name="api-bulk-detail"),
    path("<uuid:operation_id>/items/", api.OperationItems.as_view(), name="api-bulk-items"),
    *(path(f"<uuid:operation_id>/{name}/", v.as_view(), name=f"api-bulk-{name}") for name, v in _HANDS.items()),
]
