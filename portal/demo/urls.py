from __future__ import annotations

from django.urls import path

from portal.demo import views

urlpatterns = [
    path("sandbox/", views.sandbox, name="sandbox"),
    path("sandbox/services/<slug:slug>/", views.switch, name="sandbox-switch"),
    path("sandbox/twice/", views.twice, name="sandbox-twice"),
    path("sandbox/interrupt/", views.interrupt, name="sandbox-interrupt"),
    path("sandbox/kill/", views.kill, name="sandbox-kill"),
]
