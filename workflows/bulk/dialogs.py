"""A person's hand on an operation: one dialog for each command, which asks why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from portal.core.actor import actor_of
from portal.core.errors import Conflict, Forbidden, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.bulk import services
from workflows.bulk.access import access_operation
from workflows.bulk.forms import ReasonForm
from workflows.bulk.queries import OperationRow, operation_rows
from workflows.models import BulkOperation

View = Callable[[HttpRequest, UUID], HttpResponseBase]
_P = Permission


@dataclass(frozen=True, slots=True)
class Hand:
    """A command on an operation, with the words of its dialog. ``what`` is replaced by "Resume 312 runs"."""

    name: str
    permission: Permission
    service: Callable[..., BulkOperation]
    question: str
    confirm: str
    told: str
    effects: Callable[[OperationRow], list[str]]
    reasons: tuple[str, ...]
    is_danger: bool = False


def _left(row: OperationRow) -> str:
    return f"{row.kind.counted(row.counts.pending)} not touched yet"


def _continued(row: OperationRow) -> list[str]:
    effects = [f"It goes on with the {_left(row)}, {row.operation.per_minute} a minute."]
    if row.operation.status == BulkOperation.Status.HALTED:
        effects.insert(0, f"You vouch for this: {row.operation.halted_because}")
        effects.append("It halts again at the next surprise.")
    return effects


HANDS = (
    Hand(
        "pause",
        _P.START_BULK_OPERATION,
        services.pause_operation,
        "Pause “{what}”?",
        "Pause",
        "It is paused.",
        lambda row: [f"The {_left(row)} stay as they are, until somebody continues."],
        ("Something looks wrong; looking first.", "The service is slow; giving it time."),
    ),
    Hand(
        "continue",
        _P.START_BULK_OPERATION,
        services.continue_operation,
        "Continue “{what}”?",
        "Continue",
        "It goes on.",
        _continued,
        ("Looked at it: only that one is affected.", "The cause is fixed."),
    ),
    Hand(
        "stop",
        _P.START_BULK_OPERATION,
        services.stop_operation,
        "Stop “{what}” for good?",
        "Stop for good",
        "It is stopped for good.",
        lambda row: [
            f"The {_left(row)} stay as they are.",
            f"The {row.counts.touched} that are done stay done; this undoes nothing.",
        ],
        ("The cause is not fixed after all.", "Started by mistake."),
        is_danger=True,
    ),
    Hand(
        "approve",
        _P.APPROVE_BULK_OPERATION,
        services.approve_operation,
        "Approve “{what}”?",
        "Approve and start",
        "It is approved and starts now.",
        lambda row: [
            f"It starts at once, in the name of {row.operation.started_by}, with the first of {row.operation.total}.",
            "It halts at the first surprise.",
        ],
        ("Looked at the dry run; agreed.",),
    ),
    Hand(
        "reject",
        _P.APPROVE_BULK_OPERATION,
        services.reject_operation,
        "Reject “{what}”?",
        "Reject",
        "It is rejected; nothing was touched.",
        lambda row: ["Nothing is touched. To try again, a new one is started."],
        ("Too many at once; narrow the filter.", "The cause is not fixed yet."),
        is_danger=True,
    ),
)


def hand_view(hand: Hand) -> View:
    """Return the view of a command: GET shows its dialog, POST does it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @requires(hand.permission)
    def view(request: HttpRequest, operation_id: UUID) -> HttpResponse:
        actor = actor_of(request)
        operation = access_operation(actor, operation_id, permission=hand.permission)
        form, status = ReasonForm(request.POST or None), 200
        if request.method == "POST":
            status = 422
            if form.is_valid():
                try:
                    hand.service(actor=actor, operation_id=operation_id, reason=form.cleaned_data["reason"])
                except InvalidInput as exc:
                    form.add_error("reason", exc.fields.get("reason", [exc.message]))
                except (Conflict, Forbidden) as exc:
                    form.add_error(None, exc.message)
                    status = exc.http_status
                else:
                    messages.success(request, hand.told)
                    return go_to(request, reverse("bulk-detail", args=[operation_id]))
        return _show(request, hand, operation, form, status)

    return view


def _show(request: HttpRequest, hand: Hand, operation: BulkOperation, form: ReasonForm, status: int) -> HttpResponse:
    row = operation_rows([operation])[0]
    context = {
        "hand": hand,
        "row": row,
        "form": form,
        "title": hand.question.format(what=row.title),
        "effects": hand.effects(row),
        "action": reverse(f"bulk-{hand.name}", args=[operation.pk]),
        "back": reverse("bulk-detail", args=[operation.pk]),
    }
    return render_page(request, "bulk/dialog.html", "bulk/_dialog.html", context, status=status)
