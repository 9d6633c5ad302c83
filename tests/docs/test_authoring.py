"""docs/authoring.md: its code is put together as it says, and works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = ROOT / "docs" / "authoring.md"
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The inner pytest starts servers of its own: it must not touch the database of this one.
INHERITED = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "DATABASE_URL", "REDIS_URL"))}
NOWHERE = {"DATABASE_URL": "postgresql://nobody@localhost/none", "REDIS_URL": "redis://localhost/0"}

AROUND_THE_WAITS = """
from datetime import date, datetime

from workflows import Approval, Schedule


class Reminder(BaseModel):
    client: str


class ClosingDay(BaseModel):
    day: date


reminders = Workflow(
    "reminders",
    version=1,
    owner="billing",
    input=Reminder,
    objective=Objective(success=0.99, within=timedelta(minutes=15)),
    runbook="late-fees",
)


@reminders.step(effect=Effect.PURE)
def remind(reminder: Reminder) -> Reminder:
    return reminder


"""


def blocks(language: str) -> dict[str, str]:
    """Return the guide's code by the name after the language; blocks of one name are put together."""
    found: dict[str, str] = {}
    for kind, name, text in BLOCK.findall(GUIDE.read_text()):
        if kind == language:
            found[name] = found.get(name, "") + text + "\n\n"
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The app of the guide, in a folder of its own."""
    for name, text in blocks("python").items():
        if "/" in name:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text)
    return tmp_path


def run(app: Path, *arguments: str | Path, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=app,
        env=INHERITED | environment | {"FLOW_APPS": "late_fees", "DEMO": "false", "PYTHONPATH": f"{app}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"exit code {result.returncode}\n{result.stdout}{result.stderr}"


def test_the_guides_own_tests_pass(app: Path) -> None:
    said = run(app, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, app / "late_fees")
    assert said.startswith("exit code 0"), said
    assert "9 passed" in said


def test_a_mistake_is_told_in_the_words_of_the_guide(app: Path) -> None:
    with (app / "late_fees" / "flows.py").open("a") as flows:
        flows.write(blocks("python")["mistake"])
    said = run(app, ROOT / "manage.py", "check", **NOWHERE)
    assert blocks("text")["mistake"].strip() in said
    assert "late_fees/flows.py:" in said


def test_a_contract_that_is_broken_is_told_in_the_words_of_the_guide(app: Path) -> None:
    with (app / "late_fees" / "flows.py").open("a") as flows:
        flows.write(
            'class FeeWaivedInPart(Event, name="late-fee.waived", version=2, key="invoice"):\n'
            "    invoice: str\n    client: str\n    amount: Decimal\n"
        )
    for command in (("check",), ("contracts", "check")):
        said = run(app, ROOT / "manage.py", *command, **NOWHERE)
        assert said.startswith("exit code 1")
        assert blocks("text")["contract"].strip() in said


def test_the_waits_and_schedules_of_the_guide_are_accepted(app: Path) -> None:
    with (app / "late_fees" / "flows.py").open("a") as flows:
        flows.write(AROUND_THE_WAITS + blocks("python")["pauses"] + blocks("python")["schedule"])
    said = run(app, ROOT / "manage.py", "check", **NOWHERE)
    assert said.startswith("exit code 0"), said


def test_the_guides_code_is_well_formed() -> None:
    for name, text in blocks("python").items():
        compile(text, name, "exec")
