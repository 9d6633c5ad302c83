"""Matters are closed now and then, and sometimes two of one client at once: then they take turns at its register."""

from __future__ import annotations

import logging
from random import Random

import httpx

from portal.core.actor import Actor
from portal.core.clock import now
from portal.demo.cast import CLIENTS
from portal.demo.retention.cast import Papers, some_papers
from portal.demo.retention.flows import ClosedMatter, document_retention_sync
from portal.demo.services.places import sandbox_url

log = logging.getLogger(__name__)
SHARE = 0.012  # of the traffic's turns
TWO_AT_ONCE = 0.3


class RetentionTraffic:
    """What happens to closed matters while the demo runs."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng or Random()  # noqa: S311 - plausible, not secret

    def turn(self, actor: Actor) -> None:
        """Close one or two matters of a client now and then."""
        if self._rng.random() >= SHARE:
            return
        moment, client = now(), self._rng.choice(CLIENTS).slug
        for number in range(2 if self._rng.random() < TWO_AT_ONCE else 1):
            papers = some_papers(
                self._rng, (int(moment.timestamp()) + number) % 1_000_000, moment.date(), client=client
            )
            if self._file(papers):
                matter = ClosedMatter(client_id=client, matter=papers.matter)
                document_retention_sync.start(matter, idempotency_key=papers.matter, actor=actor)

    def _file(self, papers: Papers) -> bool:
        """File the documents in the store; returns whether it took them."""
        try:
            with httpx.Client(base_url=f"{sandbox_url()}/documents", timeout=3, trust_env=False) as store:
                for document in papers.documents:
                    store.post("/files", json=document).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            log.info("The document store took no documents: %s", exc)
            return False
        return True
