"""Large files pass through a hub that never holds one. HUB_TEST_FILE_MB sets their size, 200 where nothing is said."""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.programs import Programs
from tests.end_to_end.test_cli import client, serving

SIZE = int(os.environ.get("HUB_TEST_FILE_MB", "200")) << 20
GROWTH = 64 << 20  # bytes that the hub may grow by, whatever the size: its buffers, and those of the store

READERS = 150  # with a piece of a megabyte each, and as much waiting in the hub, they take a quarter of a gigabyte


def recording(path: Path, size: int, mark: bytes) -> str:
    """A sound of `size` bytes, silent but for a mark at its end. Answers its SHA-256."""
    head = (
        b"RIFF" + struct.pack("<I", size - 8) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16)
    )
    with path.open("w+b") as file:
        file.write(head + b"data" + struct.pack("<I", size - len(head) - 8))
        file.truncate(size)
        file.seek(-len(mark), os.SEEK_END)
        file.write(mark)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


@pytest.mark.timeout(120 + (SIZE >> 20))
async def test_files_of_any_size_go_in_and_out_at_flat_memory(run: Programs, tmp_path: Path) -> None:
    serve, url, key = await serving(run)
    incoming = tmp_path / "data" / "incoming"
    async with client(url, key) as owner:
        small = tmp_path / "small.wav"
        await asyncio.to_thread(recording, small, 1 << 20, b"0")
        with small.open("rb") as file:
            assert (await owner.post("/api/v1/assets", files={"file": ("small.wav", file)})).status_code == 201
        before = peak(serve.process.pid)

        path = tmp_path / "large.wav"
        sha256 = await asyncio.to_thread(recording, path, SIZE, b"by form")
        with path.open("rb") as file:
            made = await owner.post("/api/v1/assets", files={"file": ("large.wav", file)}, timeout=600)
        asset = made.json()["data"]
        assert (asset["size"], asset["sha256"], asset["type"]) == (SIZE, sha256, "audio")

        sha256 = await asyncio.to_thread(recording, path, SIZE, b"by link")
        asked = {"filename": "large.wav", "mime_type": "audio/wav", "size": SIZE, "sha256": sha256}
        ticket = (await owner.post("/api/v1/assets/upload-url", json=asked)).json()
        with path.open("rb") as file:
            made = await owner.put(ticket["upload_url"], content=_pieces(file), timeout=600)
        assert made.json()["data"]["sha256"] == sha256

        hasher, received = hashlib.sha256(), 0
        async with owner.stream("GET", made.json()["data"]["url"], timeout=600) as answer:
            async for piece in answer.aiter_bytes():
                hasher.update(piece)
                received += len(piece)
        assert (received, hasher.hexdigest()) == (SIZE, sha256)
        end = await owner.get(made.json()["data"]["url"], headers={"range": "bytes=-7"})
        assert end.content == b"by link"
        grown = peak(serve.process.pid) - before
        assert grown < GROWTH, f"the hub grew by {grown >> 20} MiB for files of {SIZE >> 20} MiB"

        number = len((await owner.get("/api/v1/assets")).json()["data"])
        place = urlsplit(ticket["upload_url"])
        ticket = (
            await owner.post("/api/v1/assets/upload-url", json={"filename": "a", "mime_type": "audio/wav"})
        ).json()
        target = ticket["upload_url"].removeprefix(f"http://{place.netloc}")
        _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(f"PUT {target} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {SIZE}\r\n\r\n".encode())
        writer.write(bytes(8 << 20))
        await writer.drain()
        await _until_there(incoming, 1)
        writer.close()  # in the middle
        await _until_there(incoming, 0)
        assert len((await owner.get("/api/v1/assets")).json()["data"]) == number
        blobs = [each for each in (tmp_path / "data" / "blobs" / "content").rglob("*") if each.is_file()]
        assert len(blobs) == number
    assert await serve.stop() == 0


async def test_readers_that_never_read_take_little_memory(run: Programs, tmp_path: Path) -> None:
    """Somebody else is read to meanwhile, to the end."""
    serve, url, key = await serving(run)
    loop, place = asyncio.get_running_loop(), urlsplit(url)
    async with client(url, key) as owner:
        path = tmp_path / "large.wav"
        sha256 = await asyncio.to_thread(recording, path, 16 << 20, b"x")
        with path.open("rb") as file:
            made = await owner.post("/api/v1/assets", files={"file": ("large.wav", file)}, timeout=600)
        target = made.json()["data"]["url"].removeprefix(url)
        before = peak(serve.process.pid)
        with ExitStack() as stack:
            for _ in range(READERS):
                reader = stack.enter_context(socket.socket())
                reader.setblocking(False)
                await loop.sock_connect(reader, (place.hostname, place.port))
                await loop.sock_sendall(reader, f"GET {target} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
                assert await loop.sock_recv(reader, 9) == b"HTTP/1.1 "
            whole = await owner.get(target, timeout=600)
            assert hashlib.sha256(whole.content).hexdigest() == sha256
            grown = peak(serve.process.pid) - before
        assert grown < GROWTH, f"the hub grew by {grown >> 20} MiB for {READERS} readers that do not read"
    assert await serve.stop() == 0


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, 1 << 20):
        yield piece


async def _until_there(folder: Path, number: int) -> None:
    """Until the hub, which is another process, has so many files in a folder."""
    while len(os.listdir(folder)) != number:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
