"""What a step logs can be found by its run and by its correlation id."""

from __future__ import annotations

import pytest

from tests.engine import flows
from tests.engine.drive import drive, started
from tests.log_lines import Lines
from workflows import StepContext

pytestmark = pytest.mark.django_db


def test_a_line_of_a_step_names_the_run_and_its_correlation_id(lines: Lines) -> None:
    def pay(ctx: StepContext) -> flows.Note:
        ctx.log.warning("The account is nearly empty")
        return flows.Note(text="paid")

    flows.behaviour["pay"] = pay
    run = drive(started(flows.order_flow))
    (line,) = [line for line in lines.read_all() if line["event"] == "The account is nearly empty"]
    assert (line["run_id"], line["correlation_id"]) == (str(run.pk), run.correlation_id)
