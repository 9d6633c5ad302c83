"""Starting a run by hand: a form made of the workflow's input model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from portal.core import moments
from portal.core.actor import Actor, actor_of
from portal.core.errors import IdempotencyKeyReused, InvalidInput
from portal.core.htmx import go_to
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.forms import StartForm
from workflows.models import Workflow
from workflows.queries.catalogue import definition_of
from workflows.queries.workflow_page import access_workflow
from workflows.schema_form import SchemaForm
from workflows.services import StartedRun, start_run

Json = Mapping[str, Any]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.START_RUN)
def workflow_start(request: HttpRequest, slug: str) -> HttpResponse:
    """GET shows the form; POST starts a run and goes to it. A wrong input comes back with what was typed."""
    actor = actor_of(request)
    workflow = access_workflow(actor, slug, permission=Permission.START_RUN)
    definition = definition_of(workflow)
    values = _input_form(definition, request)
    form = StartForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and values.is_valid() & form.is_valid():
        started = _start(actor, workflow, values, form)
        if started:
            return _to_run(request, started)
    context = {"workflow": workflow, "definition": definition, "values": values, "form": form}
    status = 422 if values.errors or form.errors else 200
    return render(request, "workflows/workflow_start.html", context, status=status)


def _input_form(definition: Json, request: HttpRequest) -> SchemaForm:
    impact = definition["impact"] or {}
    pairs = {impact["amount"]: impact["currency"]} if impact.get("amount") and impact.get("currency") else {}
    return SchemaForm(
        definition["input"]["schema"],
        request.POST if request.method == "POST" else None,
        order=definition["input"].get("fields", ()),
        sensitive=definition["input"]["sensitive"],
        pairs=pairs,
    )


def _start(actor: Actor, workflow: Workflow, values: SchemaForm, form: StartForm) -> StartedRun | None:
    """Start the run; None if the input or the key is refused, which the forms then say."""
    try:
        return start_run(
            actor=actor,
            workflow=workflow.slug,
            input=values.read(),
            idempotency_key=form.key(),
            reason=form.cleaned_data["reason"],
        )
    except InvalidInput as exc:
        fields = dict(exc.fields)
        for message in fields.pop("idempotency_key", []):
            form.add_error("idempotency_key", message)
        values.add_invalid(fields if fields or form.errors else {"": [exc.message]})
    except IdempotencyKeyReused as exc:
        url = reverse("run-detail", args=[exc.context["run_id"]])
        form.add_error("idempotency_key", format_html('{} <a href="{}">Show that run</a>', exc.message, url))
    return None


def _to_run(request: HttpRequest, started: StartedRun) -> HttpResponse:
    if started.created:
        messages.success(request, "The run is accepted.")
    else:
        when = moments.absolute_words(timezone.localtime(started.run.created_at), seconds=True)
        messages.info(request, f"This key was used before: here is that run (started {when}).")
    return go_to(request, reverse("run-detail", args=[started.run.pk]))
