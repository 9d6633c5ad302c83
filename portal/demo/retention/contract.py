"""What the document store has promised to hand out. Pure."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from workflows import InvalidData

LEAP_DAY = (2, 29)


class StoredDocument(BaseModel):
    """A document as the store hands it out. Fields that it has besides do no harm."""

    reference: str
    client: str
    matter: str
    title: Annotated[str, Field(min_length=1, max_length=200)]
    closed_on: date
    retention_years: Annotated[int, Field(ge=1, le=30)]
    text: str

    @property
    def keep_until(self) -> date:
        """The last day on which it must be there."""
        day = self.closed_on
        if (day.month, day.day) == LEAP_DAY:
            day = day.replace(day=28)
        return day.replace(year=day.year + self.retention_years)


def document_by_contract(reference: str, answer: Any) -> StoredDocument:
    """Return the document that the store's answer holds.

    :raises InvalidData: naming the document and each field that breaks the contract.
    """
    try:
        document = StoredDocument.model_validate(answer)
    except ValidationError as exc:
        problems = exc.errors(include_input=False, include_url=False)
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the answer'}: {each['msg']}" for each in problems)
        fields = ", ".join(sorted({str(each["loc"][0]) for each in problems if each["loc"]}))
        raise InvalidData(
            f"{reference} breaks the document store's contract. {wrong}. It was not archived.",
            document=reference,
            fields=fields,
        ) from exc
    if document.reference != reference:
        raise InvalidData(f"The document store was asked for {reference} and gave {document.reference}.")
    return document
