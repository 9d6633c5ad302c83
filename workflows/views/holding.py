"""Dialogs that hold a workflow's new runs, and let them start again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from portal.core.actor import actor_of
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import render_page
from portal.core.permissions import Permission
from portal.core.services.reasons import MINIMUM_LENGTH
from portal.core.web import requires
from workflows.models import Workflow
from workflows.queries.workflow_page import access_workflow, held_runs
from workflows.services import pause_workflow, resume_workflow


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label="Reason",
        min_length=MINIMUM_LENGTH,
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text=f"At least {MINIMUM_LENGTH} characters. Kept in the audit trail with your name.",
        error_messages={
            "required": "Say why, for the people who read the audit trail.",
            "min_length": f"Say a little more: at least {MINIMUM_LENGTH} characters.",
        },
    )


@dataclass(frozen=True, slots=True)
class Command:
    """What a dialog asks, says and does."""

    url_name: str
    service: Callable[..., Workflow]
    title: str
    confirm: str
    done: str
    reasons: tuple[str, ...]
    effects: Callable[[int], list[str]]
    limits: tuple[str, ...]


def _new_runs(count: int) -> str:
    return "1 run that is held starts" if count == 1 else f"{count} runs that are held start"


HOLD = Command(
    url_name="workflow-pause",
    service=pause_workflow,
    title="Hold new runs of {title}?",
    confirm="Hold new runs",
    done="New runs of {title} are held.",
    reasons=("The last version does not work.", "Another system is under maintenance."),
    effects=lambda held: [
        "New runs are accepted, so nobody who starts one gets an error; but they do not start.",
        "They start, the oldest first, when you let them.",
    ],
    limits=("Runs that are under way go on. To stop one, pause it on its own page.",),
)
RELEASE = Command(
    url_name="workflow-resume",
    service=resume_workflow,
    title="Let new runs of {title} start?",
    confirm="Let them start",
    done="New runs of {title} start again.",
    reasons=("The cause is fixed.", "The maintenance is over."),
    effects=lambda held: [
        f"{_new_runs(held)} at once, the oldest first." if held else "No run is held at the moment."
    ],
    limits=("Many at once may be slow at first.",),
)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.PAUSE_WORKFLOW)
def workflow_pause(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the reason, then hold new runs."""
    return _dialog(request, slug, HOLD)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.PAUSE_WORKFLOW)
def workflow_resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the reason, then let new runs start."""
    return _dialog(request, slug, RELEASE)


def _dialog(request: HttpRequest, slug: str, command: Command) -> HttpResponse:
    actor = actor_of(request)
    workflow = access_workflow(actor, slug, permission=Permission.PAUSE_WORKFLOW)
    if request.method != "POST":
        return _show(request, workflow, command, ReasonForm())
    form, status = ReasonForm(request.POST), 422
    if form.is_valid():
        try:
            command.service(actor=actor, slug=slug, reason=form.cleaned_data["reason"])
        except InvalidInput as exc:
            form.add_error("reason", exc.fields.get("reason", [exc.message]))
        except Conflict as exc:
            form.add_error(None, exc.message)
            status = exc.http_status
        else:
            messages.success(request, command.done.format(title=workflow.title))
            return HttpResponseRedirect(reverse("workflow-detail", args=[slug]), status=303)
    return _show(request, workflow, command, form, status=status)


def _show(
    request: HttpRequest, workflow: Workflow, command: Command, form: ReasonForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "workflow": workflow,
        "form": form,
        "command": command,
        "title": command.title.format(title=workflow.title),
        "action": reverse(command.url_name, args=[workflow.slug]),
        "effects": command.effects(held_runs(workflow)),
    }
    page, fragment = "workflows/workflow_hold.html", "workflows/_workflow_hold.html"
    return render_page(request, page, fragment, context, status=status)
