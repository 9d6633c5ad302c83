"""Who signs in and out is in the audit trail."""

from __future__ import annotations

import pytest
from django.test import Client

from portal.core.models import AuditEntry
from tests.personas import Personas

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-enough-secret"


def acts() -> list[tuple[str, str]]:
    entries = AuditEntry.objects.filter(action__startswith="core.session.").order_by("sequence")
    return list(entries.values_list("action", "actor_id"))


def test_signing_in_and_out_is_noted(personas: Personas) -> None:
    person = personas.support
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    assert client.post("/login/", {"username": person.username, "password": PASSWORD}).status_code == 302
    assert acts() == [("core.session.open", str(person.pk))]
    assert client.post("/logout/").status_code == 302
    assert acts()[1:] == [("core.session.close", str(person.pk))]
    assert client.get("/runs/").status_code == 302


def test_a_wrong_password_is_refused_and_opens_nothing(personas: Personas) -> None:
    answer = Client().post("/login/", {"username": personas.support.username, "password": "wrong"})
    assert answer.status_code == 200
    assert acts() == []
