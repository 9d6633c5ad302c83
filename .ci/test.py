"""Every test in three tiers, and one summary: fast ones side by side, real kills, a real browser.

``.ci/test.py [tier ...]`` runs only those. Uses the standard library, so that nothing hides why a tier failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "test-results"
TIERS = {
    "fast": ("-m", "not faults and not browser", "-n", str(min(os.cpu_count() or 1, 4))),
    "faults": ("-m", "faults"),
    "browser": ("-m", "browser", "-n", "2", "--dist", "loadfile"),
}
TIER_SECONDS = {"fast": 300, "faults": 510, "browser": 400}


@dataclass
class Outcome:
    """What one tier came to."""

    seconds: float
    exit_code: int
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    skip_reasons: set[str] = field(default_factory=set)

    @property
    def is_good(self) -> bool:
        """Whether it ran, and nothing failed. A tier without any test has lost its tests."""
        return self.exit_code == 0 and not self.failed and self.passed + self.skipped > 0

    def __str__(self) -> str:
        counts = [f"{self.passed} passed", f"{len(self.failed)} failed", f"{self.skipped} skipped"]
        said = ", ".join(count for count in counts if not count.startswith("0 ")) or "no tests ran"
        return said if self.is_good or self.failed else f"{said}, exit code {self.exit_code}"


def run(tier: str) -> Outcome:
    """Run one tier to its end, or stop it when it takes far too long."""
    report = RESULTS / f"{tier}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *TIERS[tier]]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603
    try:
        code = process.wait(TIER_SECONDS[tier])
    except subprocess.TimeoutExpired:
        print(f"\nThe {tier} tests take longer than {TIER_SECONDS[tier]} s and are stopped.", flush=True)  # noqa: T201
        code = 124
        stop(process)
    return read(report, Outcome(time.monotonic() - began, code))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let pytest say how far it came, and end it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read(report: Path, outcome: Outcome) -> Outcome:
    """Count what pytest wrote down."""
    if not report.exists():
        return outcome
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own file
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}")
        elif skipped is not None:
            outcome.skipped += 1
            outcome.skip_reasons.add(skipped.get("message", ""))
        else:
            outcome.passed += 1
    return outcome


def main(tiers: list[str]) -> int:
    """Run the tiers and print the summary; return the exit code."""
    RESULTS.mkdir(exist_ok=True)
    outcomes: dict[str, Outcome] = {}
    for tier in tiers or list(TIERS):
        print(f"\n--- {tier} tests", flush=True)  # noqa: T201
        outcomes[tier] = run(tier)
    total = Outcome(sum(outcome.seconds for outcome in outcomes.values()), 0)
    lines = ["", "--- summary"]
    for tier, outcome in outcomes.items():
        lines.append(f"{tier:8} {'ok    ' if outcome.is_good else 'FAILED'} {outcome} in {outcome.seconds:.0f} s")
        lines += [f"         skipped: {reason}" for reason in sorted(outcome.skip_reasons)]
        lines += [f"         failed: {test}" for test in outcome.failed]
        total.passed, total.skipped = total.passed + outcome.passed, total.skipped + outcome.skipped
        total.failed += outcome.failed
        total.exit_code = total.exit_code or outcome.exit_code or (not outcome.is_good)
    print(*lines, f"=== {total} in {total.seconds:.2f}s ===", sep="\n")  # noqa: T201
    return int(total.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
