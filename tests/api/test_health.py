"""Liveness, readiness, figures."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.api import health


async def works():
    return None


async def breaks():
    raise ConnectionError("postgresql://hub:hunter2@db")


async def test_alive_is_alive_whatever_else_fails(client, hub):
    hub.checks["database"] = breaks
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_when_every_check_passes(client, hub):
    hub.checks.update(database=works, blobs=works)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_not_ready_names_what_fails_and_nothing_else(client, hub):
    hub.checks.update(database=breaks, blobs=works)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "message": "Not ready: database.",
        "code": "not_ready",
        "errors": {"database": ["This check failed."]},
    }
    hub.checks["database"] = works
    assert (await client.get("/readyz")).status_code == 200


async def test_a_check_that_hangs_counts_as_failed(client, hub, monkeypatch):
    monkeypatch.setattr(health, "CHECK_S", 0.01)
    hub.checks["broker"] = asyncio.Event().wait
    answer = await client.get("/readyz")
    assert answer.json()["errors"] == {"broker": ["No answer within 0.01 s."]}


@pytest.mark.filterwarnings("error")
async def test_figures_are_readable_for_prometheus(client, hub):
    hub.metrics.players_connected.set(3)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["signalbox_players_connected"].samples[0].value == 3
