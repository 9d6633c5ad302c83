"""``manage.py doctor``: what is wrong with this installation and how to mend it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict

from django.core.management.base import BaseCommand

from portal.web.doctor import examine


class Command(BaseCommand):
    help = "Say what is wrong with this installation and how to mend it. Ends with 1 if anything is."
    requires_system_checks = ()  # they are among the findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *args: object, **options: object) -> None:
        findings = examine()
        wrong = [finding for finding in findings if not finding.ok]
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1))
        else:
            for finding in findings:
                mark = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("MEND")
                self.stdout.write(f"{mark} {finding.name:<18} {finding.detail}")
                if not finding.ok and finding.remedy:
                    self.stdout.write(f"     {'':<18} {finding.remedy}")
            self.stdout.write(f"\n{len(wrong)} to mend." if wrong else "\nAll is well.")
        if wrong:
            raise SystemExit(1)
