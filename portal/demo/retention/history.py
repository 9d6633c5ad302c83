"""What became of closed matters: their documents are in the archive, but for those that broke the contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from portal.demo.history import errors
from portal.demo.history.fan_out import FanOutStory, Given, Place
from portal.demo.history.story import Json, id_at
from portal.demo.models import PastRecord
from portal.demo.retention.cast import Papers
from portal.demo.retention.contract import StoredDocument, document_by_contract
from portal.demo.retention.flows import Comparison, DueDocument, Held, Registered
from portal.demo.retention.models import RetentionEntry
from portal.demo.retention.register import ArchivedCopy
from portal.demo.sandbox.services import copy_record, document_record
from workflows import InvalidData
from workflows.engine.state import RunStatus


class RetentionStory(FanOutStory):
    """A matter's documents on their way to the archive."""

    def go_through(self, papers: Papers, numbers: Iterator[int]) -> None:
        """Each document is read, copied and registered. ``numbers``: the next ones of the client's register."""
        filed = {document["reference"]: document for document in papers.documents}
        for reference, document in filed.items():
            self._outside("documents", reference, reference, "do", document_record(document), self.at)
        due = [DueDocument(reference=reference) for reference in filed]
        self.succeed("list_due", due, self.rng.uniform(0.03, 0.1))
        read = self.do_items(
            "read_document",
            due,
            lambda each, _: self._read(each.reference, filed[each.reference]),
            seconds=lambda: self.rng.uniform(0.03, 0.1),
        )
        copies = self.do_items("copy_document", read, self._copy, seconds=lambda: self.rng.lognormvariate(-1.9, 0.4))
        copied = [copy for copy in copies if copy]
        self._register(copied, numbers)
        held = Held(references=[copy.reference for copy in copied])
        self.succeed("ask_archive", held, self.rng.uniform(0.03, 0.1))
        counts = Comparison(
            due=len(due),
            copied=len(copied),
            registered=len(copied),
            left_out=[each.reference for each, copy in zip(due, copies, strict=True) if copy is None],
        )
        self.succeed("compare_counts", counts, self.rng.uniform(0.0004, 0.002))
        status = RunStatus.DEGRADED if counts.left_out else RunStatus.SUCCEEDED
        self.end(status, output=counts.model_dump(mode="json"))

    def _read(self, reference: str, document: Json) -> Given:
        try:
            return document_by_contract(reference, document)
        except InvalidData as exc:
            told = {name: str(value) for name, value in exc.context.items()}
            return errors.stored_error("InvalidData", exc.code, exc.message, at=document_by_contract) | {
                "context": told
            }

    def _copy(self, document: StoredDocument, place: Place) -> Given:
        kept = document.model_dump(mode="json") | {"keep_until": str(document.keep_until)}
        record = self._outside(
            "copies", document.reference, place.key, "ar", copy_record(document.reference, kept), place.at
        )
        return ArchivedCopy(archive_id=record.id, keep_until=document.keep_until, **document.model_dump(
            include={"reference", "client", "matter", "title"}
        ))  # fmt: skip

    def _register(self, copies: list[ArchivedCopy], numbers: Iterator[int]) -> None:
        self.succeed(
            "register_retention", Registered(entries=len(copies), new=len(copies)), self.rng.uniform(0.005, 0.02)
        )
        self.rows.kept.extend(
            RetentionEntry(
                id=id_at(self.rng, self.at),
                number=next(numbers),
                run_id=self.run.id,
                registered_at=self.at,
                **copy.model_dump(),
            )
            for copy in copies
        )

    def _outside(self, collection: str, once_key: str, key: str, prefix: str, body: Json, at: datetime) -> PastRecord:
        record = PastRecord(
            id=f"{prefix}_{id_at(self.rng, at).hex}",
            collection=collection,
            operation_key=key,
            once_key=once_key,
            body=body,
            made_at=at,
        )
        self.rows.records.append(record)
        return record
