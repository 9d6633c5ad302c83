"""The frame of every page: navigation by rights, theme and zone of the account, sign-in."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.personas import Personas

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/help/", "/style/", "/style/dialog/", "/style/_clock/", "/search/"])
def test_pages_of_the_shell_need_a_sign_in_and_nothing_more(personas: Personas, address: str) -> None:
    assert Client().get(address).status_code == 302
    assert personas.client("outsider").get(address).status_code == 200


def test_navigation_leaves_out_what_a_person_may_not_open(personas: Personas) -> None:
    page = personas.client("outsider").get("/help/").content.decode()
    assert 'aria-label="Sections"' in page
    assert "rail__item" not in page


def test_theme_and_zone_stay_with_the_account(personas: Personas) -> None:
    client = personas.client("viewer")
    answer = client.post("/preferences/theme/", {"theme": "dark"}, headers={"Referer": "http://testserver/style/"})
    assert (answer.status_code, answer["Location"]) == (303, "http://testserver/style/")
    client.post("/preferences/zone/", {"zone": "Asia/Tokyo"})
    page = client.get("/style/").content.decode()
    assert 'data-theme="dark"' in page
    assert "JST (UTC+09:00)" in page


@pytest.mark.parametrize(("address", "field"), [("theme", "theme"), ("zone", "zone")])
def test_a_preference_that_does_not_exist_is_refused(personas: Personas, address: str, field: str) -> None:
    answer = personas.client("viewer").post(f"/preferences/{address}/", {field: "Mars/Olympus"})
    assert answer.status_code == 422


def test_going_back_never_leaves_this_site(personas: Personas) -> None:
    client = personas.client("viewer")
    answer = client.post("/preferences/theme/", {"theme": "dark"}, headers={"Referer": "https://evil.example/"})
    assert answer["Location"] == "/help/"


def test_the_demo_offers_its_people_at_sign_in() -> None:
    page = Client().get("/login/").content.decode()
    assert "Olga Petrenko" in page


def test_too_many_wrong_passwords_lock_the_door_for_a_while(roles: None) -> None:
    client = Client()
    for _ in range(10):
        answer = client.post("/login/", {"username": "nobody", "password": "wrong"})
    assert answer.status_code == 429
    assert "Locked for a while" in answer.content.decode()
