"""What a screen shows: the newest picture of a player, and pictures by signed links that need no other credential."""

from collections.abc import Callable
from typing import Any

from hub.domain import signing
from hub.domain.access import Actor
from hub.domain.errors import NotFound
from hub.domain.times import now_ms, rfc3339
from hub.store import players
from hub.store import uploads as store
from hub.store.blobs import Blobs, Content
from hub.store.database import Database
from hub.store.tables import Screenshot


class Screenshots:
    """`secret` signs the links: it is the database's own, so links live on after a restart and on every node.
    `public_url` stands before them (`https://hub.example.com`); empty leaves the path alone."""

    def __init__(
        self, db: Database, blobs: Blobs, secret: str, public_url: str = "", *, clock: Callable[[], int] = now_ms
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._secret = secret.encode()
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    async def latest(self, actor: Actor, player_id: int, *, base_url: str = "") -> dict[str, Any]:
        """The newest picture. `base_url` is the hub's address as this caller knows it, for when none is set.

        Raises NotFound for another team's player, and with words of its own for one that has no picture yet.
        """
        actor.require("read:players")
        async with self._db.session() as session:
            await players.get(session, actor.team_id, player_id)
            row = await store.latest_screenshot(session, actor.team_id, player_id)
        if row is None:
            raise NotFound("No screenshot available.", code="no_screenshot")
        return self._describe(row, base_url)

    async def get(self, actor: Actor, screenshot_id: int, *, base_url: str = "") -> dict[str, Any]:
        """One picture by its number. Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            row = await store.screenshot(session, screenshot_id, actor.team_id)
        return self._describe(row, base_url)

    async def image(self, screenshot_id: int, expires: str, signature: str) -> Content:
        """The picture behind a link, given the two values of its query. Raises Forbidden for a wrong signature, Gone
        for one whose time is over, NotFound when the picture was removed."""
        signing.verify(self._secret, "GET", _path(screenshot_id), expires, signature, self._clock())
        async with self._db.session() as session:
            row = await store.screenshot(session, screenshot_id)
        return Content(row.team_id, row.mime, row.size, row.sha256, await self._blobs.stream(row.blob))

    def url_of(self, screenshot_id: int, base_url: str = "") -> str:
        """A link to the picture, good for an hour."""
        link = signing.signed(self._secret, "GET", _path(screenshot_id), self._clock() + signing.LIFETIME)
        return (self._public_url or base_url.rstrip("/")) + link

    def _describe(self, row: Screenshot, base_url: str) -> dict[str, Any]:
        assert row.id is not None
        return {
            "id": row.id,
            "player_id": row.player_id,
            "url": self.url_of(row.id, base_url),
            "captured_at": rfc3339(row.captured_at),
            "source": row.source,
            "mime": row.mime,
            "size": row.size,
            "sha256": row.sha256,
            "command_id": row.command_id,
            "current_item": store.current_item(row.asset_id, row.asset_name),
        }


def _path(screenshot_id: int) -> str:
    return f"/api/v1/screenshots/{screenshot_id}/image"
