"""Every metric Hermes has, and the snapshot each process pushes to the one registry scraped."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import socket
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Sample = tuple[str, list[tuple[str, str]], float]
Snapshot = list[tuple[str, str, str, list[Sample]]]
Key = tuple[str, str, tuple[tuple[str, str], ...]]
LABEL_CHANNEL = ("channel", "carrier", "status")
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """The metrics of one process on a private registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.messages = Counter(
            "hermes_messages_total", "Attempts by outcome", LABEL_CHANNEL, registry=r
        )
        self.send_seconds = Histogram(
            "hermes_send_seconds",
            "submit_sm to its response",
            ("carrier",),
            buckets=SECONDS,
            registry=r,
        )
        self.inflight = Gauge("hermes_inflight", "Segments unanswered", ("channel",), registry=r)
        self.actor_up = Gauge("hermes_actor_up", "Actor runs", ("actor",), registry=r)
        self.requests = Counter(
            "hermes_http_requests_total", "HTTP answers", ("route", "status"), registry=r
        )
        self.commit_seconds = Histogram(
            "hermes_commit_seconds", "Group commit to the ledger", buckets=SECONDS, registry=r
        )
        self.puback_timeouts = Counter(
            "hermes_nats_puback_timeouts_total", "PubAcks that never came", registry=r
        )
        self.refused = Counter(
            "hermes_stream_refused_total", "Publishes refused: stream full", ("stream",), registry=r
        )
        self.receipts = Counter(
            "hermes_receipts_total", "Receipts by match", ("carrier", "match"), registry=r
        )
        self.events = Counter("hermes_events_total", "Events recorded", ("kind",), registry=r)
        self.binds = Gauge("hermes_bind_up", "Bind is bound", ("carrier", "bind"), registry=r)
        self.problems = Counter(
            "hermes_smpp_problems_total",
            "PDUs a carrier must not send",
            ("carrier", "bind"),
            registry=r,
        )
        self.embedded_up = Gauge(
            "hermes_embedded_up", "Embedded service is healthy", ("service",), registry=r
        )
        self.embedded_restarts = Counter(
            "hermes_embedded_restarts_total",
            "Embedded service starts again",
            ("service",),
            registry=r,
        )
        self.dead = Counter("hermes_dead_total", "Set aside as unreadable", ("stream",), registry=r)
        self.cascade = Counter(
            "hermes_cascade_total", "What the outcome stage did for cascades", ("what",), registry=r
        )
        self.cascades_parked = Gauge(
            "hermes_cascades_parked", "Cascades that wait for an operator", registry=r
        )
        self.swept = Counter("hermes_swept_total", "Rows the clock moved", ("action",), registry=r)


def snapshot(registry: CollectorRegistry) -> Snapshot:
    """Take the samples of a registry, creation times left out."""
    return [
        (
            m.name,
            m.type,
            m.documentation,
            [
                (s.name, sorted(s.labels.items()), s.value)
                for s in m.samples
                if not s.name.endswith("_created")
            ],
        )
        for m in registry.collect()
    ]


class Pusher:
    """Pushes one process's snapshot over a unix datagram; a lost one costs nothing."""

    def __init__(self, path: str, actor: str, metrics: Metrics) -> None:
        self.path, self.actor, self.metrics = path, actor, metrics
        self.boot = str(os.getpid())
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def push(self) -> None:
        """Send the present snapshot."""
        body = json.dumps([self.actor, self.boot, snapshot(self.metrics.registry)]).encode()
        with contextlib.suppress(OSError):
            self.socket.sendto(body, self.path)


class Aggregate(Collector):
    """Sums live snapshots; a retired process keeps its counters and loses its gauges."""

    def __init__(self) -> None:
        self.live: dict[str, tuple[str, Snapshot]] = {}
        self.retired: dict[Key, float] = collections.defaultdict(float)
        self.meta: dict[str, tuple[str, str]] = {}

    def ingest(self, actor: str, boot: str, snap: Snapshot) -> None:
        """Take a snapshot; another boot under the same name retires the old one."""
        if actor in self.live and self.live[actor][0] != boot:
            self.retire(actor)
        self.live[actor] = (boot, snap)
        self.meta.update({name: (kind, doc) for name, kind, doc, _ in snap})

    def retire(self, actor: str) -> None:
        """Keep the counters of a process that is gone."""
        _, snap = self.live.pop(actor, ("", []))
        for name, kind, _, samples in snap:
            if kind in ("counter", "histogram"):
                for s, labels, v in samples:
                    self.retired[name, s, tuple((k, x) for k, x in labels)] += v

    def collect(self) -> Iterator[Metric]:
        """Give the sums to a scrape."""
        total: dict[Key, float] = collections.defaultdict(float, self.retired)
        out: dict[str, Metric] = {}
        for _, snap in self.live.values():
            for name, _, _, samples in snap:
                for s, labels, v in samples:
                    total[name, s, tuple((k, x) for k, x in labels)] += v
        for (name, s, key), v in total.items():
            kind, doc = self.meta[name]
            out.setdefault(name, Metric(name, doc, kind)).add_sample(s, dict(key), v)
        for m in out.values():
            m.samples.sort(
                key=lambda s: (
                    s.name,
                    sorted((k, v) for k, v in s.labels.items() if k != "le"),
                    float(s.labels.get("le", 0)),
                )
            )
            yield m
