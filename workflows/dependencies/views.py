"""The pages of dependencies, and the dialogs of what a person may do about a breaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.access import may
from portal.core.actor import Actor, actor_of
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.dependencies.breaker import Policy, State
from workflows.dependencies.forms import ForceForm, ResetForm
from workflows.dependencies.guard import WAKE_PER_SECOND
from workflows.dependencies.queries import (
    access_dependency,
    dependency_detail,
    dependency_list,
    waiting_runs,
)
from workflows.dependencies.services import force_breaker, reset_breaker
from workflows.models import Dependency

PERMISSION = Permission.OPERATE_DEPENDENCY


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def dependencies(request: HttpRequest) -> HttpResponse:
    """List all dependencies, the troubled ones first."""
    found = dependency_list(actor_of(request))
    troubled = [view for view in found if view.row.state != State.CLOSED]
    context = {"dependencies": found, "troubled": troubled, "waiting": sum(view.waiting for view in troubled)}
    return render_page(request, "dependencies/list.html", "dependencies/_list.html", context)


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def dependency(request: HttpRequest, name: str) -> HttpResponse:
    """Show one dependency: its breaker, its calls, who calls it, and its history."""
    actor = actor_of(request)
    detail = dependency_detail(actor, name)
    context = {"detail": detail, "dependency": detail.view, "may_operate": may(actor, PERMISSION)}
    return render_page(request, "dependencies/detail.html", "dependencies/_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(PERMISSION)
def hold_open(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the reason and the end, then stop all calls."""
    return _dialog(request, name, HOLD_OPEN)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(PERMISSION)
def hold_closed(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the reason and the end, then let all calls out."""
    return _dialog(request, name, HOLD_CLOSED)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(PERMISSION)
def reset(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the reason, then close the breaker."""
    return _dialog(request, name, RESET)


@dataclass(frozen=True, slots=True)
class Command:
    """What a dialog asks, says and does. ``effects`` and ``limits`` are told before, ``done`` after."""

    url_name: str
    form: type[ResetForm]
    title: str
    confirm: str
    done: str
    reasons: tuple[str, ...]
    effects: Callable[[Policy, int], list[str]]
    limits: tuple[str, ...]


def _runs(count: int) -> str:
    return "1 run waits" if count == 1 else f"{count} runs wait"


HOLD_OPEN = Command(
    url_name="dependency-hold-open",
    form=ForceForm,
    title="Stop all calls to {name}?",
    confirm="Stop all calls",
    done="No calls go out to {name} until the end that you set.",
    reasons=("The provider announced maintenance.", "It answers, but wrongly."),
    effects=lambda policy, waiting: [
        "From now on no worker calls it; runs that reach such a step wait and nothing fails.",
        f"{_runs(waiting)} on it now.",
        f"At the end up to {policy.probes} calls probe it. If they are answered well, the waiting runs go on.",
    ],
    limits=("Calls that are on their way are not interrupted.", "Runs that wait may miss the time they promise."),
)
HOLD_CLOSED = Command(
    url_name="dependency-hold-closed",
    form=ForceForm,
    title="Let all calls to {name} out?",
    confirm="Let all calls out",
    done="All calls go out to {name} until the end that you set.",
    reasons=("The breaker opens on failures that are harmless.", "The provider asked us to send all calls."),
    effects=lambda policy, waiting: [
        "From now on every call goes out, and the breaker does not open however many fail.",
        f"{_runs(waiting)} on it now and will go on, {WAKE_PER_SECOND:g} a second.",
        "At the end the breaker decides for itself again.",
    ],
    limits=("Steps whose calls fail use up their retries, and then their runs fail.",),
)
RESET = Command(
    url_name="dependency-reset",
    form=ResetForm,
    title="Close the breaker of {name}?",
    confirm="Close the breaker",
    done="The breaker of {name} is closed; runs that waited go on.",
    reasons=("The provider says that it is repaired.", "A call by hand was answered well."),
    effects=lambda policy, waiting: [
        "Calls go out again at once, without probes.",
        f"{_runs(waiting)} on it now and will go on, {WAKE_PER_SECOND:g} a second.",
        f"If it is not well, the breaker opens again after {policy.minimum_calls} calls.",
    ],
    limits=("Calls that fail until then use up retries of their steps.",),
)


def _dialog(request: HttpRequest, name: str, command: Command) -> HttpResponse:
    actor, row = actor_of(request), access_dependency(name)
    if request.method != "POST":
        return _show(request, actor, row, command, command.form(initial={"seen_since": row.state_since.isoformat()}))
    form = command.form(request.POST)
    status = 422
    if form.is_valid():
        try:
            _act(actor, name, form, command)
        except InvalidInput as exc:
            for field, problems in exc.fields.items():
                form.add_error(field if field in form.fields else None, problems)
        except Conflict as exc:
            # The next confirmation is about the state that is shown now.
            row, status = access_dependency(name), exc.http_status
            form.data = request.POST.dict() | {"seen_since": row.state_since.isoformat()}
            form.add_error(None, exc.message)
        else:
            messages.success(request, command.done.format(name=name))
            return HttpResponseRedirect(reverse("dependency-detail", args=[name]), status=303)
    return _show(request, actor, row, command, form, status=status)


def _act(actor: Actor, name: str, form: ResetForm, command: Command) -> None:
    reason, seen_since = form.cleaned_data["reason"], form.cleaned_data["seen_since"]
    if isinstance(form, ForceForm):
        state = State.FORCED_OPEN if command is HOLD_OPEN else State.FORCED_CLOSED
        force_breaker(actor=actor, name=name, state=state, reason=reason, until=form.until(), seen_since=seen_since)
    else:
        reset_breaker(actor=actor, name=name, reason=reason, seen_since=seen_since)


def _show(
    request: HttpRequest, actor: Actor, row: Dependency, command: Command, form: ResetForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "dependency": row,
        "form": form,
        "command": command,
        "title": command.title.format(name=row.name),
        "action": reverse(command.url_name, args=[row.name]),
        "effects": command.effects(Policy.of(row.settings), waiting_runs(actor, row.name)),
    }
    return render_page(request, "dependencies/dialog.html", "dependencies/_dialog.html", context, status=status)
