"""A real browser without a window, driven by the DevTools protocol."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from tests.requirements import require


class Tab:
    """One page of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._loads = 0

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = await self._next()
            if message.get("id") == self._number:
                result: dict[str, Any] = message["result"]
                return result

    async def run(self, script: str) -> Any:
        """The value of an expression; the page's own scripts stay off."""
        return (await self.do("Runtime.evaluate", expression=script))["result"].get("value")

    async def loaded(self) -> None:
        """The next page is there."""
        while not self._loads:
            await self._next()
        self._loads -= 1

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self._socket.recv())
        self._loads += message.get("method") == "Page.loadEventFired"
        return message


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server", f"--user-data-dir={folder}"]
    process = await asyncio.create_subprocess_exec(
        require("chromium"), *switches, "--remote-debugging-port=0", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        while not (found := re.search(rb"ws://127\.0\.0\.1:(\d+)/", await process.stderr.readline())):
            assert process.returncode is None, "the browser did not start"
        async with httpx2.AsyncClient(timeout=60) as client:
            pages = (await client.get(f"http://127.0.0.1:{int(found[1])}/json")).json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        async with connect(address, proxy=None, max_size=None) as socket:
            tab = Tab(socket)
            await tab.do("Page.enable")
            await tab.do("Emulation.setScriptExecutionDisabled", value=True)
            yield tab
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
