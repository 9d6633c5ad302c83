"""Pages about the portal itself: help with the shortcuts, and the style page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.htmx import go_to, render_page
from portal.core.web import requires
from portal.web.samples import SampleReasonForm, style_samples


@require_safe
@requires()
def help_page(request: HttpRequest) -> HttpResponse:
    """Say how to get help, and which keys do what."""
    return render(request, "web/help.html")


@require_safe
@requires()
def style_page(request: HttpRequest) -> HttpResponse:
    """Show every component in every state: the reference for whoever builds a page."""
    return render(request, "web/style.html", style_samples())


@require_safe
@requires()
def style_clock(request: HttpRequest) -> HttpResponse:
    """The sample of a live region."""
    return render(request, "web/_style_clock.html")


@require_http_methods(["GET", "HEAD", "POST"])
@requires()
def style_dialog(request: HttpRequest) -> HttpResponse:
    """The sample of a danger dialog: the page, or for htmx what goes inside the dialog. Changes nothing."""
    form = SampleReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        messages.success(request, f"Rolled back, because “{form.cleaned_data['reason']}”.")
        return go_to(request, reverse("style"))
    status = 422 if form.is_bound else 200
    return render_page(request, "web/style_dialog.html", "web/_style_dialog.html", {"form": form}, status=status)
