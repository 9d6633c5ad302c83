"""Where the embedded servers may keep their files."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.stack.errors import StackError
from portal.stack.place import LONGEST_SOCKET_NAME, SOCKET_PATH_BYTES, prepare_place


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that the servers' account may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="evenkeel-place-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_are_nobody_elses(folder: Path) -> None:
    secret = prepare_place(folder).secret("secret_key")
    assert len(secret) >= 50
    assert prepare_place(folder).secret("secret_key") == secret
    assert mode(folder / "secrets") == 0o700
    assert mode(folder / "secrets" / "secret_key") == 0o600


def test_the_servers_folder_belongs_to_the_account_they_run_as(folder: Path) -> None:
    place = prepare_place(folder)
    owner = place.account.uid if place.account else os.geteuid()
    assert place.servers == folder / "servers"
    assert place.servers.stat().st_uid == owner
    assert owner != 0
    assert mode(place.servers) == 0o700


def test_sockets_move_to_a_short_path_where_the_folders_is_too_long(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    place = prepare_place(deep)
    longest = os.fsencode(place.sockets / LONGEST_SOCKET_NAME)
    assert len(longest) <= SOCKET_PATH_BYTES
    assert not place.sockets.is_relative_to(deep)
    assert mode(place.sockets) == 0o700
    assert prepare_place(deep).sockets == place.sockets
    place.sockets.rmdir()


def test_a_link_planted_for_the_servers_folder_is_refused(folder: Path) -> None:
    (folder / "servers").symlink_to("/etc")
    with pytest.raises(StackError, match="is not a folder"):
        prepare_place(folder)


def test_a_file_in_the_way_is_told(folder: Path) -> None:
    (folder / "state").write_text("")
    with pytest.raises(StackError, match="Cannot write to"):
        prepare_place(folder / "state")
