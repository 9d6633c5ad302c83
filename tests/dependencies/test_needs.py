"""What a workflow's promise needs of a service: the arithmetic, and what the page says of it."""

from __future__ import annotations

import re

import pytest

from portal.core.clock import now
from tests.definitions import SETTLE_INVOICE
from tests.factories import make_dependency, make_workflow
from tests.personas import Personas
from workflows.dependencies.needs import Call, need_of, step_success
from workflows.models import CallWindow

GATEWAY = "payments-gateway"


def test_more_tries_need_less() -> None:
    assert step_success(0.9, 3) == pytest.approx(0.999)
    once, thrice = (need_of(GATEWAY, [Call(GATEWAY, tries)], {GATEWAY: 0.99}, 0.999) for tries in (1, 3))
    assert once is not None
    assert thrice is not None
    assert once.of_each_call == pytest.approx(0.999)
    assert thrice.of_each_call == pytest.approx(0.9)
    assert (once.is_promised, thrice.is_promised) == (False, True)


def test_what_the_others_fail_is_to_be_made_good() -> None:
    calls = [Call(GATEWAY, 1), Call("mail", 1)]
    need = need_of(GATEWAY, calls, {GATEWAY: 0.999, "mail": 0.99}, 0.98)
    assert need is not None
    assert need.of_each_call == pytest.approx(0.98 / 0.99)
    assert need.expected == pytest.approx(0.999 * 0.99)
    hopeless = need_of(GATEWAY, calls, {GATEWAY: 0.999, "mail": 0.9}, 0.98)
    assert hopeless is not None
    assert hopeless.of_each_call is None


def test_two_calls_need_more_of_each_than_one() -> None:
    need = need_of(GATEWAY, [Call(GATEWAY, 1), Call(GATEWAY, 1)], {GATEWAY: 0.99}, 0.9801)
    assert need is not None
    assert need.of_each_call == pytest.approx(0.99)


def test_who_does_not_need_it_is_not_asked() -> None:
    assert need_of(GATEWAY, [Call("mail", 3)], {}, 0.99) is None


@pytest.mark.django_db
def test_the_page_warns_of_a_promise_that_cannot_be_kept(personas: Personas) -> None:
    workflow = make_workflow(SETTLE_INVOICE, success_target=0.999999)
    dependency = make_dependency(GATEWAY)
    dependency.settings |= {"availability": 0.9}
    dependency.save()
    CallWindow.objects.create(dependency=dependency, slot_at=now(), calls=100, failures=20, slow=5)
    page = personas.client("viewer").get(f"/dependencies/{GATEWAY}/").content.decode()
    assert "What workflows need of it" in page
    assert f"{workflow.title} promises more than it can keep" in page
    assert "Cannot be kept" in page
    assert re.search(r"80(\.00)?\s%", page)


@pytest.mark.django_db
def test_the_page_tells_a_promise_from_what_is_given(personas: Personas) -> None:
    make_workflow(SETTLE_INVOICE, success_target=0.995)
    dependency = make_dependency(GATEWAY)
    dependency.settings |= {"max_concurrency": 8, "rate_calls": 100, "rate_per_seconds": 60.0, "rate_burst": 10}
    dependency.save()
    CallWindow.objects.create(dependency=dependency, slot_at=now(), calls=100, failures=90, slow=5)
    page = personas.client("viewer").get(f"/dependencies/{GATEWAY}/").content.decode()
    assert "Promised, not given" in page
    assert "at most 8; 0 out now" in page
    assert "100 in 1 m, 10 of them together" in page
