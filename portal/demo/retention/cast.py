"""Closed matters of the demo firm's clients, and what lies in their files. One document in a while has no class."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from portal.demo.cast import CLIENTS

UNCLASSIFIED_EVERY = 8  # one matter in so many has a document of which nobody has said how long it is kept
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
    unclassified = 3 if number % UNCLASSIFIED_EVERY == 0 else None
    documents = tuple(
        {
            "reference": f"{matter}-{place:02}",
            "client": client,
            "matter": matter,
            "title": f"{rng.choice(_KINDS)} {place}",
            "closed_on": closed_on.isoformat(),
            "retention_years": None if place == unclassified else rng.choice(YEARS),
            "text": f"{client}, {matter}, page 1 of {rng.randint(1, 40)}.",
        }
        for place in range(1, rng.randint(6, 24) + 1)
    )
    return Papers(client, matter, documents)
