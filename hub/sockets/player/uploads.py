"""The uploads of one connection: what the session lets in goes to the upload service, in order, upload by upload."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.domain.errors import HubError
from hub.domain.times import parse
from hub.protocol import messages as m
from hub.protocol.session import HubSession, UploadBroken, UploadChunk
from hub.services.player_uploads import Uploads


@dataclass(slots=True)
class _Open:
    """One upload under way; `turn` keeps its chunks in order."""

    handle: Any
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class PlayerUploads:
    def __init__(
        self,
        uploads: Uploads,
        session: HubSession,
        player_id: int,
        team_id: int,
        pump: Callable[[], None],
        metrics: Any = None,
    ) -> None:
        self._metrics = metrics
        self._uploads = uploads
        self._session = session
        self._player_id = player_id
        self._team_id = team_id
        self._pump = pump
        self._open: dict[int, _Open] = {}
        self._released = False

    async def announced(self, upload: m.Upload) -> None:
        """Answer with where to go on, or with the end if these bytes are stored already."""
        try:
            begun = await self._uploads.begin(
                player_id=self._player_id,
                team_id=self._team_id,
                kind=upload.kind,
                command_id=upload.command,
                mime=upload.mime,
                size=upload.size,
                sha256=upload.sha256,
                captured_at_ms=parse(upload.captured_at),
                source=upload.source,
                asset_id=upload.asset_id,
            )
        except HubError as refusal:
            self._session.upload_failed(upload.upload, refusal.code, refusal.message)
            self._pump()
            return
        if begun.done is not None:
            self._session.upload_done(upload.upload, begun.done.id, begun.done.url)
        elif self._released:
            await self._uploads.release(begun.handle)
        else:
            self._open[upload.upload] = _Open(begun.handle)
            self._session.upload_ready(upload.upload, begun.received, begun.hasher.copy())
        self._pump()

    async def chunk(self, event: UploadChunk) -> None:
        """Store the bytes, then let the window move on; with the last ones, commit the whole."""
        number = event.upload.upload
        one = self._open.get(number)
        if one is None:
            return
        async with one.turn:
            if self._open.get(number) is not one:
                return
            try:
                await self._uploads.write(one.handle, event.offset, event.data)
                if not event.complete:
                    self._session.upload_credit(number, event.offset + len(event.data))
                else:
                    finished = await self._uploads.finish(one.handle)
                    self._open.pop(number, None)  # the connection may have gone meanwhile
                    self._session.upload_done(number, finished.id, finished.url)
                    if self._metrics is not None:
                        self._metrics.upload_bytes.labels(event.upload.kind).inc(event.upload.size)
            except HubError as refusal:
                self._open.pop(number, None)
                self._session.upload_failed(number, refusal.code, refusal.message)
        self._pump()

    async def broken(self, event: UploadBroken) -> None:
        """The session has failed it; what was stored of it is worth nothing."""
        one = self._open.pop(event.upload.upload, None)
        if one is not None:
            async with one.turn:
                await self._uploads.discard(one.handle)

    async def release(self) -> None:
        """The connection is gone: what has arrived stays for a while, so that the next one can go on."""
        self._released = True
        open_uploads, self._open = self._open, {}
        for one in open_uploads.values():
            async with one.turn:
                await self._uploads.release(one.handle)
