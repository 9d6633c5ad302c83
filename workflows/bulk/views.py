"""Pages of bulk operations: the list, the dry run, and one operation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.actor import Actor, actor_of
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.bulk.forms import StartForm, start_form
from workflows.bulk.preview import DryRun, Selection, dry_run
from workflows.bulk.queries import LISTS, item_rows, operation_items, operation_list, operation_page, operation_rows
from workflows.bulk.services import Expected, start_operation

PAGE_SIZE = 50


@require_safe
@requires(Permission.VIEW_RUN)
def bulk_list(request: HttpRequest) -> HttpResponse:
    """The operations that there were, newest first."""
    place = {name: request.GET.get(name, "") for name in ("before", "after")}
    page = operation_list(actor_of(request), **place)
    context = {"rows": operation_rows(page.rows), "newer": page.newer, "older": page.older}
    return render_page(request, "bulk/list.html", "bulk/_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.START_BULK_OPERATION)
def bulk_new(request: HttpRequest) -> HttpResponse:
    """The dry run of a command on a selection; a POST starts exactly that."""
    actor = actor_of(request)
    asked = request.POST if request.method == "POST" else request.GET
    selection = selection_of(asked)
    if request.method == "POST":
        return _start(request, actor, selection)
    found = dry_run(actor, selection)
    expected = asked.get("expected", "")
    listed = int(expected) if expected.isdecimal() and expected.isascii() and not selection.chosen else found.matching
    return _show(request, actor, found, start_form(found), listed=listed)


@require_safe
@requires(Permission.VIEW_RUN)
def bulk_detail(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """How far an operation has come, and what became of each thing."""
    actor = actor_of(request)
    page = operation_page(actor, operation_id)
    show = request.GET.get("show", "") if request.GET.get("show", "") in LISTS else ""
    after = request.GET.get("after", "")
    items = operation_items(actor, operation_id).filter(LISTS[show][1])
    if after.isdecimal() and after.isascii():
        items = items.filter(position__gt=min(int(after), 2**31 - 1))
    rows = item_rows(page.row.operation, items[: PAGE_SIZE + 1])
    context = {
        "page": page,
        "rows": rows[:PAGE_SIZE],
        "following": rows[PAGE_SIZE - 1].item.position if len(rows) > PAGE_SIZE else "",
        "is_further": bool(after),
        "show": show,
        "lists": [(name, title) for name, (title, _) in LISTS.items()],
    }
    return render_page(request, "bulk/detail.html", "bulk/_detail.html", context)


def selection_of(asked: QueryDict) -> Selection:
    """Return what a form or link asks for. Rows that are ticked count only where not all are asked for.

    :raises InvalidInput: for a row that is no id.
    """
    try:
        chosen = () if "all" in asked else tuple(UUID(value) for value in asked.getlist("id"))
    except ValueError as exc:
        raise InvalidInput("A chosen row has no valid id.") from exc
    return Selection(asked.get("kind", ""), asked.get("command", ""), asked.get("filter", ""), chosen)


def _start(request: HttpRequest, actor: Actor, selection: Selection) -> HttpResponse:
    form = StartForm(request.POST)
    if not form.is_valid():
        found = dry_run(actor, selection)
        form.offer(found)
        return _show(request, actor, found, form, status=422)
    typed = form.cleaned_data
    try:
        started = start_operation(
            actor=actor,
            selection=selection,
            expected=Expected(typed["count"], typed["digest"]),
            reason=typed["reason"],
            per_minute=typed["per_minute"],
            operation_id=typed["token"],
        )
    except Conflict as exc:
        # A second yes counts for what is shown now.
        fresh = dry_run(actor, selection)
        form = start_form(fresh, request.POST.dict())
        return _show(request, actor, fresh, form, status=409, problem=exc.message)
    return go_to(request, reverse("bulk-detail", args=[started.operation.pk]))


def _show(
    request: HttpRequest, actor: Actor, found: DryRun, form: StartForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    query = found.selection.filter
    context |= {
        "found": found,
        "facts": found.facts(),
        "form": form,
        "title": f"{found.command.label} {found.kind.counted(found.count)}",
        "filter_words": found.kind.describe(actor, QueryDict(query)),
        "list_url": reverse(found.kind.list_url_name) + (f"?{query}" if query else ""),
    }
    return render_page(request, "bulk/new.html", "bulk/_new.html", context, status=status)
