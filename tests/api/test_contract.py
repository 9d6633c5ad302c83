"""The API keeps to its own description: schemathesis sends what it allows, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from portal.core.openapi import openapi
from portal.wsgi import application
from tests.api.client import make_token
from tests.bulk.help import begin
from tests.deadletters.shop import make_letter, make_missed
from tests.factories import make_lock, make_run, make_schedule
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import Workflow
from workflows.services import register_workflows

EXAMPLES = 10  # for each operation
CHECKS: list[Any] = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
STATUSES = [RunStatus.FAILED, RunStatus.WAITING, RunStatus.RUNNING, RunStatus.SUCCEEDED]

schema = schemathesis.openapi.from_dict(openapi(), config=SchemathesisConfig(seed=4711))
schema.app = application


@pytest.fixture(autouse=True)
def _one_transaction() -> Iterator[None]:
    """Keep the test's transaction from being taken for a connection left over by another request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def real(personas: Personas) -> dict[str, list[str]]:
    """Names that exist, for the addresses, and a token."""
    register_workflows()
    workflow = Workflow.objects.get(slug="settle-invoice")
    runs = [make_run(workflow, status=status) for status in STATUSES]
    return {
        "run_id": [str(run.pk) for run in runs],
        "step": ["charge", "send_receipt"],
        "slug": ["settle-invoice", "partner-payout"],
        "name": ["payments-gateway", "mail"],
        "key": [make_lock("ledger:client-17", runs[2]).key],
        "inbox_id": [str(make_missed(workflow=workflow).pk) for _ in range(3)],
        "event": ["test.received"],
        "letter_id": [str(make_letter(workflow=workflow).pk) for _ in range(3)],
        "operation_id": [str(begin(personas.actor("operator")).pk)],
        "check": ["trust-account"],
        "schedule": [make_schedule(workflow).name],
        "token": [make_token(personas.operator)],
    }


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_operation(case: Case[Any], real: dict[str, list[str]]) -> None:
    for name, value in (case.path_parameters or {}).items():
        names = real[name]
        # Two in three ask for something that exists, always the same for the same case.
        if choice := sum(map(ord, str(value))) % 3:
            case.path_parameters[name] = names[choice * len(str(value)) % len(names)]
    response = case.call(headers={"Authorization": f"Bearer {real['token'][0]}"})
    case.validate_response(response, checks=CHECKS)
