"""Frames in and out: every message by its literal text, and what the decoder refuses."""

import dataclasses

import pytest

from hub.protocol.codec import (
    CHUNK_BYTES,
    HUB_TO_PLAYER,
    MAX_TEXT_BYTES,
    PLAYER_TO_HUB,
    Chunk,
    MalformedMessage,
    check,
    decode,
    decode_chunk,
    encode,
    encode_chunk,
)
from hub.protocol.json_text import loads
from hub.protocol.messages import Ack, Command, DeviceEvent, Progress, Result, Telemetry
from tests.protocol.frames import ACK, COMMAND, FROM_HUB, FROM_PLAYER, RESULT, hello_with

BOTH = [(text, PLAYER_TO_HUB) for text in FROM_PLAYER.values()] + [(text, HUB_TO_PLAYER) for text in FROM_HUB.values()]


def refusal(text: str | bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        decode(text, PLAYER_TO_HUB)
    return caught.value


def test_the_sample_frames_cover_every_message() -> None:
    assert set(FROM_PLAYER) == set(PLAYER_TO_HUB)
    assert set(FROM_HUB) == set(HUB_TO_PLAYER)


@pytest.mark.parametrize(("text", "allowed"), BOTH)
def test_every_message_survives_the_way_there_and_back(text: str, allowed: dict) -> None:
    message = decode(text, allowed)
    assert loads(encode(message)) == loads(text)
    assert decode(encode(message).encode(), allowed) == message
    check(message)


def test_a_message_is_read_into_its_typed_fields() -> None:
    assert decode(RESULT, PLAYER_TO_HUB) == Result(
        id="c-1", status="succeeded", detail={"volume": 40}, finished_at="2026-03-29T14:30:02Z", boot_id="boot-1"
    )


def test_messages_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        decode(ACK, PLAYER_TO_HUB).id = "other"  # type: ignore[misc, union-attr]


def test_a_direction_refuses_the_messages_of_the_other() -> None:
    assert refusal(COMMAND).code == "unknown_type"


def test_absent_fields_are_not_written_and_null_reads_as_absent() -> None:
    assert encode(Progress(id="c-1")) == '{"type":"progress","id":"c-1"}'
    assert decode('{"type":"progress","id":"c-1","percent":null}', PLAYER_TO_HUB) == Progress(id="c-1")


def test_unknown_fields_are_ignored() -> None:
    assert decode('{"type":"ack","id":"c-1","colour":["blue"]}', PLAYER_TO_HUB) == Ack(id="c-1")


def test_a_journal_entry_carries_a_result_with_or_without_its_type() -> None:
    bare = RESULT.replace('"type":"result",', "")
    for result in (bare, RESULT):
        text = hello_with('{"id":"c-1","state":"finished","result":' + result + "}")
        assert decode(text, PLAYER_TO_HUB).journal[0].result == decode(RESULT, PLAYER_TO_HUB)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('{"id":"c-1","state":"finished"}', "must carry its result"),
        ('{"id":"c-2","state":"finished","result":' + RESULT + "}", "own id"),
        ('{"id":"c-1","state":"lost"}', "journal.0.state"),
    ],
)
def test_a_journal_entry_that_contradicts_itself_is_refused(entry: str, says: str) -> None:
    bad = refusal(hello_with(entry))
    assert bad.code == "invalid_field"
    assert says in bad.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ('{"type":"ack","id":"c-1"}x', "not_json"),
        (b'{"type":"ack","id":"\xff"}', "not_json"),
        ('{"type":"ack","id":"\\ud800"}', "not_json"),
        ('{"type":"telemetry","cpu_percent":NaN}', "not_json"),
        ('{"type":"telemetry","cpu_percent":-Infinity}', "not_json"),
        ('{"type":"telemetry","cpu_percent":1e999}', "not_json"),
        ("null", "not_an_object"),
        ('["ack"]', "not_an_object"),
        ("{}", "unknown_type"),
        ('{"type":7}', "unknown_type"),
        ('{"type":["ack"]}', "unknown_type"),
        ('{"type":"welcome"}', "unknown_type"),
        ('{"type":"ack"}', "invalid_field"),
        ('{"type":"ack","id":null}', "invalid_field"),
        ('{"type":"ack","id":7}', "invalid_field"),
        ('{"type":"ack","id":""}', "invalid_field"),
        ('{"type":"ack","id":"two words"}', "invalid_field"),
        ('{"type":"ack","id":"' + "x" * 65 + '"}', "invalid_field"),
        ('{"type":"ack","id":"c-1\\n"}', "invalid_field"),
        ('{"type":"progress","id":"c-1","percent":true}', "invalid_field"),
        ('{"type":"progress","id":"c-1","percent":101}', "invalid_field"),
        ('{"type":"progress","id":"c-1","percent":12.5}', "invalid_field"),
        ('{"type":"progress","id":"c-1","note":"a\\u0000b"}', "invalid_field"),
        ('{"type":"telemetry","uptime_seconds":123456789012345678901234567890}', "invalid_field"),
        ('{"type":"telemetry","uptime_seconds":' + "9" * 5_000 + "}", "not_json"),
        ('{"type":"telemetry","screen_on":1}', "invalid_field"),
        ('{"type":"telemetry","clock":"2026-02-30T00:00:00Z"}', "invalid_field"),
        ('{"type":"telemetry","clock":"2026-03-29T14:30:00+02:00"}', "invalid_field"),
        ('{"type":"telemetry","clock":"2026-03-29T14:30:00"}', "invalid_field"),
        ('{"type":"event","name":"x","data":[]}', "invalid_field"),
        ('{"type":"event","name":"x","data":{"n":9007199254740993}}', "invalid_field"),
        ('{"type":"event","name":"x","data":{"a":"\\u0000"}}', "invalid_field"),
        ('{"type":"bye","reason":"bored"}', "invalid_field"),
        ('{"type":"settings","reported":{},"failed":{"volume":3}}', "invalid_field"),
        ('{"type":"event","name":"x","data":' + '{"a":' * 17 + "1" + "}" * 17 + "}", "too_deep"),
        ('{"type":"ack","id":"c-1","extra":' + "[" * 40 + "]" * 40 + "}", "too_deep"),
        ("[" * 100_000 + "]" * 100_000, "too_deep"),
        ('{"type":"ack","id":"c-1","pad":"' + "x" * MAX_TEXT_BYTES + '"}', "too_big"),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused_with_its_code(text: str | bytes, code: str) -> None:
    assert refusal(text).code == code


def test_the_frame_limit_counts_bytes_not_characters() -> None:
    text = '{"type":"ack","id":"c-1","pad":"' + "é" * (MAX_TEXT_BYTES // 2) + '"}'
    assert len(text) < MAX_TEXT_BYTES
    assert refusal(text).code == "too_big"
    assert decode(text.replace("é", "e"), PLAYER_TO_HUB) == Ack(id="c-1")


def test_a_refusal_names_the_field_and_refers_to_the_message() -> None:
    bad = refusal('{"type":"result","id":"c-9","status":"won","finished_at":"2026-03-29T14:30:02Z","boot_id":"b"}')
    assert bad.message.startswith("status: must be one of")
    assert bad.ref == "c-9"
    assert refusal('{"type":"plays","batch":"b-9"}').ref == "b-9"
    assert refusal('{"type":"upload","upload":12}').ref == "12"
    assert refusal('{"type":"ack","id":"not an id"}').ref is None


def test_lists_are_bounded() -> None:
    entry = '{"id":"c-%d","state":"accepted"}'
    fits = hello_with(*(entry % n for n in range(1_000)))
    assert len(decode(fits, PLAYER_TO_HUB).journal) == 1_000  # type: ignore[union-attr]
    assert (
        refusal(hello_with(*(entry % n for n in range(1_001)))).message
        == "journal: must be a list of at most 1000 entries"
    )


def test_a_journal_of_the_greatest_size_fits_into_one_frame() -> None:
    entry = '{"id":"%064d","state":"accepted"}'
    assert len(hello_with(*(entry % n for n in range(1_000)))) < MAX_TEXT_BYTES


def test_whole_numbers_may_be_written_with_a_fraction_of_zero() -> None:
    message = decode('{"type":"progress","id":"c-1","percent":50.0}', PLAYER_TO_HUB)
    assert type(message.percent) is int  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "detail",
    [{"x": float("nan")}, {"x": 2**60}, {"x": object()}, {"x": "\ud800"}, {1: "x"}, {"x": "\0"}],
)
def test_what_json_cannot_carry_is_not_written(detail: dict) -> None:
    with pytest.raises(MalformedMessage):
        encode(DeviceEvent(name="x", data=detail))


def test_a_message_over_the_frame_limit_is_not_written() -> None:
    with pytest.raises(MalformedMessage) as caught:
        encode(DeviceEvent(name="x", data={"log": "x" * MAX_TEXT_BYTES}))
    assert caught.value.code == "too_big"


@pytest.mark.parametrize(
    "message",
    [
        Ack(id="two words"),
        Telemetry(cpu_percent=float("nan")),
        Telemetry(volume=101),
        Command(id="c", command="", payload={}, delivery="safe", expires_at="2026-03-29T14:30:00Z"),
        Command(id="c", command="x", payload={}, delivery="safe", expires_at="tomorrow"),
    ],
)
def test_a_message_of_our_own_is_held_to_the_same_rules(message) -> None:
    with pytest.raises(MalformedMessage):
        check(message)


def test_a_chunk_has_a_big_endian_header() -> None:
    frame = encode_chunk(1, 65_536, b"abc")
    assert frame == bytes.fromhex("00000001 0000000000010000") + b"abc"
    assert decode_chunk(frame) == Chunk(1, 65_536, b"abc")


@pytest.mark.parametrize("frame", [b"", b"\0" * 11, b"\0" * 12, b"\0" * (12 + CHUNK_BYTES + 1)])
def test_a_chunk_without_header_or_data_or_with_too_much_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_chunk(frame)
    assert caught.value.code == "bad_chunk"
