"""The documented environment is the one that is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.env import Environment, read_environment
from tests.architecture.source import ROOT

ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]*) \|", re.MULTILINE)
COMPLETE = {
    "SECRET_KEY": "x" * 40,
    "DATABASE_URL": "postgresql://portal@localhost/portal",
    "REDIS_URL": "redis://localhost:6379/0",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def documented() -> dict[str, str]:
    text = (ROOT / "docs" / "configuration.md").read_text()
    return dict(ROW.findall(text.split("## The stack")[0]))


def default_of(name: str) -> str:
    field = Environment.model_fields[name]
    if field.is_required():
        return "required"
    value = ",".join(field.default) if isinstance(field.default, list) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in {"", None} else "none"


def test_every_variable_is_documented_with_its_default() -> None:
    assert documented() == {name: default_of(name) for name in Environment.model_fields}


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("DATABASE_URL", "mysql://localhost/portal")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    for told in ("SECRET_KEY", "DATABASE_URL", "must start with postgresql://", "ENVIRONMENT"):
        assert told in str(caught.value)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("y" * 40 + "\n")
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    assert read_environment().SECRET_KEY == "y" * 40


def test_an_unreadable_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("SECRET_KEY_FILE", "/nonexistent")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE: cannot read /nonexistent"):
        read_environment()


def test_a_secret_is_not_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    with pytest.raises(ImproperlyConfigured) as caught:
        read_environment()
    assert "hunter2" not in str(caught.value)
