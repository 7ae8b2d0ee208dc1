"""Whatever arrives, in whatever order: nothing raises, nothing grows, and only errors and closes come back."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.protocol.codec import CHUNK_BYTES, HUB_TO_PLAYER, PLAYER_TO_HUB, decode, encode_chunk
from hub.protocol.session import Close, HubSession, PlayerSession, Silent, Text
from tests.protocol.frames import FROM_HUB, FROM_PLAYER, HELLO, UPLOAD, WELCOME

samples = st.sampled_from([*FROM_PLAYER.values(), *FROM_HUB.values()])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A sample frame with a piece cut out or put in."""
    text = draw(samples)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(max_size=5)) + text[at + draw(st.integers(0, 5)) :]


texts = st.one_of(samples, damaged(), st.text(), st.binary(), samples.map(str.encode))
binaries = st.one_of(
    st.binary(max_size=40),
    st.builds(encode_chunk, st.integers(0, 5), st.sampled_from([0, 1, 2, 3, 2**63]), st.binary(max_size=5)),
)
steps = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("binary"), binaries),
    st.tuples(st.just("life"), st.none()),
    st.tuples(st.just("tick"), st.sampled_from([0.0, 0.5, 5.0, 30.0])),
)


def drive(session: HubSession | PlayerSession, script: list[tuple[str, Any]]) -> list[Any]:
    """Feed the script in; returns what the session wants written."""
    now = 0.0
    for kind, value in script:
        match kind:
            case "text":
                events: list[Any] = list(session.receive_text(value, now))
            case "binary":
                events = list(session.receive_binary(value, now))
            case "life":
                events = list(session.receive_life(now))
            case _:
                now += value
                was_closed = session.closed
                events = list(session.tick(now))
                if Silent() in events:
                    assert session.closed
                    assert not was_closed
                    continue
        if session.closed:
            assert session.next_deadline() is None
        if isinstance(session, HubSession):
            for event in events:
                if getattr(event, "type", "") == "hello" and not session.closed:
                    session.welcome(decode(WELCOME, HUB_TO_PLAYER))  # type: ignore[arg-type]
                if getattr(event, "type", "") == "upload":
                    session.upload_ready(event.upload)
    return session.take_output()


def closes_once_and_last(outputs: list[Any]) -> None:
    assert [type(output) for output in outputs].count(Close) <= 1
    assert not any(isinstance(output, Close) for output in outputs[:-1])


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=40), st.booleans())
def test_the_hub_survives_any_player(script: list[tuple[str, Any]], greeted: bool) -> None:
    session = HubSession(0.0)
    outputs = drive(session, [("text", HELLO)] * greeted + script)
    closes_once_and_last(outputs)
    for output in outputs:
        if isinstance(output, Text):
            assert decode(output.text, HUB_TO_PLAYER).type in ("welcome", "error", "upload_ready", "upload_failed")


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=40), st.booleans())
def test_the_player_survives_any_hub(script: list[tuple[str, Any]], welcomed: bool) -> None:
    session = PlayerSession(decode(HELLO, PLAYER_TO_HUB), 0.0)  # type: ignore[arg-type]
    outputs = drive(session, [("text", WELCOME)] * welcomed + script)
    closes_once_and_last(outputs)
    assert [decode(output.text, PLAYER_TO_HUB).type for output in outputs if isinstance(output, Text)] == ["hello"]


@pytest.mark.parametrize(
    "flood",
    [
        lambda n: ("text", FROM_PLAYER["progress"].replace("c-1", f"c-{n}")),
        lambda n: ("text", UPLOAD.replace('"upload":1', f'"upload":{n}')),
        lambda n: ("text", UPLOAD.replace('"upload":1', f'"upload":{n}').replace('"size":3', '"size":99999999')),
        lambda n: ("text", FROM_PLAYER["ack"].replace("c-1", f"c-{n}")),
        lambda n: ("life", None),
        lambda n: ("binary", encode_chunk(n, 0, bytes(CHUNK_BYTES))),
    ],
)
def test_a_flood_leaves_a_session_small(flood) -> None:
    session = HubSession(0.0)
    drive(session, [("text", HELLO)])
    frames = [flood(n) for n in range(3_000)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for kind, value in frames:
            drive(session, [(kind, value)])
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024
