"""Uploads from the device's side, with the hub's word played by the test."""

import asyncio
import hashlib

import pytest

from device_agent.uploads import MOST, TRIES, UploadFault, Uploads
from hub.protocol.messages import UploadDone, UploadFailed


class Hub:
    """What is announced, and how much of it is taken."""

    def __init__(self, room=99):
        self.room = room
        self.announced = []

    def announce(self, message):
        if self.room == 0:
            return False
        self.room -= 1
        self.announced.append(message)
        return True


def send(uploads, data=b"picture"):
    return asyncio.create_task(
        uploads.send("screenshot", data, mime="image/png", captured_at=0, source="test", command="c1")
    )


async def turn():
    """Let every task that can run, run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_upload_ends_with_the_id_of_what_is_stored():
    uploads, hub = Uploads(), Hub()
    uploads.connected(hub.announce)
    sending = send(uploads)
    await turn()
    (message,) = hub.announced
    assert (message.size, message.sha256) == (7, hashlib.sha256(b"picture").hexdigest())
    assert uploads.read(message.upload, 2, 3) == b"ctu"
    uploads.ended(UploadDone(upload=message.upload, id="s1", url="/s1"))
    assert await sending == "s1"
    assert not uploads.busy
    assert uploads.read(message.upload, 0, 1) is None


async def test_it_is_announced_under_a_new_number_on_every_connection():
    uploads, first, second = Uploads(), Hub(), Hub()
    sending = send(uploads)
    await turn()
    uploads.connected(first.announce)
    uploads.disconnected()
    uploads.connected(second.announce)
    assert first.announced[0].upload != second.announced[0].upload
    assert uploads.read(first.announced[0].upload, 0, 1) is None
    uploads.ended(UploadDone(upload=second.announced[0].upload, id="s1", url="/s1"))
    assert await sending == "s1"


async def test_it_waits_for_room_on_the_connection():
    uploads, hub = Uploads(), Hub(room=1)
    uploads.connected(hub.announce)
    first, second = send(uploads, b"a"), send(uploads, b"b")
    await turn()
    assert len(hub.announced) == 1
    hub.room = 1
    uploads.ended(UploadDone(upload=hub.announced[0].upload, id="s1", url="/s1"))
    await first
    uploads.ended(UploadDone(upload=hub.announced[1].upload, id="s2", url="/s2"))
    assert await second == "s2"


async def test_what_another_attempt_may_cure_is_tried_again_and_not_for_ever():
    uploads, hub = Uploads(), Hub()
    uploads.connected(hub.announce)
    sending = send(uploads)
    await turn()
    for number in range(TRIES):
        uploads.ended(UploadFailed(upload=hub.announced[number].upload, code="sha256_mismatch", message="no"))
    with pytest.raises(UploadFault) as caught:
        await sending
    assert caught.value.code == "sha256_mismatch"
    assert len(hub.announced) == TRIES


async def test_what_cannot_be_cured_fails_at_once():
    uploads, hub = Uploads(), Hub()
    uploads.connected(hub.announce)
    sending = send(uploads)
    await turn()
    uploads.ended(UploadFailed(upload=hub.announced[0].upload, code="too_large", message="no"))
    with pytest.raises(UploadFault):
        await sending


async def test_the_number_of_waiting_uploads_is_bounded():
    uploads = Uploads()
    waiting = [send(uploads, bytes([number])) for number in range(MOST)]
    await turn()
    with pytest.raises(UploadFault):
        await send(uploads)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not uploads.busy
