"""``manage.py startflow``: what it makes works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parent.parent.parent


# The inner pytest starts servers of its own: it must not touch the database of this one.
INHERITED = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "DATABASE_URL", "REDIS_URL"))}


def start(name: str, folder: Path, **options: str) -> str:
    output = StringIO()
    call_command("startflow", name, directory=folder, stdout=output, **options)
    return output.getvalue()


def test_the_generated_tests_pass(tmp_path: Path) -> None:
    start("late_fees", tmp_path, owner="billing-team")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            ROOT / "pyproject.toml",
            "--rootdir",
            ROOT,
            tmp_path / "late_fees",
        ],
        cwd=tmp_path,
        env=INHERITED | {"FLOW_APPS": "late_fees", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


def test_it_says_what_comes_next(tmp_path: Path) -> None:
    said = start("late_fees", tmp_path)
    assert str(tmp_path / "late_fees" / "flows.py") in said
    assert "FLOW_APPS=late_fees" in said
    assert "late-fees" in (tmp_path / "late_fees" / "runbooks" / "late-fees.md").read_text()


@pytest.mark.parametrize("name", ["Late", "late-fees", "2fees", "class", "late__fees"])
def test_a_name_that_is_no_package_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="cannot be the name of an app"):
        start(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "late_fees").mkdir()
    with pytest.raises(CommandError, match="exists already"):
        start("late_fees", tmp_path)


def test_a_taken_package_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is a Python package"):
        start("json", tmp_path)
