"""Two definitions as ``workflows.definition.describe`` writes them, for tests that need no code of a flow."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def step(name: str, position: int, **fields: Any) -> Json:
    """Return one step of a definition, with plain defaults: pure, no retry, nothing after anything."""
    return {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "description": "",
        "position": position,
        "effect": "pure",
        "idempotent": True,
        "calls": None,
        "timeout_seconds": 30.0,
        "retry": None,
        "needs": ["input"],
        "after": [],
        "conditional": False,
        "optional": False,
        "fallback": None,
        "compensates": False,
        "verifies": False,
        "sensitive": [],
    } | fields


def retry(attempts: int = 5) -> Json:
    """Return a retry policy: exponential from one second, at most a minute apart."""
    return {"attempts": attempts, "base_seconds": 1.0, "cap_seconds": 60.0}


def definition(slug: str, steps: list[Json], **fields: Any) -> Json:
    """Return a whole definition around ``steps``; its dependencies are those that the steps call."""
    called = list(dict.fromkeys(s["calls"] for s in steps if s["calls"]))
    return {
        "slug": slug,
        "version": 1,
        "title": slug.replace("-", " ").capitalize(),
        "description": "",
        "owner": "finance-operations",
        "tier": 2,
        "runbook": slug,
        "objective": {"success": 0.995, "within_seconds": 600.0},
        "impact": {"amount": "amount", "currency": "currency", "customer": "client_id"},
        "requires": [],
        "input": {"schema": {"type": "object", "properties": {}}, "sensitive": []},
        "steps": steps,
        "dependencies": [{"name": name, "availability": 0.995, "timeout_seconds": 10.0} for name in called],
    } | fields


def _input(**properties: Json) -> Json:
    return {
        "schema": {"type": "object", "properties": properties, "required": list(properties)},
        "sensitive": ["contact_email"] if "contact_email" in properties else ["account"],
    }


_AMOUNT = {"type": "number", "title": "Amount", "exclusiveMinimum": 0}
_CURRENCY = {"type": "string", "title": "Currency", "pattern": "^[A-Z]{3}$"}

SETTLE_INVOICE = definition(
    "settle-invoice",
    [
        step("check_invoice", 1, description="The invoice is open, and its lines add up to its amount."),
        step(
            "charge",
            2,
            title="Charge the client",
            description="Takes the amount from the client's card.",
            effect="external",
            calls="payments-gateway",
            timeout_seconds=10.0,
            retry=retry(5),
            needs=["input", "check_invoice"],
            compensates=True,
            verifies=True,
            sensitive=["card_last_four"],
        ),
        step(
            "post_to_ledger",
            3,
            title="Post to the ledger",
            effect="database",
            needs=["input", "charge"],
            retry=retry(3),
            compensates=True,
        ),
        step(
            "send_receipt",
            4,
            effect="external",
            calls="mail",
            timeout_seconds=5.0,
            retry=retry(3),
            needs=["input", "charge"],
            after=["post_to_ledger"],
            optional=True,
        ),
        step("close_invoice", 5, effect="database", needs=["input", "post_to_ledger"], retry=retry(3)),
    ],
    version=3,
    title="Settle an invoice",
    description="Charges the client, posts the entry to the ledger and sends a receipt.",
    tier=1,
    requires=[
        {"name": "PAYMENTS_URL", "kind": "url", "secret": False},
        {"name": "PAYMENTS_KEY", "kind": "secret", "secret": True},
    ],
    input=_input(
        invoice_number={"type": "string", "title": "Invoice number"},
        client_id={"type": "string", "title": "Client"},
        amount=_AMOUNT,
        currency=_CURRENCY,
        contact_email={"type": "string", "title": "Contact e-mail", "format": "email"},
    ),
)

PARTNER_PAYOUT = definition(
    "partner-payout",
    [
        step("calculate_share", 1, title="Calculate the partner's share"),
        step("reserve_funds", 2, effect="database", needs=["calculate_share"], retry=retry(3), compensates=True),
        step(
            "send_payout",
            3,
            title="Send the payout",
            description="Orders the transfer at the bank. The bank does not recognise a repeated order.",
            effect="external",
            idempotent=False,
            calls="banking",
            timeout_seconds=15.0,
            needs=["input", "reserve_funds"],
            compensates=True,
        ),
        step("book_payout", 4, effect="database", needs=["reserve_funds", "send_payout"], retry=retry(3)),
        step(
            "notify_partner",
            5,
            effect="external",
            calls="mail",
            needs=["input", "send_payout"],
            retry=retry(3),
            optional=True,
            conditional=True,
        ),
    ],
    version=1,
    title="Pay a partner",
    description="Pays a partner's share of the fees and books it.",
    impact={"amount": "amount", "currency": "currency", "customer": "partner_id"},
    input=_input(
        partner_id={"type": "string", "title": "Partner"},
        account={"type": "string", "title": "Bank account"},
        amount=_AMOUNT,
        currency=_CURRENCY,
    ),
)
