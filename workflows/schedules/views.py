"""The page of schedules, and the dialogs of what a person may do about one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.access import authorise
from portal.core.actor import Actor, actor_of
from portal.core.correlation import correlated
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.schedules import services
from workflows.schedules.forms import PauseForm, ScheduleForm, TimeForm
from workflows.schedules.queries import ScheduleView, access_schedule, schedule_list


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def schedules(request: HttpRequest) -> HttpResponse:
    """What runs next, what was missed, and what somebody has paused."""
    context = {"list": schedule_list(actor_of(request))}
    return render_page(request, "schedules/list.html", "schedules/_list.html", context)


@dataclass(frozen=True, slots=True)
class Command:
    """What a dialog asks, says and does."""

    name: str
    permission: Permission
    form: type[ScheduleForm]
    title: str
    confirm: str
    done: str
    effects: tuple[str, ...]
    reasons: tuple[str, ...]
    do: Callable[[Actor, ScheduleView, ScheduleForm], object]
    is_danger: bool = False


def _place(view: ScheduleView, form: ScheduleForm) -> dict[str, Any]:
    return {
        "workflow": view.row.workflow.slug,
        "name": view.row.name,
        "reason": form.cleaned_data["reason"],
    }


def _pause(actor: Actor, view: ScheduleView, form: ScheduleForm) -> object:
    until = form.until() if isinstance(form, PauseForm) else None
    return services.pause_schedule(actor=actor, until=until, **_place(view, form))


def _resume(actor: Actor, view: ScheduleView, form: ScheduleForm) -> object:
    return services.resume_schedule(actor=actor, **_place(view, form))


def _start(actor: Actor, view: ScheduleView, form: ScheduleForm) -> object:
    return services.start_schedule_now(actor=actor, token=form.cleaned_data["token"], **_place(view, form))


def _catch_up(actor: Actor, view: ScheduleView, form: ScheduleForm) -> object:
    return services.catch_up_time(actor=actor, due_at=form.cleaned_data["due_at"], **_place(view, form))


def _skip(actor: Actor, view: ScheduleView, form: ScheduleForm) -> object:
    return services.skip_time(actor=actor, due_at=form.cleaned_data["due_at"], **_place(view, form))


COMMANDS = (
    Command(
        name="pause",
        permission=Permission.PAUSE_WORKFLOW,
        form=PauseForm,
        title="Pause the schedule of {title}?",
        confirm="Pause the schedule",
        done="The schedule of {title} is paused.",
        effects=(
            "Nothing is started by this schedule until then; its times are passed over, and not caught up.",
            "Runs that are under way go on, and runs can still be started by hand.",
        ),
        reasons=("The other side announced maintenance.", "The figures must be corrected first."),
        do=_pause,
        is_danger=True,
    ),
    Command(
        name="resume",
        permission=Permission.PAUSE_WORKFLOW,
        form=ScheduleForm,
        title="Resume the schedule of {title}?",
        confirm="Resume the schedule",
        done="The schedule of {title} goes on with its next time.",
        effects=("It starts again with its next time. Times that were passed over are not caught up.",),
        reasons=("The maintenance is over.", "The figures are corrected."),
        do=_resume,
    ),
    Command(
        name="start",
        permission=Permission.START_RUN,
        form=ScheduleForm,
        title="Run {title} now?",
        confirm="Run it now",
        done="A run of {title} has started.",
        effects=("A run starts at once, with the input that the schedule makes for this moment.", "Its times stay."),
        reasons=("Needed before its next time.", "A run by hand after a correction."),
        do=_start,
    ),
    Command(
        name="catch-up",
        permission=Permission.START_RUN,
        form=TimeForm,
        title="Catch a missed time of {title} up?",
        confirm="Catch it up",
        done="The missed run of {title} has started.",
        effects=("A run starts at once, with the input that it would have had at its time.",),
        reasons=("The day still has to be closed.", "The dispatcher is back."),
        do=_catch_up,
    ),
    Command(
        name="skip",
        permission=Permission.START_RUN,
        form=TimeForm,
        title="Let a missed time of {title} be?",
        confirm="Let it be",
        done="The missed time of {title} is let be.",
        effects=("Nothing is started for this time, and it is listed as missed no longer.",),
        reasons=("A later run did its work too.", "Done by hand outside of the portal."),
        do=_skip,
    ),
)


def command_view(command: Command) -> Callable[[HttpRequest, str, str], HttpResponseBase]:
    """Return the view of a command: GET shows its dialog, POST does it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(command.permission)
    def view(request: HttpRequest, slug: str, schedule: str) -> HttpResponse:
        actor = actor_of(request)
        found = access_schedule(actor, slug, schedule)
        authorise(actor, command.permission, found.row)
        if request.method != "POST":
            form = command.form(initial={"due_at": request.GET.get("due_at", "")})
            return _show(request, command, found, form)
        return _do(request, command, found, command.form(request.POST))

    return view


def _do(request: HttpRequest, command: Command, found: ScheduleView, form: ScheduleForm) -> HttpResponse:
    if not form.is_valid():
        return _show(request, command, found, form, status=422)
    token = form.cleaned_data["token"]
    try:
        # The form's token names this request in the audit trail, by which a repeat of it is known.
        with correlated(token):
            command.do(actor_of(request), found, form)
    except InvalidInput as exc:
        form.add_error(None, exc.message)
        return _show(request, command, found, form, status=422)
    except Conflict as exc:
        if not AuditEntry.objects.filter(correlation_id=token).exists():
            form.add_error(None, exc.message)
            return _show(request, command, found, form, status=exc.http_status)
    messages.success(request, command.done.format(title=found.title))
    return go_to(request, reverse("schedule-list"))


def _show(
    request: HttpRequest, command: Command, found: ScheduleView, form: ScheduleForm, *, status: int = 200
) -> HttpResponse:
    context: Mapping[str, object] = {
        "schedule": found,
        "command": command,
        "form": form,
        "title": command.title.format(title=found.title),
        "action": reverse(f"schedule-{command.name}", args=[found.row.workflow.slug, found.row.name]),
    }
    return render_page(request, "schedules/dialog.html", "schedules/_dialog.html", context, status=status)
