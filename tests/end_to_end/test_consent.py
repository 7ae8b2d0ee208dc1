"""The consent page in a real browser with its scripts switched off, driven by the DevTools protocol."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from tests.api.oauth.browser import Pkce, asks, registered
from tests.harness import PASSWORD, running_hub, settings
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


@asynccontextmanager
async def program() -> AsyncIterator[tuple[str, list[str]]]:
    """A program's site: (its redirect URI, the paths that were asked for). From there it leads on to another site."""
    paths: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        paths.append(path)
        if path.startswith("/callback"):
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://localhost:%d/inside\r\n" % port)
            writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>inside</title>"
            )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}/callback", paths


async def test_a_person_without_scripts_signs_in_allows_and_arrives(tmp_path: Path) -> None:
    require("chromium")
    async with (
        asyncio.timeout(90),
        running_hub(settings(tmp_path / "hub")) as hub,
        program() as (callback, paths),
        browser(tmp_path / "browser") as tab,
    ):
        client = await registered(hub.client, redirect_uris=[callback])
        asked = asks(client["client_id"], Pkce(), redirect_uri=callback)
        await tab.do("Page.navigate", url=f"{hub.url}/oauth/authorize?{urlencode(asked)}")
        await tab.loaded()
        assert await tab.run("document.title") == "Sign in"
        assert await tab.run("getComputedStyle(document.body).maxWidth") == "512px"  # the style passes the policy
        await tab.run("document.getElementById('email').value = 'owner@example.com'")
        await tab.run(f"document.getElementById('password').value = {json.dumps(PASSWORD)}")
        await tab.run("document.querySelector('button').click()")
        await tab.loaded()
        assert "Send commands to players" in await tab.run("document.body.innerText")
        await tab.run("document.querySelector('button').click()")
        await tab.loaded()
        assert await tab.run("document.title") == "inside"
        assert [path.partition("?")[0] for path in paths if "favicon" not in path] == ["/callback", "/inside"]
        assert "code=" in paths[0]
