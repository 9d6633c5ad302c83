"""The torture test in its short form: a minute of everything at once. The long form: benchmarks/torture.py."""

from __future__ import annotations

import json

import pytest

from benchmarks.torture import torture

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_a_storm_of_faults_breaks_no_promise() -> None:
    report = torture(seed=20, seconds=50)
    assert report["violations"] == [], json.dumps(report, indent=2)
    assert report["accepted"] > 0
    assert sum(report["faults"].values()) > 0


def test_a_build_without_fencing_is_found_out() -> None:
    report = torture(seed=20, seconds=50, broken="fence")
    found = {violation["check"] for violation in report["violations"]}
    assert "one_worker_at_a_time" in found, json.dumps(report, indent=2)
