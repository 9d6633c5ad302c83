"""Moving documents: what a contract lets through is copied, registered, and counted on both sides afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from portal.demo.retention.contract import StoredDocument, document_by_contract
from portal.demo.retention.register import ArchivedCopy, register_copies, registered, withdraw
from workflows import (
    Breaker,
    BusinessRuleViolation,
    Dependency,
    Effect,
    InvalidData,
    Item,
    Objective,
    Retry,
    Setting,
    StepContext,
    Workflow,
)

TOLERATED = 2  # documents of a matter that may be put right later

documents_url = Setting("DOCUMENTS_URL", kind="url")
archive_url = Setting("ARCHIVE_URL", kind="url")
documents = Dependency(
    "document-store",
    availability=0.99,
    timeout=5,
    breaker=Breaker(failure_rate=0.5, minimum_calls=10, open_for=8, open_at_most=20),
    url=documents_url,
)
archive = Dependency(
    "archive",
    availability=0.99,
    timeout=5,
    breaker=Breaker(failure_rate=0.5, minimum_calls=10, open_for=8, open_at_most=20),
    url=archive_url,
)


class ClosedMatter(BaseModel):
    """A matter that was closed: its documents leave the document store."""

    client_id: Annotated[
        str,
        Field(
            title="Client",
            pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
            max_length=80,
            description="The client's short name in the client register, like harbour-lane-estates",
            examples=["harbour-lane-estates"],
        ),
    ]
    matter: Annotated[
        str,
        Field(
            pattern=r"^M-\d{4}-\d{4,6}$",
            description="The number of the matter, like M-2026-000012",
            examples=["M-2026-000012"],
        ),
    ]


class DueDocument(BaseModel):
    """A document that the store lists."""

    reference: str


class Registered(BaseModel):
    """How many of the copies are in the register now, and how many of those this run has put there."""

    entries: int
    new: int


class Held(BaseModel):
    """What the archive says it holds of the matter."""

    references: list[str]


class Comparison(BaseModel):
    """The counts of both sides."""

    due: int
    copied: int
    registered: int
    left_out: list[str]


document_retention_sync = Workflow(
    "document-retention-sync",
    version=1,
    owner="records-office",
    tier=3,
    input=ClosedMatter,
    title="Archive a closed matter",
    description="Copies the documents of a closed matter to the archive and registers until when each is kept.",
    objective=Objective(success=0.98, within=timedelta(minutes=15)),
    runbook="document-retention-sync",
    requires=[documents_url, archive_url],
)


@document_retention_sync.step(
    effect=Effect.EXTERNAL, calls=documents, retry=Retry(attempts=4, base=2, cap=30), title="List what is due"
)
def list_due(closed_matter: ClosedMatter, ctx: StepContext) -> list[DueDocument]:
    """Ask the document store what it has of the matter."""
    answer = ctx.http.get("/due", params={"matter": closed_matter.matter}).json()
    if not answer["documents"]:
        raise InvalidData(f"The document store has nothing of {closed_matter.matter}. Is that the right number?")
    return [DueDocument.model_validate(line) for line in answer["documents"]]


@document_retention_sync.step(
    effect=Effect.EXTERNAL,
    calls=documents,
    retry=Retry(attempts=4, base=2, cap=30),
    each="list_due",
    concurrency=4,
    tolerate=TOLERATED,
    item=Item(name="reference"),
    title="Read each document",
)
def read_document(due_document: DueDocument, ctx: StepContext) -> StoredDocument:
    """Read the document, and let through only what keeps to the contract."""
    answer = ctx.http.get(f"/files/{due_document.reference}").json()
    return document_by_contract(due_document.reference, answer)


@document_retention_sync.step(
    effect=Effect.EXTERNAL,
    calls=archive,
    retry=Retry(attempts=4, base=2, cap=30),
    each="read_document",
    concurrency=4,
    tolerate=TOLERATED,
    item=Item(name="reference"),
    title="Copy each to the archive",
)
def copy_document(stored_document: StoredDocument, ctx: StepContext) -> ArchivedCopy:
    """Put the document into the archive under its own reference: put twice, it is one copy."""
    keep_until = stored_document.keep_until
    kept = stored_document.model_dump(mode="json", include={"client", "matter", "title", "text"})
    answer = ctx.http.put(f"/files/{stored_document.reference}", json=kept | {"keep_until": str(keep_until)})
    return ArchivedCopy(
        archive_id=answer.json()["id"],
        keep_until=keep_until,
        **stored_document.model_dump(include={"reference", "client", "matter", "title"}),
    )


@document_retention_sync.step(
    effect=Effect.DATABASE, lock="retention:{closed_matter.client_id}", title="Register the retention dates"
)
def register_retention(
    closed_matter: ClosedMatter, copy_document: list[ArchivedCopy | None], ctx: StepContext
) -> Registered:
    """Number the copies in the client's register. Two matters of one client take turns, by the lock."""
    copies = [copy for copy in copy_document if copy]
    new = register_copies(client=closed_matter.client_id, copies=copies, run_id=ctx.run_id)
    return Registered(entries=registered(copies), new=new)


@register_retention.compensate
def withdraw_entries(closed_matter: ClosedMatter, ctx: StepContext) -> None:
    """Withdraw what this run has registered. The copies stay: an archive gives nothing back."""
    withdraw(ctx.run_id)


@document_retention_sync.step(
    effect=Effect.EXTERNAL,
    calls=archive,
    retry=Retry(attempts=4, base=2, cap=30),
    after=[register_retention],
    title="Ask what the archive holds",
)
def ask_archive(closed_matter: ClosedMatter, ctx: StepContext) -> Held:
    """Ask the other side itself, and do not trust that what was sent is there."""
    answer = ctx.http.get("/files", params={"matter": closed_matter.matter}).json()
    return Held(references=[line["reference"] for line in answer["documents"]])


@document_retention_sync.step(effect=Effect.PURE, title="Compare the counts")
def compare_counts(
    list_due: list[DueDocument],
    copy_document: list[ArchivedCopy | None],
    register_retention: Registered,
    ask_archive: Held,
) -> Comparison:
    """See that each document that was copied is in the archive and in the register."""
    due = [each.reference for each in list_due]
    copied = [copy.reference for copy in copy_document if copy]
    lost = [reference for reference in copied if reference not in ask_archive.references]
    if lost or register_retention.entries != len(copied):
        raise BusinessRuleViolation(
            f"{len(due)} documents are due and {len(copied)} were copied, but the archive holds "
            f"{len(copied) - len(lost)} of these and the register {register_retention.entries}."
            + (f" Not in the archive: {', '.join(lost[:5])}." if lost else ""),
            due=len(due),
            copied=len(copied),
            archived=len(copied) - len(lost),
            registered=register_retention.entries,
        )
    left_out = [reference for reference in due if reference not in copied]
    return Comparison(due=len(due), copied=len(copied), registered=register_retention.entries, left_out=left_out)
