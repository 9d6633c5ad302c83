"""Closed matters of the demo firm's clients, and what lies in their files. One document in a while has no class."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from portal.demo.cast import CLIENTS

UNCLASSIFIED = 0.02  # of the documents: nobody has said how long they are kept
YEARS = (6, 7, 10, 15)
_KINDS = (
    "Engagement letter",
    "Letter to the client",
    "Letter from the other side",
    "Note of a call",
    "Draft agreement",
    "Signed agreement",
    "Expert's report",
    "Statement of costs",
    "Court filing",
    "Closing letter",
)


@dataclass(frozen=True, slots=True)
class Papers:
    """A matter's documents, as they are filed in the document store."""

    client: str
    matter: str
    documents: tuple[dict[str, Any], ...]


def some_papers(rng: Random, number: int, closed_on: date, *, client: str = "") -> Papers:
    """Return the papers of a matter that was closed on that day."""
    client, matter = client or rng.choice(CLIENTS).slug, f"M-{closed_on.year}-{number:06}"
    documents = tuple(
        {
            "reference": f"{matter}-{number:02}",
            "client": client,
            "matter": matter,
            "title": f"{rng.choice(_KINDS)} {number}",
            "closed_on": closed_on.isoformat(),
            "retention_years": None if rng.random() < UNCLASSIFIED else rng.choice(YEARS),
            "text": f"{client}, {matter}, page 1 of {rng.randint(1, 40)}.",
        }
        for number in range(1, rng.randint(6, 24) + 1)
    )
    return Papers(client, matter, documents)
