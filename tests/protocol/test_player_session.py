"""The player's end, as transcripts: what the hub sends, what the agent gets to see, what goes back."""

import dataclasses

import pytest

from hub.protocol.closecodes import CloseCode
from hub.protocol.codec import CHUNK_BYTES, MAX_TEXT_BYTES, PLAYER_TO_HUB, MalformedMessage, decode, encode_chunk
from hub.protocol.json_text import loads
from hub.protocol.messages import (
    Cancel,
    Drain,
    Error,
    Hello,
    JournalEntry,
    Result,
    ResultOk,
    Telemetry,
    Upload,
    UploadDone,
    UploadFailed,
    Welcome,
)
from hub.protocol.session import Binary, Close, Ping, PlayerSession, ReadChunk, Silent, Suspect
from tests.protocol.frames import COMMAND, FROM_HUB, HELLO, RESULT, UPLOAD, WELCOME, said


def hello() -> Hello:
    return decode(HELLO, PLAYER_TO_HUB)  # type: ignore[return-value]


def result(id: str = "c-1") -> Result:
    return decode(RESULT.replace("c-1", id), PLAYER_TO_HUB)  # type: ignore[return-value]


def upload(number: int = 1, size: int = 3) -> Upload:
    text = UPLOAD.replace('"upload":1', f'"upload":{number}').replace('"size":3', f'"size":{size}')
    return decode(text, PLAYER_TO_HUB)  # type: ignore[return-value]


def opened(welcome: str = WELCOME) -> PlayerSession:
    session = PlayerSession(hello(), 0.0)
    session.receive_text(welcome, 0.0)
    session.take_output()
    return session


def test_hello_goes_out_first_and_alone() -> None:
    session = PlayerSession(hello(), 0.0)
    assert not session.ack("c-1")
    assert not session.send(Telemetry(volume=3))
    assert not session.upload(upload())
    assert not session.bye("stopping")
    assert said(session) == [loads(HELLO)]


def test_after_welcome_everything_goes_out() -> None:
    session = PlayerSession(hello(), 0.0)
    (welcome,) = session.receive_text(WELCOME, 0.0)
    assert isinstance(welcome, Welcome)
    said(session)
    assert session.ack("c-1")
    assert session.progress("c-1", percent=50)
    assert session.result(result())
    assert session.send(Telemetry(volume=3))
    assert session.bye("stopping")
    assert said(session) == [
        {"type": "ack", "id": "c-1"},
        {"type": "progress", "id": "c-1", "percent": 50},
        loads(RESULT),
        {"type": "telemetry", "volume": 3},
        {"type": "bye", "reason": "stopping"},
    ]


def test_an_outcome_reached_before_welcome_goes_out_after_it() -> None:
    session = PlayerSession(hello(), 0.0)
    assert session.result(result())
    assert said(session) == [loads(HELLO)]
    session.receive_text(WELCOME, 0.0)
    assert said(session) == [loads(RESULT)]


def test_outcomes_that_do_not_fit_into_hello_follow_welcome() -> None:
    entries = []
    for number in range(200):
        outcome = dataclasses.replace(result(f"c-{number}"), detail={"output": "x" * (4096 if number % 2 else 10)})
        entries.append(JournalEntry(id=outcome.id, state="finished", result=outcome))
    entries.append(JournalEntry(id="c-new", state="accepted"))
    session = PlayerSession(dataclasses.replace(hello(), journal=entries), 0.0)
    (greeting,) = session.take_output()
    assert len(greeting.text) <= MAX_TEXT_BYTES  # type: ignore[union-attr]
    told = {entry["id"]: entry for entry in loads(greeting.text)["journal"]}  # type: ignore[union-attr]
    assert list(told) == [entry.id for entry in entries]
    session.receive_text(WELCOME, 0.0)
    later = {frame["id"]: frame for frame in said(session)}
    assert later
    for entry in entries:
        if entry.id in later:
            assert told[entry.id] == {"id": entry.id, "state": "running"}
            assert later[entry.id]["detail"] == entry.result.detail  # type: ignore[union-attr]
        else:
            assert told[entry.id]["state"] == entry.state


def test_a_journal_over_its_limit_is_a_defect_of_the_caller() -> None:
    entries = [JournalEntry(id=f"c-{n}", state="accepted") for n in range(1_001)]
    with pytest.raises(MalformedMessage):
        PlayerSession(dataclasses.replace(hello(), journal=entries), 0.0)


def test_nothing_the_hub_would_refuse_goes_out() -> None:
    session = opened()
    with pytest.raises(MalformedMessage):
        session.send(Telemetry(volume=101))
    with pytest.raises(MalformedMessage):
        session.ack("two words")
    assert said(session) == []


def test_a_hub_that_says_no_welcome_is_left() -> None:
    session = PlayerSession(hello(), 100.0)
    said(session)
    assert session.next_deadline() == 130.0
    session.tick(130.0)
    assert said(session)[0].code == CloseCode.GOING_AWAY
    assert session.closed


def test_what_comes_before_welcome_is_not_acted_on() -> None:
    session = PlayerSession(hello(), 0.0)
    assert session.receive_text(COMMAND, 0.0) == []
    (error,) = session.receive_text(FROM_HUB["error"], 0.0)
    assert isinstance(error, Error)
    assert session.receive_text(WELCOME, 0.0)


def test_a_second_welcome_ends_the_connection() -> None:
    session = opened()
    assert session.receive_text(WELCOME, 0.0) == []
    assert said(session)[0].code == CloseCode.PROTOCOL_ERROR


def test_the_messages_of_the_hub_are_passed_on() -> None:
    session = opened()
    silent = ("welcome", "upload_ready", "upload_credit", "upload_done", "upload_failed")  # the session's own business
    for name, text in FROM_HUB.items():
        events = session.receive_text(text, 1.0)
        assert [event.type for event in events] == ([] if name in silent else [name])  # type: ignore[union-attr]
        if name == "welcome":
            session = opened()
    assert session.receive_text(FROM_HUB["cancel"], 1.0) == [Cancel(id="c-1")]
    assert session.receive_text(FROM_HUB["result_ok"], 1.0) == [ResultOk(id="c-1")]


def test_a_message_of_a_newer_hub_is_ignored() -> None:
    session = opened()
    for _ in range(100):
        assert session.receive_text('{"type":"sing","song":"x"}', 1.0) == []
    assert not session.closed


def test_a_hub_that_talks_rubbish_is_left() -> None:
    session = opened()
    for _ in range(20):
        assert session.receive_text("?", 1.0) == []
    assert said(session)[-1].code == CloseCode.PROTOCOL_ERROR


def test_no_goodbye_is_said_to_a_draining_hub() -> None:
    session = opened()
    assert session.receive_text(FROM_HUB["drain"], 1.0) == [Drain(reconnect_after_ms=1_500)]
    assert not session.bye("stopping")
    assert session.result(result())


def test_after_the_close_nothing_goes_out() -> None:
    session = opened()
    session.close(CloseCode.GOING_AWAY, "stopping")
    assert not session.result(result())
    assert not session.ack("c-1")
    assert not session.chunk(1, 0, b"abc")
    assert said(session) == [Close(CloseCode.GOING_AWAY, "stopping")]


def test_the_heartbeat_of_the_welcome_counts() -> None:
    session = opened(WELCOME.replace('"heartbeat_s":10', '"heartbeat_s":60'))
    assert session.next_deadline() == 60.0
    session.tick(60.0)
    assert said(session) == [Ping()]
    assert session.tick(65.0) == [Suspect()]
    assert session.next_deadline() == 180.0
    assert session.tick(180.0) == [Silent()]
    assert session.closed


def test_an_upload_reads_within_its_window() -> None:
    size = 6 * CHUNK_BYTES + 1
    session = opened()
    assert session.upload(upload(1, size))
    assert said(session)[0]["type"] == "upload"
    assert not session.receive_text('{"type":"upload_credit","upload":1,"received":65536}', 1.0)
    assert session.receive_text('{"type":"upload_ready","upload":1,"received":0}', 1.0) == [
        ReadChunk(1, n * CHUNK_BYTES, CHUNK_BYTES) for n in range(4)
    ]
    assert session.chunk(1, 0, b"abc")
    assert session.take_output() == [Binary(encode_chunk(1, 0, b"abc"))]
    assert session.receive_text('{"type":"upload_credit","upload":1,"received":131072}', 1.0) == [
        ReadChunk(1, 4 * CHUNK_BYTES, CHUNK_BYTES),
        ReadChunk(1, 5 * CHUNK_BYTES, CHUNK_BYTES),
    ]
    assert not session.receive_text('{"type":"upload_credit","upload":1,"received":131072}', 1.0)
    assert session.receive_text('{"type":"upload_credit","upload":1,"received":262144}', 1.0) == [
        ReadChunk(1, 6 * CHUNK_BYTES, 1)
    ]
    (done,) = session.receive_text(FROM_HUB["upload_done"], 1.0)
    assert isinstance(done, UploadDone)
    assert not session.chunk(1, 0, b"abc")


def test_an_upload_resumes_where_the_hub_says() -> None:
    session = opened()
    session.upload(upload(1, 100))
    assert session.receive_text('{"type":"upload_ready","upload":1,"received":40}', 1.0) == [ReadChunk(1, 40, 60)]


def test_chunks_are_as_small_as_the_hub_asks() -> None:
    session = opened(WELCOME.replace('"chunk_bytes":65536,"window":4', '"chunk_bytes":1000,"window":2'))
    session.upload(upload(1, 5_000))
    assert session.receive_text('{"type":"upload_ready","upload":1,"received":0}', 1.0) == [
        ReadChunk(1, 0, 1_000),
        ReadChunk(1, 1_000, 1_000),
    ]


def test_a_failed_upload_is_told_and_its_chunks_no_longer_go_out() -> None:
    session = opened()
    session.upload(upload())
    session.receive_text('{"type":"upload_ready","upload":1,"received":0}', 1.0)
    (failed,) = session.receive_text(FROM_HUB["upload_failed"], 1.0)
    assert isinstance(failed, UploadFailed)
    assert not session.chunk(1, 0, b"abc")


def test_four_uploads_may_be_open() -> None:
    session = opened()
    assert [session.upload(upload(number)) for number in range(5)] == [True] * 4 + [False]
    assert len(said(session)) == 4
    with pytest.raises(ValueError):
        session.upload(upload(0))
