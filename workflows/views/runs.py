"""Pages that show runs: the list, its export, and one run."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from portal.core import audit
from portal.core.access import may
from portal.core.actor import actor_of
from portal.core.htmx import render_page, wants_fragment
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.bulk.bar import bulk_bar
from workflows.bulk.registry import kind_of
from workflows.export import EXPORT_LIMIT, runs_as_csv
from workflows.filters import RunFilter
from workflows.forms import OWN_KEY
from workflows.models import Run
from workflows.queries import access_run
from workflows.queries.items import progress_of
from workflows.queries.run_page import run_page, version_token
from workflows.queries.runs import RunList, run_list, visible_runs
from workflows.queries.saved_views import saved_views
from workflows.services import available_commands
from workflows.views.offers import offers
from workflows.views.run_filters import columns_shown, filter_bar, saved_chips, tidied, without_place


@require_safe
@requires(Permission.VIEW_RUN)
def run_list_page(request: HttpRequest) -> HttpResponse:
    """The list of runs; for htmx only its rows. The address holds everything that was chosen, and nothing else."""
    tidy = tidied(request.GET)
    if tidy != request.GET:
        return HttpResponseRedirect(f"{request.path}?{tidy.urlencode()}")
    actor = actor_of(request)
    filters = RunFilter(request.GET, queryset=visible_runs(actor), request=request)
    bar = filter_bar(filters, request.path)
    runs, place = _page_of(filters.qs, request)
    context = place | {
        "bar": bar,
        "columns": columns_shown(request.GET),
        "runs": runs,
        "may_be_first_use": not runs.rows and not bar.chips and not without_place(request.GET),
        "count_words": _count_words(runs),
        "export_limit": EXPORT_LIMIT,
        "here": without_place(request.GET).urlencode(),
        "bulk": bulk_bar(actor, kind_of("run"), request.GET, runs.total),
    }
    if not wants_fragment(request):
        context["saved"] = saved_chips(saved_views(actor), request.GET, request.path)
    return render_page(request, "workflows/run_list.html", "workflows/_run_list.html", context)


@require_safe
@requires(Permission.VIEW_RUN)
def run_detail(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run. A poll that says what it has seen is answered with 204 while nothing has changed."""
    actor = actor_of(request)
    run = access_run(actor, run_id)
    seen = version_token(run)
    if wants_fragment(request) and request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    page = run_page(actor, run, failed_only="failed" in request.GET)
    drawer = page.drawer(request.GET.get("step", page.step_in_trouble))
    context = {
        "page": page,
        "run": run,
        "drawer": drawer,
        "progress": progress_of(run, drawer.step.declared) if drawer and drawer.step.has_items else None,
        "offers": offers(available_commands(actor, run, page.rows.values()), page, drawer),
        "shows_key": bool(run.idempotency_key) and not str(run.idempotency_key).startswith(OWN_KEY),
        "may_view_audit": may(actor, Permission.VIEW_AUDIT),
        "as_list": request.GET.get("view") == "list",
        "seen": seen,
    }
    return render_page(request, "workflows/run_detail.html", "workflows/_run.html", context)


@require_POST
@requires(Permission.VIEW_RUN)
def run_export(request: HttpRequest) -> HttpResponse:
    """The filtered list as CSV. A POST, because who took what is written to the audit trail."""
    actor = actor_of(request)
    filters = RunFilter(request.GET, queryset=visible_runs(actor), request=request)
    text, count = runs_as_csv(filters.qs)
    query = without_place(request.GET).urlencode()
    audit.record(
        actor=actor,
        action="workflows.runs.export",
        object_type="runs",
        object_label=query[:200] or "all runs",
        after={"rows": count, "query": query},
    )
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    name = f"runs-{timezone.localtime():%Y-%m-%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _page_of(runs: QuerySet[Run], request: HttpRequest) -> tuple[RunList, dict[str, object]]:
    """Return the page of the list that the address names, and what the template says of its place."""
    before, after, pinned = (
        request.GET.get("before", ""),
        request.GET.get("after", ""),
        _uuid(request.GET.get("upto")),
    )
    page = run_list(runs, before=before, after=after, pinned=pinned)
    pin = pinned or (str(page.rows[0].run.pk) if page.rows else "")
    return page, {"is_first_page": not (before or after), "pin": pin}


def _count_words(runs: RunList) -> str:
    return f"{runs.total} run{'' if runs.total.number == 1 else 's'}"


def _uuid(value: str | None) -> str:
    try:
        return str(UUID(value)) if value else ""
    except ValueError:
        return ""
