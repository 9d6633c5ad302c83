"""The kinds of things that can be repaired in bulk. A new one needs a line here."""

from __future__ import annotations

from portal.core.errors import NotFound
from workflows.bulk.kinds import BulkCommand, BulkKind
from workflows.bulk.runs import RUNS
from workflows.deadletters.bulk import DEAD_LETTERS
from workflows.events.pages.bulk import MISSED_EVENTS

KINDS: dict[str, BulkKind] = {kind.name: kind for kind in (RUNS, DEAD_LETTERS, MISSED_EVENTS)}


def kind_of(name: str) -> BulkKind:
    """Return a kind by its name.

    :raises NotFound: if there is none.
    """
    if name not in KINDS:
        raise NotFound(f'Nothing called "{name}" can be repaired in bulk.')
    return KINDS[name]


def command_of(kind: str, command: str) -> BulkCommand:
    """Return a command of a kind.

    :raises NotFound: if there is none.
    """
    commands = kind_of(kind).commands
    if command not in commands:
        raise NotFound(f'There is no bulk command "{command}".')
    return commands[command]
