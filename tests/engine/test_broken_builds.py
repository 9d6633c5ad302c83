"""The builds that are broken on purpose still find what they take out of the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In a process of its own: the engine of this one is to stay whole.
BREAK_EVERYTHING = """
import django
django.setup()
from benchmarks.broken.sabotage import BROKEN
for break_it in BROKEN.values():
    break_it()
print(len(BROKEN))
"""


def test_each_safeguard_that_is_taken_out_is_there() -> None:
    command = [sys.executable, "-c", BREAK_EVERYTHING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 9
