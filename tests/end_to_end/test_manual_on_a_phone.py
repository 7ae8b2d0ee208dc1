"""The manual and the page of pairing in a real browser: at a phone's width nothing is wider than the screen but what
scrolls by itself, and names stay whole where there is room for them."""

import asyncio
import json
from pathlib import Path

import pytest

from hub.api.docs import manual
from tests.browser import browser
from tests.harness import running_hub, settings
from tests.requirements import require

WIDTH_PX = 375
WIDER = f"""
[...document.querySelectorAll("main *, nav *")]
  .filter(e => !e.closest("pre, .table") && e.getBoundingClientRect().right > {WIDTH_PX} + 1)
  .map(e => e.outerHTML.slice(0, 80)).join("\\n")
"""
BROKEN = r"""
[...document.querySelectorAll("td code")]
  .filter(e => /^[\w.:]+$/.test(e.innerText) && e.getClientRects().length > 1)
  .map(e => e.innerText).join("\n")
"""
"""Names in tables that go on in the next line; they have no place at which a line may end."""
SCROLLS = """
[...document.querySelectorAll(".table")]
  .filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText.slice(0, 80)).join("\\n")
"""
LINES = """
e => { const r = document.createRange(); r.selectNodeContents(e);
  return new Set([...r.getClientRects()].map(box => Math.round(box.top))).size }
"""


async def test_every_page_fits_a_phone(tmp_path: Path) -> None:
    require("chromium")
    pages = ("", *(f"/{name}" for name in manual.PAGES if name != "index"), "/api")
    async with (
        asyncio.timeout(120),
        running_hub(settings(tmp_path / "hub")) as hub,
        browser(tmp_path / "browser") as tab,
    ):
        await tab.do("Emulation.setDeviceMetricsOverride", width=WIDTH_PX, height=812, deviceScaleFactor=2, mobile=True)
        for page in pages:
            await tab.do("Page.navigate", url=f"{hub.url}/docs{page}")
            await tab.loaded()
            assert await tab.run("document.querySelector('h1').innerText"), page
            assert not await tab.run(f"document.querySelectorAll('details').forEach(e => e.open = true); {WIDER}"), page
            assert await tab.run("document.documentElement.scrollWidth") == WIDTH_PX, page


async def test_on_a_desk_no_name_in_a_table_is_broken_and_no_table_is_wider_than_the_page(tmp_path: Path) -> None:
    require("chromium")
    pages = ("", *(f"/{name}" for name in manual.PAGES if name != "index"), "/api")
    async with (
        asyncio.timeout(120),
        running_hub(settings(tmp_path / "hub")) as hub,
        browser(tmp_path / "browser") as tab,
    ):
        await tab.do("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        for page in pages:
            await tab.do("Page.navigate", url=f"{hub.url}/docs{page}")
            await tab.loaded()
            await tab.run("document.querySelectorAll('details').forEach(e => e.open = true)")
            assert await tab.run(BROKEN) == "", page
            assert await tab.run(SCROLLS) == "", page


@pytest.mark.parametrize("width", [WIDTH_PX, 1280])
async def test_the_page_of_pairing_keeps_id_address_and_time_in_one_line(tmp_path: Path, width: int) -> None:
    require("chromium")
    told = {
        "host_name": "lobby-screen-on-the-ground-floor-beside-the-second-lift-of-11",
        "short_id": "8f-8a-0a",
        "model": "Raspberry Pi 5",
        "address": "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
        "requested_at": "11/30/2026, 12:42:02 PM",
    }
    async with (
        asyncio.timeout(120),
        running_hub(settings(tmp_path / "hub")) as hub,
        browser(tmp_path / "browser") as tab,
    ):
        await tab.do("Emulation.setDeviceMetricsOverride", width=width, height=812, deviceScaleFactor=1, mobile=True)
        await tab.do("Page.navigate", url=f"{hub.url}/pair")
        await tab.loaded()
        await tab.run("document.getElementById('decide').hidden = false")
        for name, text in told.items():
            await tab.run(f"document.getElementById('{name}').textContent = {json.dumps(text)}")
        for name in ("short_id", "address", "requested_at"):
            assert await tab.run(f"({LINES})(document.getElementById('{name}'))") == 1, name
        assert await tab.run("document.documentElement.scrollWidth") == width
