"""What people do to runs: one dialog a command, which says what will happen, asks why, and does it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from portal.core.access import may
from portal.core.actor import Actor, actor_of
from portal.core.correlation import correlated
from portal.core.errors import Conflict, InvalidInput, NotFound, StaleVersion
from portal.core.htmx import go_to, render_page
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows import services
from workflows.dialogs import Subject, words_for
from workflows.forms import REASONS, CommandForm, DecideForm, OutputForm, RollBackForm, StepCommandForm
from workflows.models import Run
from workflows.queries import access_run
from workflows.queries.approvals import open_request
from workflows.queries.run_page import changes_since, declared_steps, latest_output_fields, step_rows
from workflows.services import available_commands, preview_rollback, why_not_retried

View = Callable[[HttpRequest, UUID], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a page offers it: ``service`` does it, with the fields that it ``takes``."""

    name: str
    permission: Permission
    form: type[CommandForm]
    service: Callable[..., Run]
    told: str
    takes: tuple[str, ...] = ()

    def do(self, actor: Actor, run: Run, values: Mapping[str, Any]) -> Run:
        """Do it with what the form holds; what was left empty is None."""
        taken = {name: None if values.get(name) == "" else values.get(name) for name in self.takes}
        reason, version = values["reason"], values["expected_version"]
        return self.service(actor=actor, run_id=run.pk, reason=reason, expected_version=version, **taken)


_P = Permission
COMMANDS = (
    Command("approve", _P.APPROVE_STEP, CommandForm, services.approve_step, "It is approved; the run goes on."),
    Command("reject", _P.APPROVE_STEP, CommandForm, services.reject_step, "It is rejected."),
    Command("resume", _P.RESUME_RUN, CommandForm, services.resume_run, "The run goes on."),
    Command("pause", _P.PAUSE_RUN, CommandForm, services.pause_run, "The run is being paused."),
    Command("cancel", _P.CANCEL_RUN, CommandForm, services.cancel_run, "The run is being cancelled."),
    Command(
        "retry",
        _P.RETRY_STEP,
        StepCommandForm,
        services.retry_from_step,
        "The run starts again from this step.",
        ("step",),
    ),
    Command(
        "skip",
        _P.SKIP_STEP,
        OutputForm,
        services.skip_step,
        "The step is skipped; the run goes on.",
        ("step", "output"),
    ),
    Command(
        "rollback",
        _P.ROLL_BACK_RUN,
        RollBackForm,
        services.roll_back_run,
        "The rollback has started.",
        ("to_step",),
    ),
    Command(
        "decide",
        _P.DECIDE_STEP,
        DecideForm,
        services.decide_step,
        "It is decided; the run goes on.",
        ("step", "happened", "output"),
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command, who asks for it, and of which run."""

    command: Command
    request: HttpRequest
    actor: Actor
    run: Run


def command_view(command: Command) -> View:
    """Return the view of a command: GET shows its dialog, POST does it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(command.permission)
    def view(request: HttpRequest, run_id: UUID) -> HttpResponse:
        actor = actor_of(request)
        run = access_run(actor, run_id, permission=command.permission)
        asked = Asked(command, request, actor, run)
        if request.method == "POST":
            return _do(asked, command.form(request.POST))
        place = {"step": request.GET.get("step", run.current_step), "to_step": request.GET.get("to_step", "")}
        return _dialog(asked, command.form(initial={"expected_version": run.event_count, **place}))

    return view


def _do(asked: Asked, form: CommandForm) -> HttpResponse:
    subject = _subject(asked.run, form)
    if not form.is_valid():
        return _dialog(asked, form, subject, status=422)
    token = form.cleaned_data["token"]
    try:
        # The form's token names this request in the audit trail, by which a repeat of it is known.
        with correlated(token):
            asked.command.do(asked.actor, asked.run, form.cleaned_data)
    except InvalidInput as exc:
        _add_problems(form, exc)
        return _dialog(asked, form, subject, status=422)
    except Conflict as exc:
        if not _entry_of(asked.run, token):
            return _conflict(asked, exc, form.cleaned_data["expected_version"])
    return _done(asked, token)


def _conflict(asked: Asked, problem: Conflict, seen: int) -> HttpResponse:
    """Show the dialog again, with what changed and what was typed; a second yes counts for the new state."""
    data = asked.request.POST.copy()
    fresh = access_run(asked.actor, asked.run.pk, permission=asked.command.permission)
    data["expected_version"] = str(fresh.event_count)
    is_stale = isinstance(problem, StaleVersion)
    return _dialog(
        replace(asked, run=fresh),
        asked.command.form(data),
        status=409,
        problem=problem,
        is_stale=is_stale,
        changes=changes_since(fresh, seen) if is_stale else [],
    )


def _done(asked: Asked, token: str) -> HttpResponse:
    entry, told = _entry_of(asked.run, token), asked.command.told
    if entry and may(asked.actor, Permission.VIEW_AUDIT):
        link = reverse("audit-entry", args=[entry.pk])
        told = format_html('{} <a href="{}">Audit entry {}</a>', told, link, entry.sequence)
    messages.success(asked.request, told)
    return go_to(asked.request, reverse("run-detail", args=[asked.run.pk]))


def _dialog(
    asked: Asked, form: CommandForm, subject: Subject | None = None, *, status: int = 200, **context: object
) -> HttpResponse:
    run, name = asked.run, asked.command.name
    subject = subject or _subject(run, form)
    commands = available_commands(asked.actor, run, subject.rows.values())
    hindrances = list(next(command.unmet for command in commands if command.name == name))
    if name == "retry" and (problem := why_not_retried(run, dict(subject.rows), subject.step)):
        hindrances.append(problem.rstrip("."))
    if name == "rollback":
        context["preview"] = preview_rollback(actor=asked.actor, run_id=run.pk, to_step=subject.step or None)
    context |= {
        "run": run,
        "words": words_for(name, subject),
        "hindrances": hindrances,
        "form": form,
        "reasons": REASONS[name],
        "action": reverse(f"run-{name}", args=[run.pk]),
    }
    page, fragment = "workflows/run_command.html", "workflows/_run_command.html"
    return render_page(asked.request, page, fragment, context, status=status)


def _subject(run: Run, form: CommandForm) -> Subject:
    """Return what the form is about.

    :raises NotFound: if it names a step that the workflow does not have, or none where it must.
    """
    definition, rows = declared_steps(run), step_rows(run)
    field = next((name for name in ("step", "to_step") if name in form.fields), "")
    step = str(form[field].value() or "") if field else ""
    if (step or field == "step") and step not in {each["name"] for each in definition["steps"]}:
        raise NotFound("This workflow has no such step.")
    asked = open_request(run)
    subject = Subject(run, definition, rows, step, asked.question if asked else "")
    if isinstance(form, RollBackForm):
        form.offer([(s["name"], s["title"]) for s in subject.done_steps()])
    if isinstance(form, OutputForm):
        form.describe_output(is_taken=bool(subject.takers()), known_fields=latest_output_fields(run, subject.step))
    return subject


def _add_problems(form: CommandForm, problem: InvalidInput) -> None:
    for name, found in problem.fields.items() or [("", [problem.message])]:
        for message in found:
            form.add_error(name if name in form.fields else None, message)


def _entry_of(run: Run, token: str) -> AuditEntry | None:
    return AuditEntry.objects.filter(object_type="run", object_id=str(run.pk), correlation_id=token).first()
