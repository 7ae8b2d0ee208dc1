"""What the kit does at a hub in the part of an operator, by calls of the REST API."""

import asyncio
from dataclasses import dataclass

from hub import client
from hub.conformance.page import Unreachable
from hub.conformance.transcript import Json


@dataclass(slots=True)
class Operator:
    """`key` is an API key that may write players. The calls raise Unreachable where the hub says no."""

    url: str
    key: str
    player_id: int = 0

    async def make_player(self) -> str:
        """A player for the kit; its token."""
        made = await self.call("POST", "/api/v1/players", {"name": "Conformance kit"})
        self.player_id = _number(_inside(made, "data"), "id")
        given = await self.call("POST", f"/api/v1/players/{self.player_id}/token")
        return str(given.get("token"))

    async def remove_player(self) -> None:
        await self.call("DELETE", f"/api/v1/players/{self.player_id}")

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer's JSON object; empty where there is none."""
        try:
            answer = await asyncio.to_thread(client.call, method, self.url, self.key, path, body)
        except client.Refused as refusal:
            raise Unreachable(f"{method} {path}: {refusal.message}") from None
        return answer if isinstance(answer, dict) else {}


def _inside(answer: Json, name: str) -> Json:
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def _number(answer: Json, name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int):
        raise Unreachable(f"The hub's answer has no {name}: it does not speak this API.")
    return value
