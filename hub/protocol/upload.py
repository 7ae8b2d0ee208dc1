"""Windows and offsets of one upload, both ends; neither touches the data's home.

The sender may be `window` chunks ahead of what the receiver has credited as stored, so that a slow disk slows the
upload and not the hub, and a lost connection costs at most a window.
"""

import hashlib
from typing import Protocol

from hub.protocol.codec import CHUNK_BYTES
from hub.protocol.messages import Upload, UploadKind

WINDOW_CHUNKS = 4
"""Chunks beyond the last credit: 256 KiB in flight fill a 10 Mbit/s uplink at 200 ms of latency."""

MAX_UPLOAD_BYTES: dict[UploadKind, int] = {
    "screenshot": 10_000_000,  # a 4K screenshot as PNG
    "logs": 20_000_000,  # a week of a talkative player
}

UPLOAD_FAILURES = {
    "too_large": "The announced size is over the limit of its kind (10 MB a screenshot, 20 MB of logs).",
    "too_many_uploads": "Four uploads are open on this connection; announce it again when one has ended.",
    "bad_chunk": "A chunk came unasked, out of order, beyond the window or beyond the announced size.",
    "sha256_mismatch": "All bytes arrived and their SHA-256 is not the announced one.",
}


class Hasher(Protocol):
    """A hashlib object, fed with the bytes before the offset at which an upload resumes."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class UploadRefused(Exception):
    """The upload cannot go on; `code` is one of UPLOAD_FAILURES."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def refuse_oversize(upload: Upload) -> None:
    """Raise UploadRefused (`too_large`) when the announced size is over the limit of its kind."""
    limit = MAX_UPLOAD_BYTES[upload.kind]
    if upload.size > limit:
        raise UploadRefused("too_large", f"{upload.kind} may have at most {limit} bytes")


class UploadReceiver:
    """The hub's end of one upload. `received` counts bytes taken in, `credited` those the hub said it has stored."""

    __slots__ = ("_hasher", "_window_bytes", "credited", "ready", "received", "upload")

    def __init__(self, upload: Upload, window: int = WINDOW_CHUNKS) -> None:
        self.upload = upload
        self.ready = False
        self.received = 0
        self.credited = 0
        self._window_bytes = window * CHUNK_BYTES
        self._hasher: Hasher | None = None

    @property
    def complete(self) -> bool:
        """Whether all announced bytes have arrived."""
        return self.received == self.upload.size

    def open(self, received: int, hasher: Hasher | None = None) -> None:
        """Chunks are welcome from offset `received`. To resume (more than 0), pass a sha256 fed with the stored bytes.

        Raises ValueError for an offset that leaves nothing to send, or for a resume without its hash.
        """
        if self.ready or not 0 <= received < self.upload.size or (received and hasher is None):
            raise ValueError(f"upload {self.upload.upload} cannot start at {received}")
        self.ready = True
        self.received = self.credited = received
        self._hasher = hasher or hashlib.sha256()

    def credit(self, received: int) -> None:
        """Everything before `received` is stored; the window moves on, never back."""
        self.credited = max(self.credited, min(received, self.received))

    def take(self, offset: int, data: bytes) -> bool:
        """Take the next chunk in; True when it was the last one and the hash agrees. Raises UploadRefused."""
        end = offset + len(data)
        if self._hasher is None:
            raise UploadRefused("bad_chunk", "chunks may follow upload_ready only")
        if offset != self.received:
            raise UploadRefused("bad_chunk", f"expected offset {self.received}, got {offset}")
        if end > self.upload.size:
            raise UploadRefused("bad_chunk", f"{end} bytes are more than the announced {self.upload.size}")
        if end > self.credited + self._window_bytes:
            raise UploadRefused("bad_chunk", f"offset {offset} is beyond the window, credit is at {self.credited}")
        self._hasher.update(data)
        self.received = end
        if not self.complete:
            return False
        if self._hasher.hexdigest() != self.upload.sha256:
            raise UploadRefused("sha256_mismatch", "the bytes do not have the announced SHA-256")
        return True


class UploadSender:
    """The player's end of one upload: says which chunks may be read and sent now."""

    __slots__ = ("_chunk_bytes", "_credited", "_next", "_window_bytes", "ready", "upload")

    def __init__(self, upload: Upload, chunk_bytes: int = CHUNK_BYTES, window: int = WINDOW_CHUNKS) -> None:
        self.upload = upload
        self.ready = False
        self._chunk_bytes = min(chunk_bytes, CHUNK_BYTES)
        self._window_bytes = window * self._chunk_bytes
        self._next = 0
        self._credited = 0

    def open(self, received: int) -> list[tuple[int, int]]:
        """The hub is ready and has the first `received` bytes: (offset, size) of the chunks to send now."""
        if not self.ready:
            self.ready = True
            self._next = self._credited = received
        return self._allowed()

    def credit(self, received: int) -> list[tuple[int, int]]:
        """The hub has stored the first `received` bytes: (offset, size) of the chunks to send now."""
        if self.ready:
            self._credited = max(self._credited, min(received, self._next))
        return self._allowed()

    def _allowed(self) -> list[tuple[int, int]]:
        end = min(self.upload.size, self._credited + self._window_bytes) if self.ready else self._next
        chunks = [
            (offset, min(self._chunk_bytes, end - offset)) for offset in range(self._next, end, self._chunk_bytes)
        ]
        self._next = max(self._next, end)
        return chunks
