"""The pages of dead letters, and the dialogs of what a person may do with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.access import may
from portal.core.actor import Actor, actor_of
from portal.core.correlation import correlated
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page, wants_fragment
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.bulk.bar import bulk_bar
from workflows.bulk.registry import kind_of
from workflows.deadletters import reading, services
from workflows.deadletters.bar import filter_bar
from workflows.deadletters.detail import letter_detail
from workflows.deadletters.filters import DeadLetterFilter
from workflows.deadletters.forms import REASONS, EditForm
from workflows.deadletters.offers import offers
from workflows.deadletters.queries import access_dead_letter, letter_list, overview, visible_letters
from workflows.deadletters.words import dialog_words
from workflows.forms import CommandForm
from workflows.models import DeadLetter
from workflows.queries.fleet import fleet
from workflows.views.run_filters import tidied

View = Callable[[HttpRequest, UUID], HttpResponseBase]


@require_safe
@requires(Permission.VIEW_RUN)
def dead_letters(request: HttpRequest) -> HttpResponse:
    """List dead letters, below what each subscriber has left lying; for htmx only the rows."""
    tidy = tidied(request.GET)
    if tidy != request.GET:
        return HttpResponseRedirect(f"{request.path}?{tidy.urlencode()}")
    actor = actor_of(request)
    filters = DeadLetterFilter(request.GET, queryset=visible_letters(actor), request=request)
    bar = filter_bar(filters, request.path)
    letters = letter_list(filters.qs, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    bulk = bulk_bar(actor, kind_of("dead_letter"), request.GET, letters.total)
    context = {"bar": bar, "letters": letters, "bulk": bulk}
    if wants_fragment(request):
        return render(request, "deadletters/_list.html", context)
    return render(request, "deadletters/list.html", context | _overview(actor))


@require_safe
@requires(Permission.VIEW_RUN)
def overview_fragment(request: HttpRequest) -> HttpResponse:
    """Show what each subscriber has left lying, and what it died of."""
    return render(request, "deadletters/_overview.html", _overview(actor_of(request)))


def _overview(actor: Actor) -> dict[str, Any]:
    may_repair = may(actor, Permission.START_BULK_OPERATION) and may(actor, Permission.REPLAY_DEAD_LETTER)
    return {"overview": overview(actor), "fleet": fleet(), "may_repair": may_repair}


@require_safe
@requires(Permission.VIEW_RUN)
def dead_letter(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    """Show one dead letter: what happened, what the event says, where it came from, and what was done with it."""
    actor = actor_of(request)
    detail = letter_detail(actor, letter_id)
    context = {"detail": detail, "letter": detail.letter, "offers": offers(actor, detail.letter)}
    return render_page(request, "deadletters/detail.html", "deadletters/_detail.html", context)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a page offers it: ``service`` does it, with the fields that it ``takes``."""

    name: str
    permission: Permission
    service: Callable[..., DeadLetter]
    told: str
    form: type[CommandForm] = CommandForm
    takes: tuple[str, ...] = ()

    def do(self, actor: Actor, letter: DeadLetter, values: Mapping[str, Any]) -> DeadLetter:
        """Do it with what the form holds."""
        taken = {name: values[name] for name in self.takes}
        reason, version = values["reason"], values["expected_version"]
        return self.service(actor=actor, letter_id=letter.pk, reason=reason, expected_version=version, **taken)


_P = Permission
REPLAY = Command("replay", _P.REPLAY_DEAD_LETTER, services.replay_dead_letter, "It is handed over again.")
EDIT = Command(
    "edit",
    _P.EDIT_DEAD_LETTER,
    services.edit_and_replay_dead_letter,
    "It is handed over as edited.",
    EditForm,
    ("payload",),
)
DISCARD = Command("discard", _P.DISCARD_DEAD_LETTER, services.discard_dead_letter, "It is discarded.")
RESTORE = Command("restore", _P.DISCARD_DEAD_LETTER, services.restore_dead_letter, "It is open again.")
COMMANDS = (REPLAY, EDIT, DISCARD, RESTORE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command, who asks for it, and of which letter."""

    command: Command
    request: HttpRequest
    actor: Actor
    letter: DeadLetter


def command_view(command: Command) -> View:
    """Return the view of a command: GET shows its dialog, POST does it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(command.permission)
    def view(request: HttpRequest, letter_id: UUID) -> HttpResponse:
        actor = actor_of(request)
        letter = access_dead_letter(actor, letter_id, permission=command.permission)
        asked = Asked(command, request, actor, letter)
        if request.method == "POST":
            return _do(asked, command.form(request.POST))
        shown = reading.shown_payload(actor, letter)
        return _dialog(asked, command.form(initial={"expected_version": letter.replay_count, "payload": shown}))

    return view


def _do(asked: Asked, form: CommandForm) -> HttpResponse:
    if not form.is_valid():
        return _dialog(asked, form, status=422)
    token = form.cleaned_data["token"]
    try:
        # The form's token names this request in the audit trail, by which a repeat of it is known.
        with correlated(token):
            asked.command.do(asked.actor, asked.letter, form.cleaned_data)
    except InvalidInput as exc:
        _add_problems(form, exc)
        return _dialog(asked, form, status=422)
    except Conflict as exc:
        if not _entry_of(asked.letter, token):
            return _conflict(asked, exc)
    return _done(asked, token)


def _conflict(asked: Asked, problem: Conflict) -> HttpResponse:
    """Show the dialog again, with what changed and what was typed; a second yes counts for the new state."""
    fresh = access_dead_letter(asked.actor, asked.letter.pk, permission=asked.command.permission)
    data = asked.request.POST.copy()
    data["expected_version"] = str(fresh.replay_count)
    return _dialog(replace(asked, letter=fresh), asked.command.form(data), status=409, problem=problem)


def _done(asked: Asked, token: str) -> HttpResponse:
    entry, told = _entry_of(asked.letter, token), asked.command.told
    if entry and may(asked.actor, Permission.VIEW_AUDIT):
        link = reverse("audit-entry", args=[entry.pk])
        told = format_html('{} <a href="{}">Audit entry {}</a>', told, link, entry.sequence)
    messages.success(asked.request, told)
    return go_to(asked.request, reverse("dead-letter", args=[asked.letter.pk]))


def _dialog(asked: Asked, form: CommandForm, *, status: int = 200, **context: object) -> HttpResponse:
    name, letter = asked.command.name, asked.letter
    offer = next(offer for offer in offers(asked.actor, letter) if offer.name == name)
    context |= {
        "message": letter.message,
        "back": reverse("dead-letter", args=[letter.pk]),
        "words": dialog_words(name, letter),
        "hindrance": offer.hindrance,
        "form": form,
        "reasons": REASONS[name],
        "action": offer.url,
    }
    return render_page(asked.request, "deadletters/dialog.html", "deadletters/_dialog.html", context, status=status)


def _add_problems(form: CommandForm, problem: InvalidInput) -> None:
    for name, found in problem.fields.items() or [("", [problem.message])]:
        field, _, path = name.partition(".")
        for message in found:
            form.add_error(field if field in form.fields else None, f"{path}: {message}" if path else message)


def _entry_of(letter: DeadLetter, token: str) -> AuditEntry | None:
    entries = AuditEntry.objects.filter(object_type="dead_letter", object_id=str(letter.pk), correlation_id=token)
    return entries.first()
