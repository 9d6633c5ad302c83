"""``manage.py up`` with its real processes: started, killed one by one, stopped, killed as a whole."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stack.upstack import UpStack, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

PARTS = ("web", "worker-1", "dispatcher", "valkey", "postgres")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a short path that every account may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="evenkeel-up-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def stack(folder: Path) -> Iterator[UpStack]:
    stack = UpStack(folder / "state")
    yield stack
    if hasattr(stack, "process") and stack.process.poll() is None:
        stack.stop(signal.SIGTERM)


def test_what_is_killed_is_started_again_and_the_data_outlives_it_all(stack: UpStack) -> None:
    stack.start()
    note = keep_a_note(stack)
    before = {part: stack.pid(part) for part in PARTS}
    for part in PARTS:
        kill(stack, part)
    eventually(
        lambda: all(stack.pid(part) not in {None, before[part]} for part in PARTS) and stack.is_ready(),
        seconds=60,
        otherwise=lambda: stack.log,
    )
    assert "postgres was ended by SIGKILL; starting it again" in stack.log
    stack.stop(signal.SIGKILL)
    stack.start()
    assert note in notes(stack)
    assert stack.stop() == 0
    assert {entry.name for entry in stack.state.iterdir()} == {"lock", "log", "secrets", "servers"}


def test_other_commands_find_the_running_stack_and_a_second_one_is_refused(stack: UpStack) -> None:
    stack.start()
    assert "Every queue that holds something has a worker." in stack.command("doctor").stdout
    second = stack.command("up")
    assert second.returncode == 1
    assert f"Evenkeel already runs from this folder: http://localhost:{stack.port}" in second.stderr
    assert stack.stop() == 0


def test_a_taken_port_is_told_before_anything_starts(stack: UpStack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", stack.port))
        holder.listen()
        refused = stack.command("up")
    assert refused.returncode == 1
    assert f"Port {stack.port} on 127.0.0.1 cannot be used: Address already in use" in refused.stderr
    assert f"make run PORT={stack.port + 1}" in refused.stderr


def test_a_state_folder_that_cannot_be_made_is_told(stack: UpStack) -> None:
    stack.environment["EVENKEEL_STATE"] = "/dev/null/state"
    refused = stack.command("up")
    assert refused.returncode == 1
    assert refused.stderr.startswith("\nEvenkeel cannot start. Cannot write to /dev/null")
    assert "EVENKEEL_STATE" in refused.stderr


def test_it_runs_as_an_ordinary_account_and_tells_of_a_read_only_folder(folder: Path) -> None:
    user = ordinary_account()
    home = folder / "home"
    home.mkdir()
    stack = UpStack(home / "state", user=user, home=home)
    assert "Cannot write to" in stack.command("up").stderr
    os.chown(home, user, user)
    stack.start()
    assert stack.stop() == 0


def ordinary_account() -> int:
    """Return an account that is not root's and can run this checkout."""
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary account anyway")
    user = pwd.getpwnam("nobody").pw_uid
    try:
        subprocess.run([sys.executable, "-c", "import portal.stack.up"], user=user, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the account 'nobody' cannot read this checkout or its Python")
    return user


def kill(stack: UpStack, part: str) -> None:
    pid = stack.pid(part)
    assert pid
    os.kill(pid, signal.SIGKILL)


def database(stack: UpStack) -> str:
    shown = stack.command("shell", "-v", "0", "-c", "import os; print(os.environ['DATABASE_URL'])")
    return shown.stdout.strip()


def keep_a_note(stack: UpStack) -> str:
    with psycopg.connect(database(stack)) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    return "kept"


def notes(stack: UpStack) -> list[str]:
    with psycopg.connect(database(stack)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note")]
