"""``python -m tests.faults.counting.load RUNS TIMES``: start runs that all count the same counter."""

from __future__ import annotations

import sys

import django

django.setup()

from tests.faults.counting.flows import Count, count_up  # noqa: E402 - after the set-up

if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        count_up.start(Count(counter="shared", times=int(sys.argv[2])), idempotency_key=f"count:{number}")
