"""Plays as CSV files: asked for now, made in the background, fetched by a signed link."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.domain import ids, signing
from hub.domain.access import Actor
from hub.domain.analytics import Range, line
from hub.domain.errors import Conflict, Gone, HubError, Invalid, NotFound
from hub.domain.quotas import Quotas
from hub.domain.times import MINUTE, SECOND, now_ms, rfc3339
from hub.services.analytics import describe_play
from hub.services.waiting import Patience
from hub.store import analytics, exports
from hub.store import quotas as team_quotas
from hub.store.blobs import Blobs, Content
from hub.store.database import Database
from hub.store.tables import Export

PAGE = 5_000  # plays read and written at once: some tens of milliseconds of a thread
ROWS_LIMIT = 5_000_000  # of one file; about half a gigabyte
CLAIM_MS = MINUTE  # a page takes far less; a file whose maker died is begun again after it
STORE_MS = 10 * MINUTE  # to bring a whole file to a bucket
WAIT_S = 5.0  # how long a link waits for its file before it says to come back
LOOK_S = 0.2
SUFFIX = ".csv"
COLUMNS = ("id", "started_at", "duration_seconds", "completed", "player_id", "player", "asset_id", "asset",
           "playlist_id", "layout_id", "schedule_id", "campaign_id", "campaign")  # fmt: skip

log = logging.getLogger(__name__)


class Exports:
    """`folder` is for files in the making, on a local disk. `secret` signs the links and `public_url` stands before
    them, as for screenshots."""

    def __init__(
        self,
        db: Database,
        blobs: Blobs,
        folder: Path,
        secret: str,
        public_url: str = "",
        *,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
        patience: Patience | None = None,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._blobs = blobs
        self._folder = folder
        self._secret = secret.encode()
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._patience = patience or Patience()

    async def ask(self, actor: Actor, span: Range, *, base_url: str = "") -> dict[str, Any]:
        """Order a file of all plays of the range. Answers its link, good for an hour, though it may take a while until
        there is something behind it. Raises Invalid for more plays than one file has, TooMany."""
        actor.require("read:analytics")
        now = self._clock()
        export = Export(
            id=ids.export_id(),
            team_id=actor.team_id,
            kind="plays",
            parameters="",
            created_at=now,
            expires_at=now + signing.LIFETIME,
        )
        async with self._db.session() as session:
            if await analytics.number_of_plays(session, actor.team_id, span) > ROWS_LIMIT:
                raise Invalid.field("to", f"makes a range of more than {ROWS_LIMIT:,} plays, the most in one file")
        async with self._db.transaction() as session:
            await self._db.run(session, team_quotas.check(self._quotas, actor.team_id, "exports", now))
            await exports.create(session, export, {"since": span[0], "until": span[1]})
        link = signing.signed(self._secret, "GET", _path(export.id), export.expires_at)
        return {
            "url": (self._public_url or base_url.rstrip("/")) + link,
            "expires_at": rfc3339(export.expires_at),
            "status": export.state,
        }

    async def file(self, name: str, expires: str, signature: str) -> Content | None:
        """The file behind a link, given the three parts of it; None while it is in the making, after some seconds of
        waiting for it. Raises Forbidden (not our link), Gone (its hour is over), Conflict (it could not be made)."""
        signing.verify(self._secret, "GET", f"/api/v1/exports/{name}", expires, signature, self._clock())
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            async with self._db.session() as session:
                try:
                    row = await exports.get(session, name.removesuffix(SUFFIX))
                except NotFound:  # the signature is ours, so there was one
                    raise Gone("This file is no longer kept.", code="link_expired") from None
            if row.state == "failed":
                raise Conflict(row.error, code="export_failed")
            if row.state == "ready" and row.blob is not None:
                pieces = await self._blobs.stream(row.blob)
                return Content(row.team_id, "text/csv; charset=utf-8", row.size or 0, row.id, pieces)
            if self._patience.over or asyncio.get_running_loop().time() >= deadline:
                return None
            await asyncio.sleep(LOOK_S)

    async def work(self) -> bool:
        """Make one file that was ordered. Answers whether there was one. What fails because the database or the files
        are away is tried again; what fails otherwise is told to whoever asks for it."""
        now = self._clock()
        row = await self._db.write(exports.claim, now, now + CLAIM_MS)
        if row is None:
            return False
        export_id: str = row["id"]
        path, blob = self._local(export_id), _blob(export_id, row["team_id"])
        try:
            span = row["parameters"]["since"], row["parameters"]["until"]
            rows = await self._write(export_id, row["team_id"], span, path)
            size = path.stat().st_size
            await self._db.write(exports.hold, export_id, self._clock() + STORE_MS)
            await self._blobs.put_file(blob, path)
            if not await self._db.write(exports.finish, export_id, "ready", blob=blob, size=size, rows=rows):
                await self._blobs.delete(blob)
        except (HubError, OSError):
            await self._db.write(exports.hold, export_id, self._clock() + 5 * SECOND)
            raise
        except Exception:
            log.exception("export %s could not be made", export_id)
            await self._db.write(exports.finish, export_id, "failed", error="The file could not be made.")
        finally:
            path.unlink(missing_ok=True)
        return True

    async def sweep(self, now: int) -> None:
        """Remove files whose links are over; running downloads have some minutes more."""
        ended = await self._db.write(exports.expire, now - 10 * MINUTE)
        for export_id, _ in ended:
            self._local(export_id).unlink(missing_ok=True)  # of a hub that died over it
        await self._blobs.delete(*(_blob(*one) for one in ended))

    def _local(self, export_id: str) -> Path:
        return self._folder / f"{export_id}{SUFFIX}"

    async def _write(self, export_id: str, team_id: int, span: Range, path: Path) -> int:
        """All plays of the range into a local file, page by page. Answers how many."""
        await asyncio.to_thread(_begin, path)
        rows = 0
        cursor = None
        while True:
            async with self._db.session() as session:
                page = await analytics.plays(session, team_id, span, limit=PAGE, after=cursor)
            await asyncio.to_thread(_append, path, page)
            rows += len(page)
            if len(page) < PAGE:
                return rows
            last = page[-1].play
            cursor = last.started_at, last.id or 0
            await self._db.write(exports.hold, export_id, self._clock() + CLAIM_MS)


def _path(export_id: str) -> str:
    return f"/api/v1/exports/{export_id}{SUFFIX}"


def _blob(export_id: str, team_id: int) -> str:
    return f"exports/{team_id}/{export_id}{SUFFIX}"


def _begin(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line(COLUMNS), encoding="utf-8", newline="")


def _append(path: Path, page: list[analytics.Proof]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        for proof in page:
            play = describe_play(proof)
            file.write(line(play[name] for name in COLUMNS))
