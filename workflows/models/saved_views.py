"""Lists that people have given a name."""

from __future__ import annotations

from django.db import models

from portal.core.ids import uuid7
from portal.core.models import User


class SavedView(models.Model):
    """A named address of the runs list: its filters and columns. What each reader sees there is their own right."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.TextField(help_text="query string of the list, without a place in it")
    is_shared = models.BooleanField(default=False, help_text="everybody who may open the list sees it")
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name
