"""The bytes under a socket: whatever arrives, however it is cut, and however little is read."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from hub.client_address import NO_PROXIES
from hub.domain.errors import HubError, Unauthenticated
from hub.protocol.closecodes import CloseCode
from hub.sockets import transport
from hub.sockets.transport import Budget, FrameSocket, OperatorSocket, PlayerSocket
from tests.waiting import PATIENCE_S

KINDS = pytest.mark.parametrize("kind", [PlayerSocket, OperatorSocket])


class Above:
    """A connection that writes down what it hears, and the door that lets it in once `open` is set."""

    proxies = NO_PROXIES

    def __init__(self, outbox_bytes: int = 1_048_576, refusal: HubError | None = None) -> None:
        self.outbox_bytes = outbox_bytes
        self.refusal = refusal
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.heard: list[Any] = []
        self.lives = 0
        self.lost = asyncio.Event()
        self.seam: Any = None

    async def admit(self, seam: Any, token: str | None, address: str | None) -> "Above":
        self.seam = seam
        self.asked.set()
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        return self

    def share(self, budget: Budget) -> Budget:
        return budget

    def on_text(self, data: bytes) -> None:
        self.heard.append(data.decode())

    def on_binary(self, data: bytes) -> None:
        self.heard.append(data)

    def on_life(self) -> None:
        self.lives += 1

    def on_excess(self, code: CloseCode, reason: str) -> None:
        self.seam.close(code, reason)

    def on_lost(self) -> None:
        self.lost.set()


class Wire(asyncio.Transport):
    """A network that keeps what is written; while it is `stuck` nobody reads it."""

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__()
        self.written = bytearray()
        self.stuck = stuck
        self.reading = True
        self.ended = self.closed = False
        self.aborted = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.stuck else 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
        self.aborted.set()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def one_turn() -> None:
    """Of the loop."""
    await asyncio.sleep(0)


class Talk:
    """One socket, from its handshake on; what the other end would see of it."""

    def __init__(self, kind: type[FrameSocket], above: Above, wire: Wire, *protocols: str) -> None:
        self.above = above
        self.wire = wire
        state = SimpleNamespace(connections=set(), tasks=set())
        self.tasks: set[asyncio.Task[Any]] = state.tasks
        self.socket = kind(None, state, {"registry": above, "operators": above})
        self.client = ClientProtocol(
            parse_uri("ws://hub/ws"), subprotocols=cast(Any, [kind.SUBPROTOCOL, *protocols]), max_size=None
        )
        self.frames: list[Frame] = []
        self._read = 0

    async def ask(self) -> None:
        self.socket.connection_made(self.wire)
        self.client.send_request(self.client.connect())
        for data in self.client.data_to_send():
            self.socket.data_received(data)

    async def answered(self) -> None:
        await asyncio.wait(self.tasks)
        self.look()

    def look(self) -> None:
        """Read what the hub has written."""
        new, self._read = bytes(self.wire.written[self._read :]), len(self.wire.written)
        if new:
            self.client.receive_data(new)
        self.frames += [event for event in self.client.events_received() if isinstance(event, Frame)]

    async def send(self, *pieces: bytes) -> None:
        """As a network would: nothing more while the hub does not read."""
        for piece in pieces:
            await self._settled()
            if self.wire.reading and not self.wire.closed:
                self.socket.data_received(piece)
        await self._settled()

    async def _settled(self) -> None:
        while self.socket._arrived and not self.wire.closed:
            await one_turn()

    @property
    def close(self) -> tuple[int, str] | None:
        """The hub's close frame."""
        self.look()
        for frame in self.frames:
            if frame.opcode is Opcode.CLOSE:
                close = Close.parse(bytes(frame.data))
                return int(close.code), close.reason
        return None

    def end(self) -> None:
        self.socket.connection_lost(None)


async def talk(kind: type[FrameSocket], above: Above | None = None, *, stuck: bool = False) -> Talk:
    one = Talk(kind, above or Above(), Wire())
    await one.ask()
    await one.answered()
    assert one.client.state is OPEN
    one.wire.stuck = stuck
    return one


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", (fin << 7) | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", (fin << 7) | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", (fin << 7) | opcode, 0x80 | 127, size)
    return head + bytes(4) + payload


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


@KINDS
@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_more_control_frames_than_their_budget_are_the_end(kind: type[FrameSocket], opcode: int) -> None:
    one = await talk(kind)
    await one.send(frame(opcode, b"x" * 125) * transport.CONTROL_A_MINUTE)
    assert one.close is None
    await one.send(frame(opcode, b"x" * 125) * 100_000)
    assert one.close == (4029, "too many pings within a minute")
    assert len(one.wire.written) < 200 * (transport.CONTROL_A_MINUTE + 100)
    one.end()


@KINDS
async def test_pongs_that_nobody_reads_count_as_output(
    kind: type[FrameSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONTROL_A_MINUTE", 1_000_000)
    monkeypatch.setattr(kind, "FRAMES_A_MINUTE", 1_000_000)
    one = await talk(kind, Above(outbox_bytes=65_536), stuck=True)
    await one.send(frame(PING, b"x" * 125) * 10_000)
    assert one.close == (4130, "too slow to read")
    assert len(one.wire.written) < 65_536 + 2 * transport.SLICE_BYTES
    one.end()


@KINDS
async def test_a_message_has_a_most_of_pieces(kind: type[FrameSocket]) -> None:
    one = await talk(kind)
    await one.send(frame(TEXT, b"x", fin=False), frame(CONTINUATION, fin=False) * (transport.PIECES - 1))
    await one.send(frame(CONTINUATION, b"y"))
    assert (one.above.heard, one.close) == (["xy"], None)
    await one.send(frame(TEXT, b"x", fin=False), frame(CONTINUATION, fin=False) * transport.PIECES)
    assert one.close == (4029, "too many pieces of one message")
    one.end()

    one = await talk(kind)
    await one.send(
        frame(TEXT, b"x", fin=False) + frame(CONTINUATION, fin=False) * transport.PIECES + frame(CONTINUATION)
    )
    assert (one.above.heard, one.close) == ([], (4029, "too many pieces of one message"))  # whole in one packet
    one.end()


@KINDS
async def test_frames_and_bytes_have_budgets_of_a_minute(
    kind: type[FrameSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "FRAMES_A_MINUTE", 5)
    one = await talk(kind)
    await one.send(frame(TEXT) * 5)
    assert (one.above.heard, one.close) == ([""] * 5, None)  # also those of no bytes
    await one.send(frame(BINARY))
    assert one.close == (4029, "too many frames within a minute")
    one.end()

    monkeypatch.setattr(kind, "FRAMES_A_MINUTE", 1_000)
    monkeypatch.setattr(kind, "BYTES_A_MINUTE", 10_000)
    one = await talk(kind)
    await one.send(frame(BINARY, bytes(60_000))[:12_000])  # counted as they come, not when the message is whole
    assert one.close == (4029, "too many bytes within a minute")
    await one.send(bytes(transport.UNHEARD_BYTES))
    assert not one.wire.reading
    one.end()


@KINDS
async def test_who_has_broken_a_limit_is_heard_no_more_and_its_bytes_are_not_kept(kind: type[FrameSocket]) -> None:
    one = await talk(kind)
    await one.send(frame(PONG) * (transport.CONTROL_A_MINUTE + 1))
    assert one.close is not None
    heard = len(one.wire.written)
    await one.send(*[frame(PING, b"x" * 100) * 1_000 + frame(TEXT, b"{}")] * 20)
    assert (one.above.heard, len(one.wire.written)) == ([], heard)
    assert not one.socket._arrived
    assert not one.socket._protocol.reader.buffer
    one.end()


@KINDS
async def test_a_read_full_of_tiny_frames_leaves_others_their_turn(kind: type[FrameSocket]) -> None:
    one = await talk(kind)
    turns = []

    def other() -> None:
        turns.append(one.above.lives)
        if one.above.lives < 5_000:
            asyncio.get_running_loop().call_soon(other)

    asyncio.get_running_loop().call_soon(other)
    message = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 900 + frame(CONTINUATION)
    await one.send(message * 6)
    assert max(after - before for before, after in pairwise(turns)) <= 1_000
    one.end()


@KINDS
async def test_what_comes_before_the_101_waits_in_the_network(kind: type[FrameSocket]) -> None:
    above = Above()
    above.open.clear()
    one = Talk(kind, above, Wire())
    await one.ask()
    await above.asked.wait()
    assert not one.wire.reading
    one.socket.data_received(frame(PING, b"early"))  # from a network that had read it already
    assert not one.wire.written
    above.open.set()
    await one.answered()
    await one.send(frame(TEXT, b"on time"))
    one.look()
    assert one.client.state is OPEN
    assert [bytes(each.data) for each in one.frames] == [b"early"]
    assert above.heard == ["on time"]
    one.end()


@KINDS
@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"caf\xc3"),
        frame(TEXT, b"\xed\xa0\x80"),  # a surrogate
        frame(TEXT, b"\xc0\xaf"),  # an overlong slash
        frame(TEXT, b"caf\xc3", fin=False) + frame(CONTINUATION, b""),
        frame(TEXT, b"ok \xe2", fin=False) + frame(PING) + frame(CONTINUATION, b"\x82\x28"),
        frame(CLOSE, struct.pack("!H", 1000) + b"\xff"),
    ],
)
async def test_text_that_is_not_utf_8_is_1007(kind: type[FrameSocket], sent: bytes) -> None:
    one = await talk(kind)
    await one.send(frame(TEXT, b"first") + sent + frame(TEXT, b"last") + frame(CLOSE, struct.pack("!H", 1000)))
    assert one.above.heard == ["first"]
    assert one.close is not None
    assert one.close[0] == 1007
    one.end()


@KINDS
async def test_a_character_may_be_cut_between_pieces_and_binary_may_be_anything(kind: type[FrameSocket]) -> None:
    one = await talk(kind)
    await one.send(frame(TEXT, b"caf\xc3", fin=False) + frame(CONTINUATION, b"\xa9"), frame(BINARY, b"\xff\xfe"))
    assert (one.above.heard, one.close) == (["café", b"\xff\xfe"], None)
    one.end()


@KINDS
async def test_after_our_goodbye_nothing_is_handled_but_the_answer_to_it(kind: type[FrameSocket]) -> None:
    one = await talk(kind)
    one.above.seam.close(4001, "over")
    await one.send(frame(TEXT, b"late"))
    assert (one.above.heard, one.wire.closed) == ([], False)
    await one.send(frame(CLOSE, struct.pack("!H", 4001)))
    assert (one.close, one.wire.closed) == ((4001, "over"), True)
    one.end()


@KINDS
async def test_who_sends_nonsense_can_read_why_before_the_connection_ends(
    kind: type[FrameSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT_S", 0)
    one = await talk(kind)
    await one.send(frame(0x3))
    assert one.close == (1002, "invalid opcode")
    assert (one.wire.ended, one.wire.closed) == (True, False)
    await one.wire.aborted.wait()  # whoever neither reads nor ends is ended
    one.end()


@KINDS
async def test_a_refusal_is_read_by_browsers_as_a_close(kind: type[FrameSocket]) -> None:
    one = Talk(kind, Above(refusal=Unauthenticated("x" * 400)), Wire(), "bearer.secret")
    await one.ask()
    await one.answered()
    assert one.close == (4001, "x" * 123)
    one.end()


# The reference: the library's own server


def reference(kind: type[FrameSocket], data: bytes) -> tuple[list[Any], int | None, list[bytes]]:
    """(messages, close code, pongs) of a server that gets all bytes at once."""
    server = ServerProtocol(max_size=kind.MAX_BYTES, state=OPEN)
    server.receive_data(data)
    heard: list[Any] = []
    pongs: list[bytes] = []
    opcode, whole = TEXT, b""
    for event in server.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.PING:
            pongs.append(bytes(event.data))
        if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            continue
        if event.opcode is not Opcode.CONT:
            opcode, whole = event.opcode, b""
        whole += event.data
        if event.fin and opcode == TEXT:
            try:
                heard.append(whole.decode())
            except UnicodeDecodeError:
                return heard, 1007, pongs
        elif event.fin:
            heard.append(whole)
    return heard, server.close_sent and int(server.close_sent.code), pongs


PAYLOADS = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=40).map(str.encode),
    st.sampled_from([b"", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", struct.pack("!H", 1000), b"\x0f\xa0"]),
    st.integers(65_500, 66_000).map(bytes),
)
FRAMES = st.builds(
    frame,
    st.sampled_from([CONTINUATION, CONTINUATION, TEXT, TEXT, BINARY, PING, PONG, CLOSE, 0x3, 0x7F]),
    PAYLOADS,
    fin=st.booleans(),
)
GARBAGE = st.binary(max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """Frames, some with a wrong bit, and where the network cuts them."""
    data = bytearray(b"".join(draw(st.lists(st.one_of(FRAMES, FRAMES, FRAMES, GARBAGE), max_size=8))))
    for at in draw(st.lists(st.integers(0, max(len(data) - 1, 0)), max_size=1)):
        if data:
            data[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(data), sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    marks = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(marks) if a < b]


@pytest.mark.parametrize("kind", [PlayerSocket, OperatorSocket])
@given(stream=streams())
@example(stream=(frame(TEXT, b"\xff") + frame(CLOSE), []))
@example(stream=(frame(TEXT, b"a", fin=False) + frame(CLOSE), [3]))
@examples(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_any_bytes_cut_anywhere_mean_what_they_mean_to_the_library(
    kind: type[FrameSocket], stream: tuple[bytes, list[int]]
) -> None:
    data, cuts = stream

    async def ours() -> tuple[list[Any], int | None, list[bytes]]:
        one = await talk(kind)
        await one.send(*cut(data, cuts))
        code = one.close[0] if one.close else None
        pongs = [bytes(each.data) for each in one.frames if each.opcode is Opcode.PONG]
        one.end()
        return one.above.heard, code, pongs

    assert asyncio.run(ours()) == reference(kind, data)


async def test_an_output_that_ends_after_its_reader_has_gone_is_no_fault() -> None:
    """The transport has not heard of it yet: it reads when the loop comes round."""
    lost = asyncio.Event()

    class End(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set_result(cast("asyncio.Transport", transport))

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()
    async with await loop.create_server(End, "127.0.0.1", 0) as server, asyncio.timeout(PATIENCE_S):
        caller = socket.socket()
        await asyncio.to_thread(caller.connect, server.sockets[0].getsockname())
        end = await made
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.close()
        assert transport.end_output(end)
        await lost.wait()
