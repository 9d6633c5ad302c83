"""``python -m tests.faults.posting.load FIRST LAST``: start a run for each of these numbers."""

from __future__ import annotations

import sys

import django

django.setup()

from tests.faults.posting.flows import Posting, post_three  # noqa: E402 - after the set-up

if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        post_three.start(Posting(number=number), idempotency_key=f"post:{number}")
