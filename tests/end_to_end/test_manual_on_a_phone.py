"""The manual in a real browser of a phone's width: nothing is wider than the screen but what scrolls by itself."""

import asyncio
from pathlib import Path

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
