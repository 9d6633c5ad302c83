"""``manage.py start_run settle-invoice --input @invoice.json --key INV-2026-00412``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from portal.core.actor import SYSTEM, Actor, person
from portal.core.errors import InvalidInput, PortalError
from portal.core.models import User
from workflows.services import start_run


class Command(BaseCommand):
    help = "Start a run, or return the one that the same idempotency key started before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow", help="the workflow's name, like settle-invoice")
        parser.add_argument("--input", default="{}", help="the input as JSON; @FILE reads a file, @- standard input")
        parser.add_argument("--key", help="idempotency key: the same key starts one run only")
        parser.add_argument("--reason", default="", help="why, for the audit trail")
        parser.add_argument("--as", dest="username", help="act as this person, with their rights")

    def handle(
        self,
        *args: object,
        workflow: str,
        input: str,
        key: str | None,
        reason: str,
        username: str | None,
        **options: object,
    ) -> None:
        try:
            started = start_run(
                actor=_actor(username),
                workflow=workflow,
                input=_read(input),
                idempotency_key=key,
                reason=reason,
            )
        except InvalidInput as exc:
            lines = (f"  {name}: {message}" for name, messages in exc.fields.items() for message in messages)
            raise CommandError("\n".join((exc.message, *lines))) from exc
        except PortalError as exc:
            raise CommandError(exc.message) from exc
        what = "started" if started.created else "was started before with this key"
        self.stdout.write(f"{started.run.id} {what}")


def _actor(username: str | None) -> Actor:
    if username is None:
        return SYSTEM
    try:
        return person(User.objects.get_by_natural_key(username), origin="command")
    except User.DoesNotExist as exc:
        raise CommandError(f"There is nobody called {username}.") from exc


def _read(text: str) -> dict[str, object]:
    try:
        if text == "@-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text()
        value = json.loads(text)
    except OSError as exc:
        raise CommandError(f"Cannot read {text[1:]}: {exc.strerror}") from exc
    except ValueError as exc:
        raise CommandError(f"The input is not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise CommandError('The input must be a JSON object, like {"amount": "120.00"}.')
    return value
