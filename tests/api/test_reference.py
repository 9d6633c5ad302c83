from __future__ import annotations

import re

import pytest

from tests.api.client import PREFIX, Api
from tests.personas import Personas

pytestmark = pytest.mark.django_db


def test_the_description_is_for_everybody_who_may_sign_in(personas: Personas) -> None:
    answer = Api(personas.viewer).get("/schema/")
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.")
    assert {p.split("/")[3] for p in answer.json["paths"]} >= {"workflows", "runs", "dependencies", "audit"}
    assert Api().get("/schema/").problem == (401, "not-authenticated")


def test_every_post_describes_its_idempotency_key(personas: Personas) -> None:
    paths = Api(personas.viewer).get("/schema/").json["paths"]
    posts = {path: operations["post"] for path, operations in paths.items() if "post" in operations}
    assert len(posts) >= 10
    for path, operation in posts.items():
        assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
        assert {"400", "401", "403", "409", "415", "422"} <= operation["responses"].keys()
        assert ("404" in operation["responses"]) == ("{" in path)


def test_the_reference_shows_every_operation_and_links_only_to_what_it_shows(personas: Personas) -> None:
    paths = Api(personas.viewer).get("/schema/").json["paths"]
    page = personas.client("viewer").get(f"{PREFIX}/docs/").content.decode()
    for operations in paths.values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_the_reference_asks_a_stranger_to_sign_in(personas: Personas) -> None:
    answer = Api().call("get", f"{PREFIX}/docs/")
    assert (answer.status, answer.headers["Location"]) == (302, f"/login/?next={PREFIX}/docs/")
