"""Pictures and logs on their way to the hub, across as many connections as it takes.

What is here is announced anew on every connection under a new number; the hub knows it again by its digest and says
from where to go on. The data stay in memory: a screenshot is far below a megabyte.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from hub.protocol.messages import Upload, UploadDone, UploadFailed, UploadKind
from hub.protocol.times import write_time

PATIENCE_S = 300.0
"""From handing over to `upload_done`: ten megabytes at 300 kbit/s, or a reconnect or two."""

MOST = 8
"""Uploads waiting at once; commands of one kind run in order, so more only come from a defect."""

TRIES = 3
"""Announcements of one upload that the hub may fail before it is given up."""

TRY_AGAIN = frozenset({"too_many_uploads", "bad_chunk", "sha256_mismatch", "unavailable"})
"""Failures that another attempt may not meet."""


class UploadFault(Exception):
    """It did not arrive; `code` and `message` are the hub's, or `upload_timeout`, `too_many_uploads`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True, eq=False)
class _Outgoing:
    kind: UploadKind
    command: str | None
    mime: str
    data: bytes
    sha256: str
    captured_at: int
    source: str
    asset_id: int | None
    done: asyncio.Future[str]
    tries: int = 0
    number: int | None = None  # on the present connection


class Uploads:
    def __init__(self) -> None:
        self._outgoing: list[_Outgoing] = []
        self._numbers = itertools.count(1)
        self._announce: Callable[[Upload], bool] | None = None

    @property
    def busy(self) -> bool:
        return bool(self._outgoing)

    async def send(
        self,
        kind: UploadKind,
        data: bytes,
        *,
        mime: str,
        captured_at: int,
        source: str,
        command: str | None = None,
        asset_id: int | None = None,
    ) -> str:
        """The id under which the hub keeps it. `captured_at` is Unix milliseconds, `asset_id` what a picture shows.
        Raises UploadFault."""
        if len(self._outgoing) >= MOST:
            raise UploadFault("too_many_uploads", f"{MOST} uploads are waiting already.")
        one = _Outgoing(
            kind=kind,
            command=command,
            mime=mime,
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            captured_at=captured_at,
            source=source,
            asset_id=asset_id,
            done=asyncio.get_running_loop().create_future(),
        )
        self._outgoing.append(one)
        try:
            self._announce_waiting()
            async with asyncio.timeout(PATIENCE_S):
                return await one.done
        except TimeoutError:
            raise UploadFault("upload_timeout", f"The upload did not end within {PATIENCE_S:g} s.") from None
        finally:
            self._outgoing.remove(one)
            self._announce_waiting()

    # --- for the link ---

    def connected(self, announce: Callable[[Upload], bool]) -> None:
        """There is a welcomed connection; `announce` says whether it takes an upload now."""
        self._announce = announce
        self._announce_waiting()

    def disconnected(self) -> None:
        self._announce = None
        for one in self._outgoing:
            one.number = None

    def read(self, number: int, offset: int, size: int) -> bytes | None:
        """The bytes of a chunk; None when nobody waits for this upload any more."""
        one = self._by_number(number)
        return one.data[offset : offset + size] if one else None

    def ended(self, message: UploadDone | UploadFailed) -> None:
        one = self._by_number(message.upload)
        if one is not None and not one.done.done():
            if isinstance(message, UploadDone):
                one.done.set_result(message.id)
            elif message.code in TRY_AGAIN and one.tries < TRIES:
                one.number = None
            else:
                one.done.set_exception(UploadFault(message.code, message.message))
        self._announce_waiting()

    def _by_number(self, number: int) -> _Outgoing | None:
        return next((one for one in self._outgoing if one.number == number), None)

    def _announce_waiting(self) -> None:
        for one in self._outgoing:
            if self._announce is None:
                return
            if one.number is not None or one.done.done():
                continue
            number = next(self._numbers)
            one.number = number
            one.tries += 1
            message = Upload(
                upload=number,
                kind=one.kind,
                command=one.command,
                mime=one.mime,
                size=len(one.data),
                sha256=one.sha256,
                captured_at=write_time(one.captured_at),
                source=one.source,
                asset_id=one.asset_id,
            )
            if not self._announce(message):
                one.number = None
                one.tries -= 1
                return
