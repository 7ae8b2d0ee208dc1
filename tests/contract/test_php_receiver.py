"""Spot's document shows in PHP how a receiver verifies a delivery. Its lines run here as they stand, in the server that
PHP brings along."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from tests.harness import running_hub, settings
from tests.ports import free_port
from tests.requirements import require
from tests.waiting import PATIENCE_S

# The lines in the middle are the document's. What it leaves to the reader's framework stands around them: `$request`
# and `abort`.
ROUTER = """<?php
function abort(int $status) { http_response_code($status); exit; }
$request = new class {
    public function header(string $name): string {
        return $_SERVER['HTTP_' . str_replace('-', '_', strtoupper($name))] ?? '';
    }
};
$rawBody = file_get_contents('php://input');
$webhookSecret = trim(file_get_contents(__DIR__ . '/secret'));

$expected = 'sha256=' . hash_hmac('sha256', $rawBody, $webhookSecret);
if (!hash_equals($expected, $request->header('X-Spot-Signature'))) {
    abort(401);
}

file_put_contents(__DIR__ . '/heard', $rawBody . "\\n", FILE_APPEND | LOCK_EX);
"""


@asynccontextmanager
async def php_server(folder: Path) -> AsyncIterator[str]:
    (folder / "hook.php").write_text(ROUTER)
    port = free_port()
    with (folder / "log").open("w") as log:
        server = await asyncio.create_subprocess_exec(
            require("php"), "-S", f"127.0.0.1:{port}", "hook.php", cwd=folder, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient() as client:
            while True:
                try:
                    await client.get(url)
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.02)  # a program that starts has no event to await
        yield url
    finally:
        server.terminate()
        await server.wait()


async def test_the_documents_own_lines_verify_our_deliveries_and_refuse_others(tmp_path: Path) -> None:
    receiver = tmp_path / "php"
    receiver.mkdir()
    (receiver / "secret").write_text("not known yet")
    allowed = {"allow_networks": ["127.0.0.0/8"], "retry_s": [3_600]}
    async with php_server(receiver) as url, running_hub(settings(tmp_path / "hub", webhooks=allowed)) as hub:
        made = await hub.client.post("/api/v1/webhooks", json={"url": url, "events": ["player.created"]})
        webhook = made.json()["data"]
        ping = f"/api/v1/webhooks/{webhook['id']}/ping"

        refused = (await hub.client.post(ping, headers={"Prefer": "wait=20"})).json()["data"]
        assert refused["last_attempt"]["status"] == 401
        (receiver / "secret").write_text(webhook["secret"])
        accepted = (await hub.client.post(ping, headers={"Prefer": "wait=20"})).json()["data"]
        assert (accepted["state"], accepted["last_attempt"]["status"]) == ("delivered", 200)
        assert (receiver / "heard").read_text() == accepted["body"] + "\n"

        body = accepted["body"].encode()
        signature = "sha256=" + hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
        async with httpx2.AsyncClient(timeout=60) as client:
            headers = {"X-Spot-Signature": signature}
            assert (await client.post(url, content=body, headers=headers)).status_code == 200
            assert (await client.post(url, content=body[:-1] + b" ", headers=headers)).status_code == 401
            assert (await client.post(url, content=body)).status_code == 401
