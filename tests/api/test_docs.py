"""The commands of docs/api.md do what the page says they do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.api.client import make_token
from tests.personas import Personas
from workflows.services import register_workflows

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"^```sh\n(curl .*?)\n# answers (\d+)[^\n]*\n```$", re.MULTILINE | re.DOTALL)
HOST = "http://localhost:8000"


def curl(command: str) -> Any:
    """Send what a curl command line would send."""
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    method, address, data, headers = "", "", "", {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                data = next(words)
            case _:
                address = word.removeprefix(HOST)
    content_type = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    return Client().generic(method or "GET", address, data, content_type, headers=headers)


@pytest.mark.django_db
def test_each_example_answers_as_documented(personas: Personas) -> None:
    register_workflows()
    names = {"$TOKEN": make_token(personas.operator), "$RUN": ""}
    examples = EXAMPLE.findall(DOCUMENT.read_text())
    assert len(examples) >= 8
    for command, status in examples:
        for name, value in names.items():
            command = command.replace(name, value)
        answer = curl(command)
        assert (command, answer.status_code) == (command, int(status))
        if status == "201" and "workflow" in answer.json():
            names["$RUN"] = answer.json()["id"]
