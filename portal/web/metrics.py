"""Numbers for Prometheus, read from the database at each scrape: every process answers the same."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from portal.web.health import short_statements
from workflows.queries.numbers import fleet_numbers


class FleetCollector(Collector):
    """Turns the fleet's numbers into metric families."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        with short_statements():
            numbers = fleet_numbers()
        for number in numbers:
            family = GaugeMetricFamily(f"evenkeel_{number.name}", number.help, labels=number.labels)
            for labels, value in number.values:
                family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()  # without it, registering would ask the database


registry = CollectorRegistry(auto_describe=False)
registry.register(FleetCollector())
