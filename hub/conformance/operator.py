"""What the kit does at a hub in the part of an operator, by calls of the REST API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.conformance.page import Broken, Section, Unreachable
from hub.conformance.transcript import Json
from hub.protocol.json_text import loads

if TYPE_CHECKING:
    import httpx2

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ANSWER_S = 20.0
_OFFER = (
    "device_code", "user_code", "verification_uri", "verification_uri_complete", "qr_code", "expires_in", "interval",
)  # fmt: skip


@asynccontextmanager
async def http(url: str, token: str = "") -> "AsyncIterator[httpx2.AsyncClient]":
    """Calls to a hub, with a credential where one is given. A call without an answer raises Unreachable."""
    import httpx2

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S) as client:
            yield client
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unreachable(f"No answer from {url}: {error or type(error).__name__}.") from None


@dataclass(slots=True)
class Operator:
    """`key` is an API key that may write players. The calls raise Unreachable where the hub says no, or nothing."""

    url: str
    key: str
    player_id: int = 0

    async def make_player(self) -> str:
        """A player for the kit; its token."""
        made = await self.call("POST", "/api/v1/players", {"name": "Conformance kit"})
        inside = made.get("data")
        self.player_id = _number(inside if isinstance(inside, dict) else {}, "id")
        given = await self.call("POST", f"/api/v1/players/{self.player_id}/token")
        return str(given.get("token"))

    async def remove_player(self) -> None:
        await self.call("DELETE", f"/api/v1/players/{self.player_id}")

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer's JSON object; empty where there is none."""
        async with http(self.url, self.key) as client:
            answer = await client.request(method, path, json=body)
        told = read_object(answer.content)
        if answer.status_code >= 400:
            raise Unreachable(f"{method} {path} was answered {answer.status_code}: {told.get('message', '')}")
        return told

    async def pair(self, section: Section) -> str:
        """Get a token as a device does: ask for a code, have it approved for the kit's player, poll. Raises Broken."""
        async with http(self.url) as device:
            about = {"client_id": "player", "hardware_id": "conformance-kit", "model": "Conformance kit"}
            offer = await device.post("/oauth/device_authorization", data=about)
            told = read_object(offer.content) if offer.status_code == 200 else {}
            if missing := [name for name in _OFFER if name not in told]:
                raise Broken(section, f"device_authorization answered {offer.status_code} without {missing[0]}.")
            form = {"grant_type": DEVICE_GRANT, "device_code": str(told["device_code"]), "client_id": "player"}
            early = await device.post("/oauth/token", data=form)
            if read_object(early.content).get("error") != "authorization_pending":
                raise Broken(section, "A poll before the approval was not answered authorization_pending.")
            decision = {"code": told["user_code"], "player_id": self.player_id}
            await self.call("POST", "/api/v1/players/pair", decision)
            await asyncio.sleep(_number(told, "interval"))
            given = await device.post("/oauth/token", data=form, headers={"Prefer": "wait=15"})
            token = read_object(given.content).get("access_token")
            if given.status_code != 200 or not isinstance(token, str):
                raise Broken(section, f"A poll after the approval was answered {given.status_code} without a token.")
            return token


def read_object(body: bytes) -> Json:
    """The JSON object of an answer; empty for anything else."""
    try:
        raw = loads(body)
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _number(answer: Json, name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int):
        raise Unreachable(f"The hub's answer has no {name}: it does not speak this API.")
    return value
