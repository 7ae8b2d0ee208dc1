"""What Prometheus reads at /metrics. One object per hub, handed to whoever counts.

Labels are words from short fixed lists, never a player, team or path of a request: a fleet of 10,000 must not
become 10,000 time series.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# A local answer takes about a millisecond, a waiting one (`Prefer: wait`) up to 30 s.
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
# An fsync on an SSD takes under a millisecond, on an SD card or a busy disk tens to hundreds.
COMMIT_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0)
# One unit is an idle hub; hundreds are a fleet reconnecting.
BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.players_connected = Gauge(
            "signalbox_players_connected", "Player sockets held by this process.", registry=self.registry
        )
        self.operators_connected = Gauge(
            "signalbox_operators_connected", "Operator sockets held by this process.", registry=self.registry
        )
        self.command_transitions = Counter(
            "signalbox_command_transitions", "Commands that entered a state.", ["state"], registry=self.registry
        )
        self.webhook_deliveries = Counter(
            "signalbox_webhook_deliveries", "Delivery attempts by outcome.", ["outcome"], registry=self.registry
        )
        self.http_request_seconds = Histogram(
            "signalbox_http_request_seconds",
            "Time from a request's arrival to its whole answer.",
            ["route", "method", "status"],
            registry=self.registry,
            buckets=REQUEST_BUCKETS_S,
        )
        self.store_commit_seconds = Histogram(
            "signalbox_store_commit_seconds",
            "Time a group commit took on the database.",
            registry=self.registry,
            buckets=COMMIT_BUCKETS_S,
        )
        self.store_batch_units = Histogram(
            "signalbox_store_batch_units", "Units in one group commit.", registry=self.registry, buckets=BATCH_BUCKETS
        )
        self.sockets_closed = Counter(
            "signalbox_sockets_closed", "WebSockets closed, by close code.", ["code"], registry=self.registry
        )
        self.upload_bytes = Counter(
            "signalbox_upload_bytes", "Bytes of finished uploads from players.", ["kind"], registry=self.registry
        )
        self.plays = Counter(
            "signalbox_plays",
            "Plays that players told, by outcome: stored, repeated, dropped.",
            ["outcome"],
            registry=self.registry,
        )
        self.device_events = Counter(
            "signalbox_device_events",
            "Events that devices told, by outcome: stored, dropped.",
            ["outcome"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the path's template, `/api/v1/players/{player_id}`."""
        self.http_request_seconds.labels(route, method, status).observe(seconds)

    def observe_commit(self, units: int, seconds: float) -> None:
        """One group commit, as the store's writer tells it."""
        self.store_batch_units.observe(units)
        self.store_commit_seconds.observe(seconds)

    def render(self) -> bytes:
        """The text that Prometheus scrapes, in CONTENT_TYPE."""
        return generate_latest(self.registry)
