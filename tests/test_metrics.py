"""The figures: their names, their labels, and that hubs in one process do not share them."""

from prometheus_client.parser import text_string_to_metric_families

from hub.metrics import Metrics


def test_all_names_are_ours_or_the_processes():
    names = {family.name for family in text_string_to_metric_families(Metrics().render().decode())}
    assert names >= {
        "signalbox_players_connected",
        "signalbox_command_transitions",
        "signalbox_webhook_deliveries",
        "signalbox_http_request_seconds",
        "signalbox_store_commit_seconds",
        "signalbox_store_batch_units",
        "signalbox_sockets_closed",
        "signalbox_upload_bytes",
    }
    assert not [name for name in names if not name.startswith(("signalbox_", "process_", "python_"))]


def test_two_hubs_count_apart():
    first, second = Metrics(), Metrics()
    first.sockets_closed.labels(4009).inc()
    sample = ("signalbox_sockets_closed_total", {"code": "4009"})
    assert first.registry.get_sample_value(*sample) == 1
    assert second.registry.get_sample_value(*sample) is None


def test_a_request_is_counted_under_route_method_and_status():
    metrics = Metrics()
    metrics.observe_request("/api/v1/players/{player_id}", "GET", 200, 0.004)
    labels = {"route": "/api/v1/players/{player_id}", "method": "GET", "status": "200"}
    assert metrics.registry.get_sample_value("signalbox_http_request_seconds_count", labels) == 1
    assert metrics.registry.get_sample_value("signalbox_http_request_seconds_bucket", {**labels, "le": "0.005"}) == 1
    assert metrics.registry.get_sample_value("signalbox_http_request_seconds_bucket", {**labels, "le": "0.0025"}) == 0


def test_a_commit_is_counted_with_its_size_and_time():
    metrics = Metrics()
    metrics.observe_commit(3, 0.004)
    assert metrics.registry.get_sample_value("signalbox_store_batch_units_sum") == 3
    assert metrics.registry.get_sample_value("signalbox_store_commit_seconds_sum") == 0.004
