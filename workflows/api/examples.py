"""Requests and answers that the API's description shows."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

RUN = OpenApiExample(
    "A run that waits for a service",
    value={
        "id": "019b4c5e-7f3a-7c11-9d2e-3f1a4b5c6d7e",
        "workflow": "settle-invoice",
        "workflow_version": 3,
        "status": "waiting",
        "waiting_reason": "dependency",
        "waiting_on": "payments-gateway",
        "request": "",
        "revision": 7,
        "current_step": "charge",
        "retry_count": 1,
        "customer": "client-17",
        "amount": "1250.00",
        "currency": "EUR",
        "idempotency_key": "invoice-4711",
        "correlation_id": "019b4c5e7f3a7c119d2e3f1a4b5c6d7e",
        "started_by": "Sam Support",
        "created_at": "2026-11-20T06:24:36.104512Z",
        "started_at": "2026-11-20T06:24:36.131044Z",
        "ended_at": None,
        "due_at": "2026-11-20T06:34:36.104512Z",
    },
    response_only=True,
)
START = OpenApiExample(
    "Settle an invoice",
    value={
        "input": {
            "invoice_number": "INV-2026-00412",
            "client_id": "harbour-lane-estates",
            "amount": "1250.00",
            "currency": "EUR",
            "card_token": "tok_visa_4242",
            "receipt_to": "accounts@harbour-lane.example",
        }
    },
    request_only=True,
)
REASON = OpenApiExample(
    "With the revision that was looked at",
    value={"reason": "The gateway is up again, see INC-204.", "expected_revision": 7},
    request_only=True,
)
