"""Direct uploads: a signed URL to PUT one file to, without any other credential.

The signature binds method, object and end; the ticket behind the object binds media type, and size and SHA-256 where
they were announced. The asset exists once the bytes are there and agree. A ticket makes one asset: the same bytes once
more answer with it, other bytes are refused. Whoever asked for the ticket answers for the upload until the ticket ends,
even if the key is revoked meanwhile.
"""

from collections.abc import Callable
from typing import Any

from hub.domain import content as rules
from hub.domain import ids, signing
from hub.domain.access import Actor
from hub.domain.errors import Conflict, Invalid, NotFound
from hub.domain.quotas import Quotas
from hub.domain.times import DAY, SECOND, now_ms, rfc3339
from hub.domain.wording import unknown
from hub.services.content import Content
from hub.services.recorded_change import Change
from hub.services.spool import SpooledFile
from hub.store import content as store
from hub.store import quotas as team_quotas
from hub.store.database import Database
from hub.store.tables import Asset, UploadTicket


class DirectUploads:
    """`secret` and `public_url` as with downloads; a ticket is good for `lifetime_s` seconds to begin an upload."""

    def __init__(
        self,
        db: Database,
        content: Content,
        secret: str,
        public_url: str = "",
        *,
        quotas: Quotas | None = None,
        lifetime_s: int = 900,
        clock: Callable[[], int] = now_ms,
        reached: Callable[[], int] | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._content = content
        self._secret = secret.encode()
        self._public_url = public_url.rstrip("/")
        self._lifetime_ms = lifetime_s * SECOND
        self._clock = clock
        self._reached = reached or clock

    async def issue(
        self,
        actor: Actor,
        *,
        filename: str,
        mime: str,
        size: int | None = None,
        sha256: str | None = None,
        name: str | None = None,
        folder_id: int | None = None,
        face: str,
        base_url: str = "",
    ) -> dict[str, Any]:
        """{upload_url, asset_key, expires_at}. Raises Invalid for a type that cannot be shown, a file that is too
        large, or a folder that is not there."""
        actor.require("write:content")
        known = rules.mime_named(mime)
        if known is None:
            raise Invalid.field("mime_type", "must be a type of pictures, videos or sounds that can be shown")
        if size is not None and size > self._content.max_bytes:
            raise Invalid.field("size", f"must be at most {self._content.max_bytes:,} bytes")
        now = self._clock()
        ticket = UploadTicket(
            key=ids.asset_key(),
            team_id=actor.team_id,
            filename=rules.filename(filename) or "file",
            mime=known,
            size=size,
            sha256=sha256,
            name=name,
            folder_id=folder_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            face=face,
            created_at=now,
            expires_at=self._reached() + self._lifetime_ms,
        )
        async with self._db.transaction() as session:
            if folder_id is not None and not await store.has_folder(session, actor.team_id, folder_id):
                raise unknown("folder_id", "folder")
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "upload_urls", now))
            session.add(ticket)
        link = signing.signed(self._secret, "PUT", _path(ticket.key), ticket.expires_at)
        return {
            "upload_url": (self._public_url or base_url.rstrip("/")) + link,
            "asset_key": ticket.key,
            "expires_at": rfc3339(ticket.expires_at),
        }

    async def check(
        self, key: str, expires: str, signature: str, *, media_type: str | None, length: int | None
    ) -> UploadTicket:
        """The ticket behind an upload URL, before any byte is read. `media_type` and `length` are what the request
        says of itself. Raises Forbidden, Gone, NotFound, Invalid."""
        signing.verify(self._secret, "PUT", _path(key), expires, signature, self._clock())
        async with self._db.session() as session:
            ticket = await store.ticket(session, key)
        if ticket is None:
            raise NotFound
        if media_type is not None and rules.mime_named(media_type) != ticket.mime:
            raise Invalid.field("content-type", f"must be {ticket.mime}, as announced", code="type_mismatch")
        if length is not None and ticket.size is not None and length != ticket.size:
            raise _size_mismatch(length, ticket.size)
        return ticket

    async def redeem(
        self, ticket: UploadTicket, incoming: SpooledFile, *, base_url: str = ""
    ) -> tuple[dict[str, Any], bool]:
        """(the asset that the upload is now, whether it is new). Raises as `Content.add_file`, and Conflict when the
        ticket was used for other bytes."""
        await incoming.finish()
        if ticket.size is not None and incoming.size != ticket.size:
            raise _size_mismatch(incoming.size, ticket.size)
        if ticket.sha256 is not None and incoming.sha256 != ticket.sha256:
            raise Invalid.field("file", "does not have the announced SHA-256", code="sha256_mismatch")
        actor = Actor(
            ticket.actor_kind,  # type: ignore[arg-type]  # as it was written
            ticket.actor_id,
            ticket.team_id,
            ticket.actor_name,
            frozenset({"read:content", "write:content"}),
        )

        async def use(made: Change, asset: Asset) -> None:
            stored = await store.ticket(made.session, ticket.key)
            if stored is None or stored.asset_id is not None:
                raise _Used
            stored.asset_id, asset.key = asset.id, ticket.key
            made.session.add(stored)

        if ticket.asset_id is None:
            try:
                described = await self._content.add_file(
                    actor,
                    incoming,
                    name=ticket.name,
                    filename=ticket.filename,
                    folder_id=ticket.folder_id,
                    announced=ticket.mime,
                    also=use,
                    face=ticket.face,
                    base_url=base_url,
                )
            except _Used:
                pass
            else:
                return described, True
        asset_id = await self._content.by_key(actor, ticket.key)
        described = {} if asset_id is None else await self._content.get(actor, asset_id, base_url=base_url)
        if described.get("sha256") != incoming.sha256:
            raise _Used
        return described, False

    async def confirm(
        self, actor: Actor, key: str, changes: dict[str, Any], *, face: str, base_url: str = ""
    ) -> dict[str, Any]:
        """The asset that an upload became, by its key, after `changes` as `Content.update` takes them. Raises Invalid
        for an unknown key, Conflict while the upload is not complete."""
        actor.require("write:content")
        asset_id = await self._content.by_key(actor, key)
        if asset_id is None:
            async with self._db.session() as session:
                ticket = await store.ticket(session, key)
            if ticket is None or ticket.team_id != actor.team_id or ticket.asset_id is not None:
                raise unknown("asset_key", "upload")
            raise Conflict("The file has not been uploaded yet.", code="not_uploaded")
        if changes:
            return await self._content.update(actor, asset_id, changes, face=face, base_url=base_url)
        return await self._content.get(actor, asset_id, base_url=base_url)

    async def sweep(self, now: int) -> None:
        """Forget tickets a day after their end; the assets keep the key."""
        async with self._db.transaction() as session:
            await store.forget_tickets(session, now - DAY)


class _Used(Conflict):
    def __init__(self) -> None:
        super().__init__("This upload URL was used already.", code="upload_used")


def _path(key: str) -> str:
    return f"/api/v1/uploads/{key}"


def _size_mismatch(came: int, announced: int) -> Invalid:
    return Invalid.field("file", f"has {came:,} bytes, and {announced:,} were announced", code="size_mismatch")
