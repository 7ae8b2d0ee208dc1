"""Receiver and sender together: whatever the pace of reading and storing, the bytes arrive once and in order."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.protocol.messages import Upload
from hub.protocol.upload import UploadReceiver, UploadSender


def upload_of(data: bytes) -> Upload:
    return Upload(
        upload=1,
        kind="logs",
        mime="text/plain",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        captured_at="2026-03-29T14:30:00Z",
        source="simulated",
    )


@given(
    size=st.integers(1, 600_000),
    start=st.integers(0, 599_999),
    chunk_bytes=st.sampled_from([1_000, 65_536]),
    window=st.integers(1, 4),
    pace=st.lists(st.booleans(), max_size=2_000),
)
def test_all_bytes_arrive_in_order_at_any_pace(size, start, chunk_bytes, window, pace) -> None:
    data = bytes(size)
    start = min(start, size - 1)
    receiver = UploadReceiver(upload_of(data))
    sender = UploadSender(receiver.upload, chunk_bytes, window)
    receiver.open(start, hashlib.sha256(data[:start]) if start else None)
    under_way = sender.open(start)
    paces = iter(pace)
    complete = False
    while not complete:
        if under_way and next(paces, True):
            offset, length = under_way.pop(0)
            complete = receiver.take(offset, data[offset : offset + length])
        else:
            receiver.credit(receiver.received)
            under_way += sender.credit(receiver.credited)
    assert receiver.received == size
    assert not under_way


@pytest.mark.parametrize(("received", "hasher"), [(3, None), (4, hashlib.sha256()), (-1, None), (1, None)])
def test_an_upload_cannot_start_anywhere(received: int, hasher) -> None:
    with pytest.raises(ValueError):
        UploadReceiver(upload_of(b"abc")).open(received, hasher)


def test_credit_never_goes_back_or_beyond_what_arrived() -> None:
    receiver = UploadReceiver(upload_of(b"abc"))
    receiver.open(0)
    receiver.take(0, b"ab")
    receiver.credit(3)
    assert receiver.credited == 2
    receiver.credit(1)
    assert receiver.credited == 2


def test_a_sender_does_not_repeat_itself() -> None:
    sender = UploadSender(upload_of(b"abc"))
    assert sender.credit(2) == []
    assert sender.open(0) == [(0, 3)]
    assert sender.open(0) == []
    assert sender.credit(3) == []
