"""The hub's end, as transcripts: what a player sends, what the owner gets to see, what goes back."""

import hashlib

import pytest

from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import CHUNK_BYTES, HUB_TO_PLAYER, PLAYER_TO_HUB, MalformedMessage, decode, encode_chunk
from hub.protocol.messages import (
    Ack,
    Bye,
    Command,
    Hello,
    Progress,
    Result,
    Sync,
    Telemetry,
    Upload,
    Welcome,
)
from hub.protocol.session import (
    Close,
    HubSession,
    Limits,
    NoRoom,
    Ping,
    Recovered,
    Silent,
    Suspect,
    UploadBroken,
    UploadChunk,
)
from tests.protocol.frames import ACK, COMMAND, FROM_PLAYER, HELLO, RESULT, SHA_OF_ABC, UPLOAD, WELCOME, said


def command(id: str) -> Command:
    return decode(COMMAND.replace("c-1", id), HUB_TO_PLAYER)  # type: ignore[return-value]


def welcome() -> Welcome:
    return decode(WELCOME, HUB_TO_PLAYER)  # type: ignore[return-value]


def opened(limits: Limits | None = None) -> HubSession:
    session = HubSession(0.0, limits or Limits())
    session.receive_text(HELLO, 0.0)
    session.welcome(welcome())
    session.take_output()
    return session


def announce(session: HubSession, number: int, size: int, sha256: str = SHA_OF_ABC, kind: str = "screenshot") -> list:
    text = UPLOAD.replace('"upload":1', f'"upload":{number}').replace('"size":3', f'"size":{size}')
    return session.receive_text(text.replace(SHA_OF_ABC, sha256).replace('"screenshot"', f'"{kind}"'), 0.0)


# Opening


def test_hello_then_welcome_opens_the_connection() -> None:
    session = HubSession(0.0)
    assert session.room == 0
    (hello,) = session.receive_text(HELLO, 1.0)
    assert isinstance(hello, Hello)
    assert said(session) == []
    assert session.room == 0
    session.welcome(welcome())
    assert [frame["type"] for frame in said(session)] == ["welcome"]
    assert session.room == 8


def test_a_player_that_says_no_hello_is_closed_after_ten_seconds() -> None:
    session = HubSession(100.0)
    assert session.next_deadline() == 110.0
    session.receive_life(109.0)
    assert session.tick(109.9) == []
    assert said(session) == []
    session.tick(110.0)
    assert said(session) == [Close(CloseCode.HELLO_TIMEOUT, "no hello in time")]
    assert session.next_deadline() is None


@pytest.mark.parametrize("frame", [text for name, text in FROM_PLAYER.items() if name != "hello"])
def test_anything_before_hello_is_an_error_and_is_not_seen(frame: str) -> None:
    session = HubSession(0.0)
    assert session.receive_text(frame, 0.0) == []
    assert said(session) == [{"type": "error", "code": "hello_expected", "message": "the first message is hello"}]
    assert session.receive_text(HELLO, 0.0)


def test_a_chunk_before_hello_is_an_error() -> None:
    session = HubSession(0.0)
    assert session.receive_binary(encode_chunk(1, 0, b"abc"), 0.0) == []
    assert said(session)[0]["code"] == "hello_expected"


def test_a_player_that_does_not_wait_for_welcome_is_told_so() -> None:
    session = HubSession(0.0)
    session.receive_text(HELLO, 0.0)
    assert session.receive_text(RESULT, 0.0) == []
    assert said(session)[0]["code"] == "welcome_expected"


def test_a_second_hello_ends_the_connection() -> None:
    session = opened()
    assert session.receive_text(HELLO, 1.0) == []
    assert said(session) == [Close(CloseCode.PROTOCOL_ERROR, "a second hello")]
    assert session.receive_text(ACK, 1.0) == []


def test_one_hello_is_welcomed_once() -> None:
    with pytest.raises(ValueError):
        HubSession(0.0).welcome(welcome())
    with pytest.raises(ValueError):
        opened().welcome(welcome())


def test_a_welcome_that_comes_too_late_is_not_sent() -> None:
    session = HubSession(0.0)
    session.receive_text(HELLO, 0.0)
    session.close(CloseCode.REPLACED)
    session.welcome(welcome())
    assert said(session) == [Close(CloseCode.REPLACED, "replaced by a newer connection")]


# The command exchange


def test_a_command_exchange() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    assert said(session) == [
        {
            "type": "command",
            "id": "c-1",
            "command": "set_volume",
            "payload": {"volume": 40},
            "delivery": "idempotent",
            "expires_at": "2026-03-29T14:35:00Z",
        }
    ]
    assert session.receive_text(ACK, 1.0) == [Ack(id="c-1")]
    (result,) = session.receive_text(RESULT, 2.0)
    assert isinstance(result, Result)
    session.confirm_result("c-1")
    session.cancel("c-2")
    session.confirm_plays("b-1")
    session.send(Sync(revision="r-2"))
    assert said(session) == [
        {"type": "result_ok", "id": "c-1"},
        {"type": "cancel", "id": "c-2"},
        {"type": "plays_ok", "batch": "b-1"},
        {"type": "sync", "revision": "r-2"},
    ]


def test_eight_commands_may_be_unacknowledged() -> None:
    session = opened()
    for number in range(8):
        session.command(command(f"c-{number}"), 0.0)
    assert session.room == 0
    with pytest.raises(NoRoom):
        session.command(command("c-8"), 0.0)
    assert len(said(session)) == 8
    session.receive_text(ACK, 1.0)
    assert session.room == 1
    session.receive_text(ACK, 1.0)
    assert session.room == 1
    session.receive_text(RESULT.replace("c-1", "c-2"), 1.0)
    assert session.room == 2


def test_a_command_that_no_frame_can_carry_takes_no_room() -> None:
    session = opened()
    giant = Command(
        id="c", command="custom:x", payload={"x": "y" * 300_000}, delivery="safe", expires_at="2026-03-29T14:35:00Z"
    )
    with pytest.raises(MalformedMessage):
        session.command(giant, 0.0)
    assert session.room == 8
    assert said(session) == []


def test_progress_faster_than_once_a_second_is_dropped_for_each_command() -> None:
    session = opened()
    text = FROM_PLAYER["progress"]
    seen = [
        session.receive_text(text, 1.0),
        session.receive_text(text, 1.9),
        session.receive_text(text.replace("c-1", "c-2"), 1.9),
        session.receive_text(text, 2.0),
    ]
    assert [len(events) for events in seen] == [1, 0, 1, 1]
    assert isinstance(seen[0][0], Progress)
    assert said(session) == []


def test_after_bye_or_drain_no_command_goes_out_but_results_come_in() -> None:
    session = opened()
    assert session.receive_text(FROM_PLAYER["bye"], 1.0) == [Bye(reason="rebooting")]
    assert session.room == 0
    session = opened()
    session.drain(1_500)
    assert said(session) == [{"type": "drain", "reconnect_after_ms": 1_500}]
    assert session.room == 0
    assert session.receive_text(RESULT, 1.0)
    session.confirm_result("c-1")
    assert said(session) == [{"type": "result_ok", "id": "c-1"}]


def test_draining_before_welcome_closes_at_once() -> None:
    session = HubSession(0.0)
    session.drain(1_500)
    assert said(session) == [Close(CloseCode.DRAIN, "draining")]


def test_after_the_close_nothing_goes_out_and_nothing_is_heard() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    session.close(CloseCode.REVOKED)
    session.close(CloseCode.DRAIN)
    session.cancel("c-1")
    session.error("x", "y")
    session.send(Sync(revision="r"))
    with pytest.raises(NoRoom):
        session.command(command("c-2"), 0.0)
    frames = said(session)
    assert [getattr(frame, "code", None) for frame in frames] == [None, CloseCode.REVOKED]
    assert session.receive_text(ACK, 1.0) == session.receive_life(1.0) == session.tick(99.0) == []
    assert session.take_output() == []


# What stays without an answer


def heartbeat(session: HubSession, now: float) -> list:
    """A sign of life, then the deadline of this second."""
    session.receive_life(now)
    session.tick(now)
    return [frame for frame in said(session) if not isinstance(frame, Ping)]


def test_a_command_without_an_ack_is_said_again_more_and_more_seldom() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    (first,) = said(session)
    session.receive_life(5.0)
    assert session.next_deadline() == 10.0
    assert heartbeat(session, 9.9) == []
    assert [now for now in range(10, 300) if heartbeat(session, float(now)) == [first]] == [10, 30, 70, 130, 190, 250]
    assert session.receive_text(ACK, 300.0) == [Ack(id="c-1")]
    assert session.room == 8
    assert [frame for now in range(300, 400) for frame in heartbeat(session, float(now))] == []


@pytest.mark.parametrize("answer", [ACK, RESULT])
def test_what_is_answered_is_not_said_again(answer: str) -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    session.command(command("c-2"), 4.0)
    said(session)
    session.receive_text(answer, 9.0)
    assert [frame["id"] for now in range(9, 15) for frame in heartbeat(session, float(now))] == ["c-2"]


def test_what_was_called_back_is_called_back_again() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    session.cancel("c-1")
    said(session)
    assert heartbeat(session, 10.0) == [{"type": "cancel", "id": "c-1"}]
    session.cancel("c-9")  # one that it has in its journal
    assert said(session) == [{"type": "cancel", "id": "c-9"}]
    assert heartbeat(session, 20.0) == []


def test_who_is_silent_or_leaves_is_not_asked_again() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    said(session)
    session.tick(10.0)  # the ping and the question
    assert [type(frame) for frame in said(session)] == [Ping, dict]
    assert session.tick(15.0) == [Suspect()]
    assert session.next_deadline() == 30.0  # the end of the silence, and no question before
    assert session.tick(29.9) == said(session) == []
    assert session.receive_life(29.9) == [Recovered()]
    session.drain(100)
    said(session)
    assert heartbeat(session, 35.0) == []


def test_a_close_reason_fits_its_frame() -> None:
    session = opened()
    session.close(CloseCode.PROTOCOL_ERROR, "é" * 200)
    (close,) = said(session)
    assert len(close.reason.encode()) <= 123


# Bad input


def test_a_bad_message_is_answered_and_the_connection_lives_on() -> None:
    session = opened()
    assert session.receive_text('{"type":"result","id":"c-1"}', 1.0) == []
    assert said(session) == [{"type": "error", "code": "invalid_field", "message": "status: is required", "ref": "c-1"}]
    assert session.receive_text(ACK, 1.0) == [Ack(id="c-1")]


def test_twenty_bad_messages_within_a_minute_end_the_connection() -> None:
    session = opened()
    for number in range(20):
        assert not session.closed
        session.receive_text("?", number * 3.0)
    frames = said(session)
    assert [frame["code"] for frame in frames[:-1]] == ["not_json"] * 20
    assert frames[-1].code == CloseCode.PROTOCOL_ERROR


def test_bad_messages_spread_over_more_than_a_minute_are_borne() -> None:
    session = opened()
    for number in range(100):
        session.receive_text("?", number * 3.2)
    assert not session.closed


def test_a_text_frame_over_the_limit_ends_the_connection() -> None:
    session = opened()
    session.receive_text("x" * 262_145, 1.0)
    assert said(session) == [Close(CloseCode.TOO_BIG, "message too big")]


def test_the_greatest_screenshot_is_taken() -> None:
    size = 10_000_000
    data = bytes(CHUNK_BYTES)
    session = opened()
    announce(session, 1, size, hashlib.sha256(bytes(size)).hexdigest())
    session.upload_ready(1)
    events: list = []
    for offset in range(0, size, CHUNK_BYTES):
        events = session.receive_binary(encode_chunk(1, offset, data[: size - offset]), 1.0)
        session.upload_credit(1, offset + len(data))
    assert events[0].complete


# Liveness


def test_silence_is_pinged_then_suspected_then_closed() -> None:
    session = opened()
    session.receive_text(FROM_PLAYER["telemetry"], 5.0)
    assert session.next_deadline() == 15.0
    assert session.tick(15.0) == []
    assert said(session) == [Ping()]
    assert session.next_deadline() == 20.0
    assert session.tick(20.0) == [Suspect()]
    assert said(session) == []
    assert session.next_deadline() == 35.0
    assert session.tick(34.9) == []
    assert session.tick(35.0) == [Silent()]
    assert said(session) == [Close(CloseCode.GOING_AWAY, "silent for too long")]


@pytest.mark.parametrize("life", ["pong", "text", "binary", "rubbish"])
def test_any_frame_is_life(life: str) -> None:
    session = opened()
    session.tick(10.0)
    session.tick(15.0)
    match life:
        case "pong":
            events = session.receive_life(16.0)
        case "text":
            events = session.receive_text(FROM_PLAYER["telemetry"], 16.0)
        case "binary":
            events = session.receive_binary(encode_chunk(1, 0, b"abc"), 16.0)
        case _:
            events = session.receive_text("?", 16.0)
    assert events[0] == Recovered()
    assert session.next_deadline() == 26.0
    assert session.receive_life(17.0) == []


def test_an_answered_ping_makes_no_event() -> None:
    session = opened()
    session.tick(10.0)
    assert session.receive_life(10.2) == []


def test_a_pause_of_the_hub_itself_condemns_nobody() -> None:
    session = opened()
    assert session.tick(500.0) == []
    assert said(session) == [Ping()]
    assert session.receive_life(500.1) == []
    assert not session.closed


def test_time_in_which_the_hub_read_nothing_is_no_silence() -> None:
    session = opened()
    session.command(command("c-1"), 0.0)
    said(session)
    session.tick(10.0)
    assert session.tick(15.0) == [Suspect()]
    said(session)
    session.excuse(30.0, 46.0)
    assert session.tick(46.0) == []
    assert said(session) == []  # nor is a command said again whose answer may wait to be read
    assert session.tick(59.9) == []
    assert session.tick(60.0) == [Silent()]
    fresh = HubSession(40.0)
    fresh.excuse(30.0, 46.0)
    assert fresh.tick(79.9) == []
    fresh.tick(80.0)
    assert said(fresh)[0].code == CloseCode.HELLO_TIMEOUT


def test_a_slow_welcome_is_not_held_against_the_player() -> None:
    session = HubSession(0.0)
    session.receive_text(HELLO, 1.0)
    assert session.next_deadline() is None
    assert session.tick(60.0) == []
    session.welcome(welcome())
    assert session.tick(60.0) == []
    assert session.receive_life(60.1) == []
    assert not session.closed


# Uploads


def test_an_upload_from_announcement_to_done() -> None:
    session = opened()
    (upload,) = announce(session, 1, 3)
    assert isinstance(upload, Upload)
    session.upload_ready(1)
    (first,) = session.receive_binary(encode_chunk(1, 0, b"ab"), 1.0)
    assert first == UploadChunk(upload, 0, b"ab", complete=False)
    session.upload_credit(1, 2)
    (last,) = session.receive_binary(encode_chunk(1, 2, b"c"), 1.0)
    assert last == UploadChunk(upload, 2, b"c", complete=True)
    session.upload_done(1, "shot-1", "/api/v1/screenshots/1")
    assert said(session) == [
        {"type": "upload_ready", "upload": 1, "received": 0},
        {"type": "upload_credit", "upload": 1, "received": 2},
        {"type": "upload_done", "upload": 1, "id": "shot-1", "url": "/api/v1/screenshots/1"},
    ]


def test_a_repeated_upload_is_answered_done_without_any_chunk() -> None:
    session = opened()
    announce(session, 1, 3)
    session.upload_done(1, "shot-1", "/s/1")
    assert said(session) == [{"type": "upload_done", "upload": 1, "id": "shot-1", "url": "/s/1"}]


def test_an_upload_resumes_where_the_stored_bytes_end() -> None:
    session = opened()
    announce(session, 1, 3)
    session.upload_ready(1, 2, hashlib.sha256(b"ab"))
    (last,) = session.receive_binary(encode_chunk(1, 2, b"c"), 1.0)
    assert last.complete


def test_a_chunk_of_an_unknown_upload_is_an_error() -> None:
    session = opened()
    for _ in range(20):
        assert session.receive_binary(encode_chunk(9, 0, b"abc"), 1.0) == []
    frames = said(session)
    assert frames[0] == {
        "type": "error",
        "code": "unknown_upload",
        "message": "announce an upload before its chunks",
        "ref": "9",
    }
    assert frames[-1].code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize(("kind", "limit"), [("screenshot", 10_000_000), ("logs", 20_000_000)])
def test_an_upload_over_its_limit_fails_before_the_first_chunk(kind: str, limit: int) -> None:
    session = opened()
    assert announce(session, 1, limit + 1, kind=kind) == []
    (failed,) = said(session)
    assert (failed["type"], failed["upload"], failed["code"]) == ("upload_failed", 1, "too_large")
    assert len(announce(session, 2, limit, kind=kind)) == 1


def test_two_uploads_cannot_share_a_number() -> None:
    session = opened()
    announce(session, 1, 3)
    assert announce(session, 1, 3) == []
    assert said(session)[0]["code"] == "duplicate_upload"
    session.upload_done(1, "shot-1", "/s/1")
    assert announce(session, 1, 3) == []
    assert said(session)[-1]["code"] == "duplicate_upload"


def test_a_fifth_upload_at_once_is_put_off() -> None:
    session = opened()
    for number in range(4):
        assert announce(session, number, 3)
    assert announce(session, 4, 3) == []
    assert said(session)[0]["code"] == "too_many_uploads"
    session.upload_done(0, "shot-1", "/s/1")
    assert announce(session, 5, 3)


@pytest.mark.parametrize(
    ("size", "chunks"),
    [
        (3, [(1, b"bc")]),  # a gap
        (3, [(0, b"a"), (0, b"a")]),  # a repeat
        (3, [(0, b"abcd")]),  # more than announced
        (9 * CHUNK_BYTES, [(n * CHUNK_BYTES, bytes(CHUNK_BYTES)) for n in range(5)]),  # beyond the window
    ],
)
def test_a_chunk_out_of_line_breaks_its_upload(size: int, chunks: list[tuple[int, bytes]]) -> None:
    session = opened()
    (upload,) = announce(session, 1, size)
    session.upload_ready(1)
    said(session)
    events: list = []
    for offset, data in chunks:
        events = session.receive_binary(encode_chunk(1, offset, data), 1.0)
    assert events == [UploadBroken(upload, "bad_chunk")]
    assert said(session)[0]["code"] == "bad_chunk"


def test_a_chunk_before_ready_breaks_its_upload() -> None:
    session = opened()
    (upload,) = announce(session, 1, 3)
    assert session.receive_binary(encode_chunk(1, 0, b"abc"), 1.0) == [UploadBroken(upload, "bad_chunk")]


def test_chunks_under_way_when_an_upload_failed_are_no_offence() -> None:
    session = opened()
    announce(session, 1, 3)
    session.upload_ready(1)
    session.upload_failed(1, "disk_full", "no room for it")
    said(session)
    for _ in range(30):
        assert session.receive_binary(encode_chunk(1, 0, b"abc"), 1.0) == []
    assert said(session) == []


def test_bytes_with_another_hash_are_no_upload() -> None:
    session = opened()
    (upload,) = announce(session, 1, 3)
    session.upload_ready(1)
    assert session.receive_binary(encode_chunk(1, 0, b"xyz"), 1.0) == [UploadBroken(upload, "sha256_mismatch")]
    session.upload_done(1, "shot-1", "/s/1")
    assert [frame["type"] for frame in said(session)] == ["upload_ready", "upload_failed"]


def test_a_chunk_after_the_last_one_leaves_the_complete_upload_alone() -> None:
    session = opened()
    announce(session, 1, 3)
    session.upload_ready(1)
    session.receive_binary(encode_chunk(1, 0, b"abc"), 1.0)
    assert session.receive_binary(encode_chunk(1, 3, b"d"), 1.0) == []
    session.upload_done(1, "shot-1", "/s/1")
    assert [frame.get("code", frame["type"]) for frame in said(session)] == ["upload_ready", "bad_chunk", "upload_done"]


def test_an_upload_does_not_delay_an_ack() -> None:
    session = opened()
    announce(session, 1, 3)
    session.upload_ready(1)
    session.receive_binary(encode_chunk(1, 0, b"ab"), 1.0)
    assert session.receive_text(ACK, 1.0) == [Ack(id="c-1")]
    (last,) = session.receive_binary(encode_chunk(1, 2, b"c"), 1.0)
    assert last.complete


def test_telemetry_is_passed_on() -> None:
    (telemetry,) = opened().receive_text(FROM_PLAYER["telemetry"], 1.0)
    assert telemetry == decode(FROM_PLAYER["telemetry"], PLAYER_TO_HUB)
    assert isinstance(telemetry, Telemetry)
