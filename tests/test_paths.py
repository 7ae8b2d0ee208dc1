"""Slashes too many in a path: every route of the hub reads them in one way."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from tests.harness import running_hub, settings
from tests.raw_http import exchange
from tests.whole_hub import WholeHub, whole_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")
VARIANTS = ("/{}", "//{}", "{}/", "{}//", "///{}//")
"""Of a path that begins with a slash."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholeHub]:
    async with whole_hub(tmp_path_factory.mktemp("hub"), rate_limits={"enabled": False}) as hub:
        yield hub


def filled(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", template)


def pages(app: Starlette) -> list[str]:
    """What Starlette routes serve, with a name where a path has one, but for the start page."""
    paths = [route.path.replace("{name}", "limits") for route in app.routes if isinstance(route, Route)]
    return [path for path in paths if path != "/"]


def said(answer: httpx2.Response) -> tuple[int, bytes, Mapping[str, str]]:
    """What must not differ; figures differ by the call before."""
    body = b"" if answer.request.url.path.strip("/") == "metrics" else answer.content
    return answer.status_code, body, {name: answer.headers.get(name, "") for name in ("content-type", "location")}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_every_page_and_check_is_found(hub: WholeHub, variant: str) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(hub), base_url="http://hub.test") as anybody:
        paths = pages(hub._app)
        assert {"/docs", "/docs/api", "/docs/limits", "/healthz", "/readyz", "/metrics", "/openapi.json", "/pair",
                "/ws/player", "/ws/operator"} <= set(paths)  # fmt: skip
        for path in paths:
            plain = await anybody.get(path)
            assert plain.status_code == (426 if path.startswith("/ws/") else 200), path
            assert said(await anybody.get("http://hub.test" + variant.format(path))) == said(plain), path


@pytest.mark.parametrize("variant", VARIANTS)
async def test_every_call_of_the_table_is_found(hub: WholeHub, variant: str) -> None:
    nowhere = {"type": "http", "path": "/api/v1/nowhere/at/all"}
    assert hub.table.matches(nowhere)[1]["signalbox.resource"] is None
    for entry in hub.table.entries:
        path = filled(entry.template)
        found = hub.table.matches({"type": "http", "path": path})[1]
        assert found["signalbox.resource"].template == entry.template
        assert hub.table.matches({"type": "http", "path": variant.format(path)})[1] == found


async def test_figures_at_an_address_of_their_own_are_found(hub: WholeHub) -> None:
    figures = hub._app.state.metrics
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(figures), base_url="http://hub.test") as anybody:
        for variant in VARIANTS:
            assert (await anybody.get("http://hub.test" + variant.format("/metrics"))).status_code == 200


@pytest.mark.parametrize("path", ["/docs//api", "/api//v1/players", "/ws//player", "/healthz/x", "//"])
async def test_slashes_in_the_middle_are_not_overlooked(hub: WholeHub, path: str) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(hub), base_url="http://hub.test") as anybody:
        answer = await anybody.get("http://hub.test" + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_over_the_wire_too(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as served:
        for path in ("//docs", "/docs/", "//healthz/", "http://hub/healthz/", "/%2Fhealthz", "//openapi.json"):
            [answer] = await exchange(
                served.port, f"GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n".encode()
            )
            assert answer.status == 200, path
