"""One registry over many processes: counters survive their process, gauges do not."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from hermes.metrics import Aggregate, Metrics, snapshot


def test_counters_of_a_dead_process_stay_and_its_gauges_vanish() -> None:
    aggregate = Aggregate()
    first, second = Metrics(), Metrics()
    first.messages.labels("sms", "sim", "sent").inc(3)
    first.inflight.labels("sms").set(7)
    second.messages.labels("sms", "sim", "sent").inc(2)
    aggregate.ingest("bind-1", "100", snapshot(first.registry))
    aggregate.ingest("bind-2", "200", snapshot(second.registry))
    aggregate.retire("bind-1")
    text = scrape(aggregate)
    assert 'hermes_messages_total{carrier="sim",channel="sms",status="sent"} 5.0' in text
    assert "hermes_inflight{" not in text


def test_a_restart_under_the_same_name_keeps_totals_monotone() -> None:
    aggregate = Aggregate()
    for boot, count in (("1", 5), ("2", 1)):
        metrics = Metrics()
        metrics.events.labels("sent").inc(count)
        aggregate.ingest("recorder", boot, snapshot(metrics.registry))
    assert 'hermes_events_total{kind="sent"} 6.0' in scrape(aggregate)


def scrape(aggregate: Aggregate) -> str:
    """Give what a scrape would see."""
    registry = CollectorRegistry()
    registry.register(aggregate)
    return generate_latest(registry).decode()
