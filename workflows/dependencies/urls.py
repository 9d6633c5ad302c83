from __future__ import annotations

from django.urls import path

from workflows.dependencies import views

urlpatterns = [
    path("", views.dependencies, name="dependency-list"),
    path("<slug:name>/", views.dependency, name="dependency-detail"),
    path("<slug:name>/hold-open/", views.hold_open, name="dependency-hold-open"),
    path("<slug:name>/hold-closed/", views.hold_closed, name="dependency-hold-closed"),
    path("<slug:name>/reset/", views.reset, name="dependency-reset"),
]
