"""Torture: a storm of faults over a whole installation under load, and what must be true when it is over.

``python benchmarks/torture.py --minutes 20 --seed 7`` prints a JSON report and ends with 1 if anything is violated.
``--broken fence`` (or another of ``benchmarks/broken``) does the same to a build that lacks one safeguard, to show
that it would be found.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.faults import checks
from benchmarks.faults.installation import Installation, running_installation
from benchmarks.faults.storm import Storm

BROKEN = ("fence", "claim", "intent", "verify", "ringing", "reclaim", "transaction", "inbox", "lock")
SETTLE_SECONDS = 300.0
WARM_RUNS = 10
WARM_SECONDS = 60.0


def main() -> int:
    """Torture, print the report, and tell whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broken", choices=BROKEN, default="", help="take one safeguard out")
    parser.add_argument("--log", type=Path, help="keep what all processes say in this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = torture(options.seed, options.minutes * 60, broken=options.broken, log=options.log)
    print(json.dumps(report, indent=2))
    return 1 if report["violations"] else 0


def torture(seed: int, seconds: float, *, broken: str = "", log: Path | None = None) -> dict[str, Any]:
    """Torture an installation of one's own for so long, and return the report."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    with running_installation(rng=rng, broken=broken) as at:
        try:
            return _torture(at, seed, seconds, broken, rng)
        finally:
            if log:
                log.write_text(at.said())


def _torture(at: Installation, seed: int, seconds: float, broken: str, rng: random.Random) -> dict[str, Any]:
    at.commands |= {name: (*at.load_command, name, str(seed)) for name in ("starter", "people")}
    _wait(at, lambda: _some_ended(at), WARM_SECONDS)
    storm, began = Storm(at, rng), time.monotonic()
    storm.rage(seconds)
    raged = time.monotonic() - began
    for name in ("starter", "people"):
        del at.commands[name]
        at.kill(name)
    settled = _wait(at, lambda: checks.standing_still(at), SETTLE_SECONDS)
    return {
        "seed": seed,
        "minutes": round(raged / 60, 2),
        "broken_on_purpose": broken,
        "faults": dict(storm.done.most_common()),
        "settled_after_seconds": settled,
        **checks.counts(at),
        "violations": checks.violations(at),
    }


def _some_ended(at: Installation) -> bool:
    return bool(at.ask("SELECT count(*) >= %s FROM workflows_run WHERE ended_at IS NOT NULL", WARM_RUNS)[0][0])


def _wait(at: Installation, condition: Callable[[], bool], seconds: float) -> float | None:
    """Return the seconds until the condition held; None if it did not hold in time."""
    try:
        return round(at.wait_until(condition, seconds=seconds, what="everything stands still"), 1)
    except AssertionError:
        return None


if __name__ == "__main__":
    sys.exit(main())
