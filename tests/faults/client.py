"""The operator's side: a client that repeats what was not answered, with the same Idempotency-Key."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

import httpx2

from hub.domain import signing
from tests.faults.stage import now_ms

RETRY_S = 0.05
PATIENCE_S = 30.0  # for one answer, over all repetitions
FINAL = ("succeeded", "failed", "rejected", "cancelled", "expired", "timed_out", "delivered")


class Violation(Exception):
    """The hub answered what it must not answer."""


@dataclass(slots=True)
class Asked:
    """A command that was asked for, and the id under which the hub accepted it. `cancelled`: it was called back."""

    key: str
    body: dict[str, Any]
    command_id: str
    cancelled: bool = False


class Operator:
    def __init__(self, url: str, api_key: str) -> None:
        self.asked: list[Asked] = []
        self._client = httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=15)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, player_id: int, command: str, payload: dict[str, Any], **more: Any) -> Asked:
        """Send a command until it is accepted."""
        key = f"key-{len(self.asked)}"
        body = {"player_id": player_id, "command": command, "payload": payload} | more
        asked = Asked(key, body, "")
        self.asked.append(asked)
        asked.command_id = await self._post(asked)
        return asked

    async def ask_again(self, asked: Asked) -> str:
        """The same request once more; answers the id that it gets."""
        return await self._post(asked)

    async def call_back(self, asked: Asked) -> None:
        asked.cancelled = True
        await self._call("DELETE", f"/api/v1/commands/{asked.command_id}", expected=(200, 202, 409))

    async def until(self, asked: Asked, *states: str) -> dict[str, Any]:
        """The command's story once it is in one of these states, or over. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                wait = {"Prefer": "wait=5"} if not states else {}
                answer = await self._call("GET", f"/api/v1/commands/{asked.command_id}", headers=wait, expected=(200,))
                story: dict[str, Any] = answer.json()["data"]
                if story["status"] in FINAL or story["status"] in states:
                    return story
                if states:
                    await asyncio.sleep(RETRY_S)

    async def stories(self) -> list[dict[str, Any]]:
        """All commands that the hub knows of, newest first."""
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 100}
        while True:
            page = (await self._call("GET", "/api/v1/commands", params=params, expected=(200,))).json()
            found += page["data"]
            if page["meta"]["next"] is None:
                return found
            params["before"] = page["meta"]["next"]

    async def events(self) -> list[dict[str, Any]]:
        answer = await self._call("GET", "/api/v1/events", params={"limit": 1000}, expected=(200,))
        events: list[dict[str, Any]] = answer.json()["data"]
        return events

    async def picture(self, screenshot_id: int, secret: str) -> str:
        """The sha256 of a picture as it is served, or the status with which it is not."""
        path = f"/api/v1/screenshots/{screenshot_id}/image"
        link = signing.signed(secret.encode(), "GET", path, now_ms() + signing.LIFETIME)
        answer = await self._call("GET", link, expected=(200, 404))
        return hashlib.sha256(answer.content).hexdigest() if answer.status_code == 200 else "404"

    async def _post(self, asked: Asked) -> str:
        answer = await self._call(
            "POST", "/api/v1/commands", json=asked.body, headers={"Idempotency-Key": asked.key}, expected=(202,)
        )
        command_id: str = answer.json()["command_id"]
        return command_id

    async def _call(self, method: str, path: str, *, expected: tuple[int, ...], **more: Any) -> httpx2.Response:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self._client.request(method, path, **more)
                except httpx2.TransportError:  # it is being killed, or not up yet
                    await asyncio.sleep(RETRY_S)
                    continue
                if answer.status_code in expected:
                    return answer
                if answer.status_code != 503:
                    raise Violation(f"{method} {path} was answered {answer.status_code}: {answer.text[:200]}")
                await asyncio.sleep(RETRY_S)
