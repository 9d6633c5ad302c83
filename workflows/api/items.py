"""Reading the items of a step."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.db.models import QuerySet

from portal.core.api_views import CursorPages, GuardedList
from portal.core.permissions import Permission
from workflows.api.serializers import ItemSerializer
from workflows.filters import ItemFilter
from workflows.models import StepItem
from workflows.queries.items import ItemsShown, items_of


class ByIndex(CursorPages):
    """Items in the order of the list."""

    ordering = "index"


class ItemList(GuardedList):
    """The items of a step with `each`, in the order of the list. Of any other step there are none."""

    operation = "list_items"
    summary = "List the items of a step"
    required_permission = Permission.VIEW_RUN
    queryset = StepItem.objects.none()
    serializer_class = ItemSerializer
    pagination_class = ByIndex
    filterset_class = ItemFilter

    @cached_property
    def shown(self) -> ItemsShown:
        """The items, and what of them the caller may see."""
        return items_of(self.actor, self.kwargs["run_id"], self.kwargs["step"])

    def get_queryset(self) -> QuerySet[StepItem]:
        """Return what the caller may see."""
        return self.shown.items

    def get_serializer_context(self) -> dict[str, Any]:
        """Add what of the values the caller may see."""
        context = super().get_serializer_context()
        return context if getattr(self, "swagger_fake_view", False) else context | {"shown": self.shown}
