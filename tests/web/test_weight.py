"""What a first visit downloads, compressed: the page with all that it names. Lists stay light."""

from __future__ import annotations

import re
from pathlib import Path

import brotli
import pytest
from django.test import Client

from tests.factories import make_run, make_workflow
from tests.personas import Personas

pytestmark = pytest.mark.django_db
STATIC = Path(__file__).parents[2] / "static"
LIMIT = 100_000
STYLE_LIMIT = 25_000


def compressed(content: bytes) -> int:
    return len(brotli.compress(content))


def named_files(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="/static/([^"]+)"', page))


def first_visit(client: Client, address: str) -> int:
    page = client.get(address).content
    files = named_files(page.decode())
    return compressed(page) + sum(compressed((STATIC / name).read_bytes()) for name in files)


@pytest.mark.parametrize("address", ["/overview/", "/workflows/", "/runs/", "/dependencies/", "/audit/"])
def test_a_first_visit_to_a_list_is_light(personas: Personas, address: str) -> None:
    workflow = make_workflow()
    for _ in range(50):
        make_run(workflow)
    assert first_visit(personas.client("admin"), address) <= LIMIT


def test_all_styles_together_are_light() -> None:
    assert compressed(b"".join(path.read_bytes() for path in STATIC.rglob("*.css"))) <= STYLE_LIMIT
