"""The sandbox page: break the world outside, and watch that nothing is lost or done twice."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from portal.core.actor import actor_of
from portal.core.htmx import go_to, render_page, wants_fragment
from portal.core.permissions import Permission
from portal.core.web import requires
from portal.demo.queries.sandbox import sandbox_state
from portal.demo.services.experiments import kill_in_the_middle, send_twice, switch_service
from portal.demo.services.workers import kill_worker


@require_safe
@requires(Permission.OPERATE_SANDBOX)
def sandbox(request: HttpRequest) -> HttpResponse:
    """Show the services, their switches, the proof and the workers; for htmx only what changes."""
    context = {"sandbox": sandbox_state(key=request.GET.get("key", "").strip()[:200])}
    return render_page(request, "demo/sandbox.html", "demo/_sandbox.html", context)


@require_POST
@requires(Permission.OPERATE_SANDBOX)
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a service to another mode."""
    switch_service(actor=actor_of(request), slug=slug, mode=request.POST.get("mode", ""))
    if wants_fragment(request):
        return render_page(request, "demo/sandbox.html", "demo/_sandbox.html", {"sandbox": sandbox_state()})
    return go_to(request, reverse("sandbox"))


@require_POST
@requires(Permission.OPERATE_SANDBOX)
def twice(request: HttpRequest) -> HttpResponse:
    """Send one request twice, and say what came back."""
    first, second = send_twice(actor=actor_of(request))
    if first.run.pk == second.run.pk and first.created and not second.created:
        text = f"Two requests, one run: the first answer started {first.run.pk}, the second returned the same run."
        messages.success(request, text)
    else:
        messages.error(request, f"This should not be: {first.run.pk} and {second.run.pk}.")
    return go_to(request, reverse("run-detail", args=[first.run.pk]))


@require_POST
@requires(Permission.OPERATE_SANDBOX)
def interrupt(request: HttpRequest) -> HttpResponse:
    """Start a run, kill its worker in the middle of the payment, and go to the run."""
    run = kill_in_the_middle(actor=actor_of(request))
    if run is None:
        messages.warning(request, "No worker took the run up in time, so none was killed.")
        return go_to(request, reverse("sandbox"))
    messages.success(request, "Its worker was killed while the bank paid. Another takes over within 15 s.")
    return go_to(request, reverse("run-detail", args=[run.pk]))


@require_POST
@requires(Permission.OPERATE_SANDBOX)
def kill(request: HttpRequest) -> HttpResponse:
    """Kill a worker process, and go to the run that it held."""
    run = kill_worker(actor=actor_of(request), name=request.POST.get("worker", ""))
    if run is None:
        messages.success(request, "The worker was killed. It held no run; another process takes its place.")
        return go_to(request, reverse("sandbox"))
    messages.success(request, "The worker of this run was killed. Another takes the run over within 15 s.")
    return go_to(request, reverse("run-detail", args=[run.pk]))
