"""A list of runs under a name: for oneself, or for everybody who may open the list."""

from __future__ import annotations

import pytest

from portal.core.models import AuditEntry
from tests.factories import make_workflow
from tests.personas import Personas
from workflows.models import SavedView
from workflows.services import saved_views

pytestmark = pytest.mark.django_db
FILTER = "state=failed&columns=amount"


def save(
    personas: Personas, who: str, name: str = "Failed money", *, query: str = FILTER, shared: bool = False
) -> int:
    body = {"name": name} | ({"is_shared": "on"} if shared else {})
    return personas.client(who).post(f"/runs/views/new/?{query}", body).status_code


def list_of(personas: Personas, who: str, query: str = "") -> str:
    return personas.client(who).get(f"/runs/?{query}").content.decode()


def test_a_view_stands_above_the_list_and_is_marked_where_one_is(personas: Personas) -> None:
    answer = personas.client("viewer").post(f"/runs/views/new/?{FILTER}&before=1", {"name": " Failed money "})
    assert (answer.status_code, answer["Location"]) == (303, f"/runs/?{FILTER}")
    assert 'href="/runs/?state=failed&amp;columns=amount" title="Your own view">' in list_of(personas, "viewer")
    assert 'title="Your own view" aria-current="page"' in list_of(personas, "viewer", "state=failed")


def test_a_private_view_is_seen_by_its_owner_only(personas: Personas) -> None:
    save(personas, "viewer")
    assert "Failed money" not in list_of(personas, "operator")
    assert "Failed money" not in personas.client("operator").get("/runs/views/").content.decode()


def test_a_shared_view_is_seen_by_all_and_removed_by_its_owner_or_an_administrator(personas: Personas) -> None:
    save(personas, "operator", shared=True)
    view = SavedView.objects.get()
    assert 'title="Shared by Operator"' in list_of(personas, "viewer")
    assert personas.client("viewer").post(f"/runs/views/{view.pk}/remove/").status_code == 403
    assert personas.client("admin").post(f"/runs/views/{view.pk}/remove/").status_code == 303
    assert not SavedView.objects.exists()
    actions = AuditEntry.objects.filter(object_id=str(view.pk)).order_by("sequence").values_list("action", flat=True)
    assert list(actions) == ["workflows.view.save", "workflows.view.remove"]


def test_somebody_elses_private_view_cannot_be_told_from_none(personas: Personas) -> None:
    save(personas, "operator")
    view = SavedView.objects.get()
    assert personas.client("admin").post(f"/runs/views/{view.pk}/remove/").status_code == 404


def test_the_same_name_replaces_ones_own_view_and_nobody_elses(personas: Personas) -> None:
    save(personas, "operator")
    save(personas, "viewer")
    save(personas, "operator", query="state=waiting")
    assert sorted(SavedView.objects.values_list("owner__username", "query")) == [
        ("operator", "state=waiting"),
        ("viewer", FILTER),
    ]


def test_what_is_no_filter_or_has_no_name_is_not_saved(personas: Personas) -> None:
    assert save(personas, "viewer", query="stat=failed") == 422
    assert save(personas, "viewer", name="  ") == 422
    assert not SavedView.objects.exists()


def test_there_is_an_end_to_it(personas: Personas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    assert [save(personas, "viewer", name) for name in ("One", "One", "Two")] == [303, 303, 409]


def test_the_page_tells_what_each_shows(personas: Personas) -> None:
    make_workflow()
    save(personas, "viewer", query="state=failed&state=waiting&workflow=settle-invoice")
    page = personas.client("viewer").get("/runs/views/").content.decode()
    assert "State: Failed, State: Waiting, Workflow: settle-invoice" in " ".join(page.split())
