"""The consent page in a real browser with its scripts switched off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from tests.api.oauth.browser import Pkce, asks, registered
from tests.browser import browser
from tests.harness import PASSWORD, running_hub, settings
from tests.requirements import require
from tests.tcp_server import tcp_server


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

    async with tcp_server(serve) as port:
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
