"""Named lists of runs: the dialog that saves one, and the page that keeps them in order."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.core.actor import Actor, actor_of
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.filters import RunFilter, without_shape
from workflows.queries.saved_views import may_remove, saved_views
from workflows.services.saved_views import remove_view, save_view
from workflows.views.run_filters import tidied, without_place


class SaveForm(forms.Form):
    """What a list is called, and who sees it."""

    name = forms.CharField(label="Name", max_length=60, help_text="Your own view of the same name is replaced.")
    is_shared = forms.BooleanField(label="Everybody who may open the runs list sees it", required=False)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.VIEW_RUN)
def run_view_new(request: HttpRequest) -> HttpResponse:
    """Ask what to call the list whose filters the address holds, then keep it."""
    actor, query = actor_of(request), without_place(tidied(request.GET)).urlencode()
    form, status = SaveForm(request.POST or None), 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                view = save_view(actor=actor, query=query, **form.cleaned_data)
            except (InvalidInput, Conflict) as exc:
                form.add_error(None, exc.message)
                status = exc.http_status
            else:
                messages.success(request, f"“{view.name}” is saved.")
                return go_to(request, f"{reverse('run-list')}?{query}")
    context = {
        "form": form,
        "action": request.get_full_path(),
        "back": f"{reverse('run-list')}?{query}",
        "words": described(actor, query),
    }
    return render_page(request, "workflows/run_view_new.html", "workflows/_run_view_new.html", context, status=status)


@require_safe
@requires(Permission.VIEW_RUN)
def run_views(request: HttpRequest) -> HttpResponse:
    """The views that one sees: what each shows, whose it is, and a button to remove it."""
    actor = actor_of(request)
    rows = [
        (view, f"{reverse('run-list')}?{view.query}", described(actor, view.query), may_remove(actor, view))
        for view in saved_views(actor)
    ]
    return render_page(request, "workflows/run_views.html", "workflows/_run_views.html", {"rows": rows})


@require_POST
@requires(Permission.VIEW_RUN)
def run_view_remove(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Remove a view; the message holds the way back."""
    view = remove_view(actor=actor_of(request), view_id=view_id)
    messages.success(request, f"“{view.name}” is removed. The list itself is still there, under its filters.")
    return HttpResponseRedirect(reverse("run-views"), status=303)


def described(actor: Actor, query: str) -> list[tuple[str, str]]:
    """Return the filters of a view as (label, value); a workflow that the reader may not see is not named."""
    return RunFilter(without_shape(QueryDict(query)), request=actor).described()
