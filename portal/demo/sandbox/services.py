"""What the services do. Each route is one function from a request to a reply."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from portal.demo.sandbox.messages import JsonObject, Problem, Reply, Request
from portal.demo.sandbox.store import PastRecord, Record, Store

COLLECTIONS = {
    "charges": "payments",
    "refunds": "payments",
    "payouts": "banking",
    "deposits": "banking",
    "recalls": "banking",
    "receipts": "mail",
    "documents": "documents",
    "copies": "archive",
}
REPLAYED = {"Idempotent-Replayed": "true"}
Route = Callable[[Store, Request], Reply]


def charge(store: Store, request: Request) -> Reply:
    """Charge a card. The same Idempotency-Key returns the first charge, however often it is sent."""
    key = request.headers.get("idempotency-key", "")
    if key:
        store.count_request("charges", key)
    body = request.json()
    made = charge_record(body)
    if str(body["card_token"]).startswith("tok_declined"):
        raise Problem(402, "card-declined", "The card was declined by its issuer.")
    record, new = store.add("charges", key, made, prefix="ch", once_key=key or None)
    if not new and record.body != made:
        raise Problem(422, "idempotency-key-reused", "This Idempotency-Key came before with another request.")
    return _made(record, new)


def charge_record(body: JsonObject) -> JsonObject:
    """Return what is kept of a charge that was asked for with ``body``: never the card's token."""
    return {
        "amount": _amount(body),
        "currency": _currency(body),
        "invoice": _text(body, "invoice"),
        "card": "•••• " + _text(body, "card_token")[-4:],
        "status": "captured",
    }


def refund(store: Store, request: Request) -> Reply:
    """Give a charge back in full; a charge has one refund at most."""
    paid = _existing(store, "charges", request.path[2])
    key = request.headers.get("idempotency-key") or f"refund of {paid.id}"
    store.count_request("refunds", key)
    body: JsonObject = {"charge": paid.id, "amount": paid.body["amount"], "currency": paid.body["currency"]}
    return _made(*store.add("refunds", key, body, prefix="re", once_key=paid.id))


def find_charges(store: Store, request: Request) -> Reply:
    """List the charges of one operation key."""
    return _found(store, "charges", request, "operation_key")


def pay_out(store: Store, request: Request) -> Reply:
    """Send money. Like many banks this does not know idempotency keys: each POST pays again."""
    body = request.json()
    reference = _text(body, "reference")
    store.count_request("payouts", reference)
    made = payout_record(body)
    if str(made["account"]).startswith("CLOSED"):
        raise Problem(422, "account-closed", "The account of the payee is closed.")
    return _made(*store.add("payouts", reference, made, prefix="po", once_key=None))


def payout_record(body: JsonObject) -> JsonObject:
    """Return what is kept of a payout that was asked for with ``body``."""
    return {
        "reference": _text(body, "reference"),
        "amount": _amount(body),
        "currency": _currency(body),
        "account": _text(body, "account"),
        "status": "sent",
    }


def recall(store: Store, request: Request) -> Reply:
    """Call a payout back; a payout has one recall at most."""
    paid = _existing(store, "payouts", request.path[2])
    key = request.headers.get("idempotency-key") or f"recall of {paid.id}"
    store.count_request("recalls", key)
    body: JsonObject = {"payout": paid.id, "amount": paid.body["amount"], "currency": paid.body["currency"]}
    return _made(*store.add("recalls", key, body, prefix="rc", once_key=paid.id))


def receive_deposit(store: Store, request: Request) -> Reply:
    """Take in what a client pays into the trust account. The same reference is the same payment."""
    body = request.json()
    reference = _text(body, "reference")
    store.count_request("deposits", reference)
    return _made(*store.add("deposits", reference, deposit_record(body), prefix="dp", once_key=reference))


def deposit_record(body: JsonObject) -> JsonObject:
    """Return what is kept of a deposit that came in with ``body``."""
    return {
        "reference": _text(body, "reference"),
        "client": _text(body, "client"),
        "amount": _amount(body),
        "currency": _currency(body),
    }


def statement(store: Store, request: Request) -> Reply:
    """List what came in on the trust account, from ``since`` to before ``until`` (ISO 8601, UTC)."""
    since, until = request.query.get("since", ""), request.query.get("until", "")
    if not since or not until:
        raise Problem(400, "parameter-missing", "Say from when to when: ?since=…&until=…")
    lines: list[JsonObject] = [record.as_json() for record in store.made_between("deposits", since, until)]
    return Reply(200, {"since": since, "until": until, "lines": lines})


def find_payouts(store: Store, request: Request) -> Reply:
    """List the payouts of one reference."""
    return _found(store, "payouts", request, "reference")


def send_receipt(store: Store, request: Request) -> Reply:
    """Send a mail. The same Idempotency-Key sends nothing twice."""
    key = request.headers.get("idempotency-key", "")
    if key:
        store.count_request("receipts", key)
    body = request.json()
    made: JsonObject = {name: _text(body, name) for name in ("to", "subject", "text")}
    return _made(*store.add("receipts", key, made, prefix="ml", once_key=key or None))


def file_document(store: Store, request: Request) -> Reply:
    """File a document of a matter. The same reference is the same document."""
    body = request.json()
    reference = _text(body, "reference")
    store.count_request("documents", reference)
    return _made(*store.add("documents", reference, document_record(body), prefix="do", once_key=reference))


def document_record(body: JsonObject) -> JsonObject:
    """Return what is kept of a document that was filed with ``body``. Nobody sees to it that it is complete."""
    named: JsonObject = {
        name: _text(body, name) for name in ("reference", "client", "matter", "title", "closed_on", "text")
    }
    return named | {"retention_years": body.get("retention_years")}


def due_documents(store: Store, request: Request) -> Reply:
    """List the documents of one closed matter."""
    return _of_matter(store, "documents", request)


def read_document(store: Store, request: Request) -> Reply:
    """Hand out one document."""
    reference = request.path[2]
    if found := store.with_key("documents", reference):
        return Reply(200, found[0].as_json())
    raise Problem(404, "not-found", f"There is no {reference} among the documents.")


def archive_document(store: Store, request: Request) -> Reply:
    """Keep a copy under the document's own reference: put again it is the same copy, and no other one."""
    reference = request.path[2]
    key = request.headers.get("idempotency-key") or reference
    store.count_request("copies", key)
    made = copy_record(reference, request.json())
    record, new = store.add("copies", key, made, prefix="ar", once_key=reference)
    if not new and record.body != made:
        raise Problem(409, "another-copy", f"The archive has another {reference}, and changes nothing that it has.")
    return _made(record, new)


def copy_record(reference: str, body: JsonObject) -> JsonObject:
    """Return what is kept of a copy that was put there with ``body``."""
    return {
        "reference": reference,
        **{name: _text(body, name) for name in ("client", "matter", "title", "text", "keep_until")},
    }


def archived_documents(store: Store, request: Request) -> Reply:
    """List the copies of one matter's documents."""
    return _of_matter(store, "copies", request)


def list_records(store: Store, request: Request) -> Reply:
    """Tell what one collection holds: totals, requests and effects by operation key, the latest records."""
    collection = request.path[1]
    if collection not in COLLECTIONS:
        raise Problem(404, "unknown-collection", f"There is {', '.join(COLLECTIONS)}.")
    limit = _limit(request)
    requests, effects, doubled = store.total(collection)
    keys: list[JsonObject] = [
        {"operation_key": k.operation_key, "requests": k.requests, "effects": k.effects, "last_at": k.last_at}
        for k in store.key_counts(collection, limit)
    ]
    records = [r.as_json() for r in store.latest(collection, limit)]
    totals: JsonObject = {"requests": requests, "effects": effects, "doubled": doubled}
    body = {"collection": collection, **totals, "keys": keys, "records": records}
    return Reply(200, body)


def find_operation(store: Store, request: Request) -> Reply:
    """Tell everything that was done under one operation key, in any collection."""
    key = request.query.get("operation_key", "")
    if not key:
        raise Problem(400, "parameter-missing", "Say which: ?operation_key=…")
    done: list[JsonObject] = [
        {"collection": collection, **record.as_json()}
        for collection in COLLECTIONS
        for record in store.with_key(collection, key)
    ]
    return Reply(200, {"operation_key": key, "requests": store.requests_for(key), "records": done})


def add_history(store: Store, request: Request) -> Reply:
    """Take in records of a past that did not happen here (the demo's history). Known ids are left as they are."""
    lines = request.json().get("records")
    if not isinstance(lines, list):
        raise _invalid("records", "must be a list")
    try:
        records = [PastRecord(**line) for line in lines]
    except TypeError as exc:
        raise _invalid("records", "must have the fields of a record each") from exc
    return Reply(200, {"added": store.add_past(records)})


ROUTES: dict[tuple[str, ...], Route] = {
    ("POST", "payments", "charges"): charge,
    ("GET", "payments", "charges"): find_charges,
    ("POST", "payments", "charges", "*", "refunds"): refund,
    ("POST", "banking", "payouts"): pay_out,
    ("GET", "banking", "payouts"): find_payouts,
    ("POST", "banking", "payouts", "*", "recalls"): recall,
    ("POST", "banking", "deposits"): receive_deposit,
    ("GET", "banking", "statement"): statement,
    ("POST", "mail", "receipts"): send_receipt,
    ("POST", "documents", "files"): file_document,
    ("GET", "documents", "files", "*"): read_document,
    ("GET", "documents", "due"): due_documents,
    ("PUT", "archive", "files", "*"): archive_document,
    ("GET", "archive", "files"): archived_documents,
    ("GET", "_records", "*"): list_records,
    ("GET", "_records"): find_operation,
    ("POST", "_records"): add_history,
}


def route(method: str, path: tuple[str, ...]) -> Route:
    """Return what serves this method and path; an id or a collection's name in it is free.

    :raises Problem: 404 for an unknown path, 405 for a known one with another method.
    """
    shape = tuple("*" if _is_free(path, n) else part for n, part in enumerate(path))
    if found := ROUTES.get((method, *shape)):
        return found
    if any(known[1:] == shape for known in ROUTES):
        raise Problem(405, "method-not-allowed", f"{method} is not possible here.")
    raise Problem(404, "not-found", "There is nothing at /" + "/".join(path))


def _is_free(path: tuple[str, ...], n: int) -> bool:
    return (n == 1 and path[0] == "_records") or n == 2


def _made(record: Record, new: bool) -> Reply:
    return Reply(201, record.as_json()) if new else Reply(200, record.as_json(), REPLAYED)


def _found(store: Store, collection: str, request: Request, parameter: str) -> Reply:
    key = request.query.get(parameter, "")
    if not key:
        raise Problem(400, "parameter-missing", f"Say which: ?{parameter}=…")
    return Reply(200, {collection: [r.as_json() for r in store.with_key(collection, key)]})


def _of_matter(store: Store, collection: str, request: Request) -> Reply:
    matter = request.query.get("matter", "")
    if not matter:
        raise Problem(400, "parameter-missing", "Say which: ?matter=…")
    found = store.beginning_with(collection, f"{matter}-")
    documents: list[JsonObject] = [{"reference": record.body["reference"]} for record in found]
    return Reply(200, {"matter": matter, "documents": documents})


def _existing(store: Store, collection: str, record_id: str) -> Record:
    if record := store.find(collection, record_id):
        return record
    raise Problem(404, "not-found", f"There is no {record_id} among the {collection}.")


def _limit(request: Request) -> int:
    text = request.query.get("limit", "50")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise Problem(400, "invalid-limit", "limit must be a whole number from 1 to 100000.")
    return int(text)


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 2000:
        raise _invalid(name, "must be a text of 1 to 2000 characters")
    return value


def _amount(body: JsonObject) -> str:
    try:
        amount = Decimal(_text(body, "amount"))
        whole_cents = amount == amount.quantize(Decimal("0.01"))
    except InvalidOperation as exc:
        raise _invalid("amount", 'must be a decimal number in quotes, like "120.00"') from exc
    if not whole_cents or amount <= 0:
        raise _invalid("amount", "must be above 0 with at most two decimals")
    return f"{amount:.2f}"


def _currency(body: JsonObject) -> str:
    currency = _text(body, "currency")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise _invalid("currency", "must be three capital letters, like EUR")
    return currency


def _invalid(name: str, message: str) -> Problem:
    return Problem(422, "invalid-body", f"{name} {message}.", errors={name: message})
