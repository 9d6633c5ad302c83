"""The page of completeness: what was emitted and never consumed, by subscriber, and each missed event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.access import may
from portal.core.actor import Actor, actor_of
from portal.core.correlation import correlated
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page, wants_fragment
from portal.core.models import AuditEntry
from portal.core.paging import KeysetPage, capped_count, keyset_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.bulk.bar import bulk_bar
from workflows.bulk.registry import kind_of
from workflows.dialogs import Words
from workflows.events.pages import gaps, words
from workflows.events.queries import AGES, PERIOD, completeness
from workflows.forms import CommandForm
from workflows.models import InboxMessage
from workflows.queries.fleet import fleet
from workflows.views.run_filters import active_chips, tidied

PAGE_SIZE = 50
FIELDS = ("q", "event", "consumer")
View = Callable[[HttpRequest, UUID], HttpResponseBase]


@require_safe
@requires(Permission.VIEW_RUN)
def completeness_page(request: HttpRequest) -> HttpResponse:
    """Tell what each subscriber has missed, above the missed events themselves; for htmx only these."""
    tidy = tidied(request.GET)
    if tidy != request.GET:
        return HttpResponseRedirect(f"{request.path}?{tidy.urlencode()}")
    context = _missed(request)
    if wants_fragment(request):
        return render(request, "events/_missed.html", context)
    return render(request, "events/completeness.html", context | _summary(request))


@require_safe
@requires(Permission.VIEW_RUN)
def summary_fragment(request: HttpRequest) -> HttpResponse:
    """Tell what each subscriber has missed."""
    return render(request, "events/_completeness.html", _summary(request))


def _summary(request: HttpRequest) -> dict[str, Any]:
    found = completeness(actor_of(request))
    return {
        "found": found,
        "fleet": fleet(),
        "ages": [name for name, _, _ in AGES],
        "days": PERIOD.days,
        "dead": sum(each.dead for each in found.subscriptions),
        "missing": sum(each.missing for each in found.subscriptions),
        "unrouted": sum(each.count for each in found.unrouted),
        "unrouted_events": {each.event for each in found.unrouted},
    }


def _missed(request: HttpRequest) -> dict[str, Any]:
    actor = actor_of(request)
    filters = gaps.MissedFilter(request.GET, queryset=gaps.missed(actor), request=request)
    form = filters.form
    form.is_valid()
    place = {name: request.GET.get(name, "") for name in ("before", "after")}
    page: KeysetPage[InboxMessage] = keyset_page(filters.qs, size=PAGE_SIZE, **place)
    total = capped_count(filters.qs)
    return {
        "fields": [form[name] for name in FIELDS],
        "chips": list(active_chips(form, request.GET, request.path)),
        "rows": [(row, words.consumer_title(row), words.why_missing(row)) for row in page.rows],
        "page": page,
        "count_words": f"{total} missed event{'' if total.number == 1 else 's'}",
        "may_send": may(actor, Permission.REPLAY_DEAD_LETTER),
        "may_give_up": may(actor, Permission.DISCARD_DEAD_LETTER),
        "bulk": bulk_bar(actor, kind_of("missed_event"), request.GET, total),
    }


@dataclass(frozen=True, slots=True)
class Command:
    """A command on one missed event."""

    name: str
    permission: Permission
    service: Callable[..., InboxMessage]
    words: Callable[[InboxMessage], Words]
    told: str
    reasons: Sequence[str]


SEND = Command(
    "send",
    Permission.REPLAY_DEAD_LETTER,
    gaps.send_missed,
    words.send_words,
    "It is handed over again.",
    words.SEND_REASONS,
)
GIVE_UP = Command(
    "give-up",
    Permission.DISCARD_DEAD_LETTER,
    gaps.give_up_missed,
    words.give_up_words,
    "It is given up.",
    words.GIVE_UP_REASONS,
)
COMMANDS = (SEND, GIVE_UP)


def command_view(command: Command) -> View:
    """Return the view of a command: GET shows its dialog, POST does it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(command.permission)
    def view(request: HttpRequest, inbox_id: UUID) -> HttpResponse:
        actor = actor_of(request)
        row = gaps.access_missed(actor, inbox_id, permission=command.permission)
        if request.method == "POST":
            return _do(request, actor, command, row)
        return _dialog(request, command, row, CommandForm(initial={"expected_version": 0}))

    return view


def _do(request: HttpRequest, actor: Actor, command: Command, row: InboxMessage) -> HttpResponse:
    form = CommandForm(request.POST)
    if not form.is_valid():
        return _dialog(request, command, row, form, status=422)
    token = form.cleaned_data["token"]
    try:
        # The form's token names this request in the audit trail, by which a repeat of it is known.
        with correlated(token):
            command.service(actor=actor, inbox_id=row.pk, reason=form.cleaned_data["reason"])
    except InvalidInput as exc:
        form.add_error("reason", exc.message)
        return _dialog(request, command, row, form, status=422)
    except Conflict as exc:
        if not AuditEntry.objects.filter(object_type="event", correlation_id=token).exists():
            return _dialog(request, command, row, form, status=409, hindrance=exc.message)
    messages.success(request, command.told)
    return go_to(request, reverse("completeness"))


def _dialog(
    request: HttpRequest,
    command: Command,
    row: InboxMessage,
    form: CommandForm,
    *,
    status: int = 200,
    hindrance: str = "",
) -> HttpResponse:
    context = {
        "message": row.message,
        "words": command.words(row),
        "hindrance": hindrance,
        "form": form,
        "reasons": command.reasons,
        "action": reverse(f"missed-{command.name}", args=[row.pk]),
        "back": reverse("completeness"),
    }
    return render_page(request, "deadletters/dialog.html", "deadletters/_dialog.html", context, status=status)
