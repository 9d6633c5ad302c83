from __future__ import annotations

from django.urls import path

from workflows.locks import views
from workflows.locks.keys import LOCK_KEY

urlpatterns = [
    path("", views.locks, name="lock-list"),
    path(f"{LOCK_KEY}/break/", views.break_the_lock, name="lock-break"),
]
