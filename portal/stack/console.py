"""The one log: every process's lines with its name in front, on the screen and in a file."""

from __future__ import annotations

import logging
import os
import sys
from collections import defaultdict, deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
NAME_WIDTH = 10
OURS = "evenkeel"
UNSEEN_LINES = 12


class Console:
    """Prints prefixed lines; coloured on a terminal, plain and with times in the file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = logging.getLogger("evenkeel.stack")
        self._file.setLevel(logging.INFO)
        self._file.propagate = False
        handler = RotatingFileHandler(folder / "evenkeel.log", maxBytes=10_000_000, backupCount=3)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._file.addHandler(handler)
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {OURS: 1}
        self._unseen: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=UNSEEN_LINES))

    def say(self, text: str) -> None:
        """Print a line of the supervisor itself."""
        self.line(OURS, text)

    def line(self, name: str, text: str, *, quiet: bool = False) -> None:
        """Print one line of the process of that name; a quiet one's only in the file, until `show_unseen`."""
        prefix = f"{name:<{NAME_WIDTH}}"
        self._file.info("%s | %s", prefix, text)
        if quiet:
            self._unseen[name].append(text)
            return
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._print(f"{prefix} | {text}\n")

    def show_unseen(self, name: str) -> None:
        """Print the last lines of a quiet process, now that something is wrong with it."""
        for text in self._unseen.pop(name, ()):
            self.line(name, text)

    def plain(self, text: str) -> None:
        """Print a block without prefixes, for people to find."""
        self._file.info("%s", text)
        self._print(f"{text}\n")

    def _print(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:  # the terminal, or the pipe's reader, has gone: the file still has it all
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
