"""``manage.py verify_audit``: check the audit chain from its first entry to its head."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.core.audit import check_and_note


class Command(BaseCommand):
    help = (
        "Check every link of the audit chain. Exits with 1 and the position of the first break. "
        "With --expect, also that a head published earlier (in the log) is still part of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--expect", metavar="SEQUENCE:DIGEST", help="a head from the log, e.g. 42:9f86d0...")

    def handle(self, *args: object, **options: str | None) -> None:
        report = check_and_note(expected=_published_head(options["expect"]))
        if not report.ok:
            self.stderr.write(f"The audit chain is broken at entry {report.broken_at}: {report.problem}.")
            sys.exit(1)
        until = f", the last of {report.head_at:%Y-%m-%d %H:%M:%S} UTC" if report.head_at else ""
        self.stdout.write(f"The audit chain is intact: {report.entries} entries{until}.")


def _published_head(text: str | None) -> tuple[int, str] | None:
    if not text:
        return None
    sequence, _, digest = text.partition(":")
    if not sequence.isdigit() or len(digest) != 64:
        raise CommandError("--expect wants SEQUENCE:DIGEST, the digest as 64 hex digits.")
    return int(sequence), digest.lower()
