"""The link: results until they are confirmed, reconnects, refusals, goodbyes."""

import asyncio

import pytest

from device_agent.commands.actions import Custom
from device_agent.connection.faults import Faults
from device_agent.connection.reconnect import FIRST_S
from device_agent.connection.websocket import Closed, Refused, connect, socket_url
from device_agent.players.base import PairingCard
from device_agent.players.simulated import SimulatedPlayer
from hub.protocol.closecodes import CloseCode
from hub.protocol.messages import Ack, AgentInfo, Hello, PlayerInfo, Result, SettingsReport
from hub.protocol.session import HubSession, PlayerSession, Silent
from tests.device_agent.far_hub import FarHub
from tests.waiting import PATIENCE_S


async def test_a_result_is_repeated_on_every_connection_until_it_is_confirmed(hub, start_agent):
    hub.confirm = False
    async with start_agent():
        connection = await hub.welcomed()
        await connection.command("c1", "set_volume", {"volume": 3}, "idempotent")
        result = await connection.hear(Result)
        connection.cut()
        connection = await hub.welcomed()
        assert connection.hello.journal[0].result == result
        connection.session.confirm_result("c1")
        await connection.command("c2", "set_volume", {"volume": 4}, "idempotent")
        await connection.flush()
        await connection.hear(Result, id="c2")
        connection.cut()
        connection = await hub.welcomed()
        assert [entry.id for entry in connection.hello.journal] == ["c2"]


async def test_a_command_sent_twice_runs_once(hub, start_agent, tmp_path):
    ran = tmp_path / "ran"
    custom = {"touch": custom_command("sh", "-c", f"echo x >> {ran}")}
    hub.confirm = False
    async with start_agent(options={"customs": custom}):
        connection = await hub.welcomed()
        await connection.command("c1", "custom:touch", {}, "once")
        first = await connection.hear(Result)
        await connection.command("c1", "custom:touch", {}, "once")
        assert await connection.hear(Result) == first
        connection.cut()
        connection = await hub.welcomed()
        await connection.command("c1", "custom:touch", {}, "once")
        assert await connection.hear(Result) == first
    assert ran.read_text() == "x\n"


def custom_command(*command, repeat="once"):
    return Custom(list(command), repeat)


async def test_a_result_that_comes_while_nobody_listens_is_told_in_the_next_hello(hub, start_agent, tmp_path):
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    wait = f"while [ ! -e {gate} ]; do sleep 0.01; done; echo x > {ran}"
    async with start_agent(options={"customs": {"wait": custom_command("sh", "-c", wait)}}):
        connection = await hub.welcomed()
        await connection.command("c1", "custom:wait", {}, "once")
        await connection.hear(Ack)
        connection.cut()
        connection = await hub.welcomed()
        assert [entry.state for entry in connection.hello.journal] in (["running"], ["accepted"])
        gate.touch()
        assert (await connection.hear(Result)).status == "succeeded"


async def test_a_drain_is_followed_at_the_delay_the_hub_gave(hub, start_agent, pauses):
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        await connection.hear(SettingsReport)
        connection.session.drain(7_250)
        await connection.flush()
        await connection.ended()
        assert connection.code == 1001
        assert 7.0 < await pauses.next() <= 7.25
        assert hub.connections.empty()
        pauses.end()
        await hub.welcomed()


async def test_the_delay_in_retry_after_is_kept(hub, start_agent, pauses):
    hub.refusals.extend([(503, {"Retry-After": "40"}), (429, {"Retry-After": "90"})])
    async with start_agent(sleep=pauses):
        assert 40 <= await pauses.next() <= 44
        pauses.end()
        assert 90 <= await pauses.next() <= 99
        pauses.end()
        await hub.welcomed()


@pytest.mark.parametrize("asked", ["99999999", "9" * 5_000, "0"])
async def test_no_refusal_keeps_a_player_away_for_longer_than_an_hour(hub, start_agent, pauses, asked):
    hub.refusals.append((503, {"Retry-After": asked}))
    async with start_agent(sleep=pauses):
        assert await pauses.next() <= 3_600 * 1.1
        pauses.end()
        await hub.welcomed()


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_a_hub_that_asks_for_no_delay_is_not_asked_without_a_pause(hub, start_agent, pauses, status):
    hub.refusals.extend([(status, {"Retry-After": "0"})] * 6)
    async with start_agent(sleep=pauses):
        for attempt in range(6):
            assert await pauses.next() >= (0 if attempt == 0 else FIRST_S)
            pauses.end()
        await hub.welcomed()


@pytest.mark.parametrize("asked", ["-5", "0.5", "-0", "+0", "1e-9", "", "soon"])
async def test_what_is_no_number_of_seconds_is_no_delay(hub, asked):
    """Such a refusal is backed off from."""
    hub.refusals.append((503, {"Retry-After": asked}))
    with pytest.raises(Refused) as refusal:
        await connect(hub.url, hub.token, open_s=PATIENCE_S)
    assert refusal.value.retry_after_s is None


async def test_a_refusal_without_a_delay_is_backed_off_from(hub, start_agent, pauses):
    hub.refusals.extend([(503, {}), (502, {})])
    async with start_agent(sleep=pauses):
        assert await pauses.next() <= 1
        pauses.end()
        assert await pauses.next() <= 2


async def test_a_revoked_player_plays_on_offers_a_pairing_and_keeps_trying_its_old_token(hub, start_agent, pauses):
    offered = asyncio.Event()

    async def pair(agent):
        offered.set()
        await asyncio.Event().wait()

    hub.refusals.append((401, {}))
    async with start_agent(sleep=pauses, pair=pair) as agent:
        assert 600 <= await pauses.next() <= 660
        async with asyncio.timeout(PATIENCE_S):
            await offered.wait()
        assert await agent.player.volume() == 100
        pauses.end()
        await hub.welcomed()  # a restored hub knows the old token again


async def test_a_new_pairing_brings_the_player_back_at_once(hub, start_agent, pauses):
    async def pair(agent):
        hub.token = "new"
        return "new", "Lobby"

    async with start_agent(sleep=pauses, pair=pair) as agent:
        connection = await hub.welcomed()
        await connection.hear(SettingsReport)
        hub.refusals.append((401, {}))
        await connection.socket.close(CloseCode.REVOKED, "revoked")
        await hub.welcomed()
        assert hub.requests[-1].headers["Authorization"] == "Bearer new"
        assert agent.link.connected or not agent.running.done()


async def test_an_agent_without_a_token_pairs_first(hub, start_agent):
    async def pair(agent):
        await agent.show_pairing(PairingCard("ABC234", "http://hub/pair", "pi, 4f1a02bc"))
        return hub.token, "Lobby"

    cards = []

    class Screen(SimulatedPlayer):
        async def show_pairing(self, card):
            cards.append(card and card.code)
            await super().show_pairing(card)

    async with start_agent(token=None, pair=pair, player=Screen("pi")):
        await hub.welcomed()
    assert len(hub.requests) == 1
    assert cards == ["ABC234", None]


async def test_the_screen_learns_the_players_name_and_keeps_it(hub, start_agent):
    names = asyncio.Queue()

    class Screen(SimulatedPlayer):
        async def rename(self, name):
            names.put_nowait(name)

    async with start_agent(player=Screen("pi")):
        assert await names.get() == "Lobby"
    hub.refusals.extend([(503, {"Retry-After": "60"})] * 10)
    async with start_agent(player=Screen("pi")):
        assert await names.get() == "Lobby"


@pytest.mark.parametrize(
    ("code", "least", "most"),
    [
        (CloseCode.QUARANTINED, 300, 330),
        (CloseCode.REPLACED, 60, 66),
        (CloseCode.FLOODING, 60, 66),
        (CloseCode.TOO_SLOW, 0, 1),
        (CloseCode.SERVICE_RESTART, 0, 1),
        (CloseCode.DRAIN, 0, 1),
    ],
)
async def test_a_close_code_says_when_to_come_back(hub, start_agent, pauses, code, least, most):
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        await connection.socket.close(code, "")
        assert least <= await pauses.next() <= most


async def test_a_hub_that_is_not_there_is_tried_again(hub, start_agent, pauses, tmp_path):
    async with start_agent(sleep=pauses, options={"hub_url": "http://127.0.0.1:1"}):
        for cap in (1, 2, 4):
            assert await pauses.next() <= cap
            pauses.end()


async def test_a_text_frame_is_announced_to_the_probe_around_its_sending(hub, start_agent):
    steps = []
    async with start_agent(probe=steps.append):
        connection = await hub.welcomed()
        await connection.command("c1", "set_volume", {"volume": 3}, "idempotent")
        await connection.hear(Result)
    for kind in ("hello", "ack", "result", "bye"):
        before = steps.index(f"before send {kind}")
        assert steps[before + 1] == f"after send {kind}"


async def test_a_hub_that_sends_too_much_is_left(hub, start_agent, pauses):
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        await connection.socket.send("x" * 300_000)
        await connection.ended()
        assert connection.code == 1009
        assert await pauses.next() <= 1


async def test_noise_from_the_hub_ends_in_a_close_and_not_in_a_crash(hub, start_agent, pauses):
    async with start_agent(sleep=pauses):
        connection = await hub.welcomed()
        for _ in range(20):
            await connection.socket.send('{"type":"command","id":3}')
        await connection.ended()
        assert connection.code == CloseCode.PROTOCOL_ERROR
        await pauses.next()


def test_a_half_open_connection_is_noticed_within_35_seconds_by_both_ends(hello):
    for end in (PlayerSession(hello, 0.0), HubSession(0.0)):
        if isinstance(end, PlayerSession):
            end.receive_text(WELCOME, 0.0)
        else:
            end.receive_text(PlayerSession(hello, 0.0).take_output()[0].text, 0.0)
            end.welcome(FarHub().welcome(1))
        now, events = 0.0, []
        while not end.closed:
            now = end.next_deadline()
            events += end.tick(now)
        assert Silent() in events
        assert now <= 35


WELCOME = (
    '{"type":"welcome","player_id":1,"name":"n","session":"s","epoch":1,"server_time":"2026-01-01T00:00:00Z",'
    '"heartbeat_s":10,"telemetry_s":60,"screenshot_s":0,"chunk_bytes":65536,"window":4,"settings":{},"alerts":[]}'
)


@pytest.fixture
def hello():
    return Hello(
        agent=AgentInfo(name="a", version="1"),
        boot_id="b",
        hardware_id="h",
        clock="2026-01-01T00:00:00Z",
        capabilities=[],
        player=PlayerInfo(kind="k", version="1"),
        journal=[],
    )


# Faults


async def test_a_blackholed_wire_hears_nothing_and_says_nothing_and_stays_open(hub):
    wire = await connect(hub.url, hub.token)
    far = await hub.opened.get()
    wire.send("heard")
    assert '"error"' in await wire.recv()
    wire.blackhole()
    wire.send("not heard")
    await far.socket.send("not heard either")
    assert not far.over.is_set()
    wire.abort()
    await far.ended()
    assert far.frames == 1
    with pytest.raises(Closed):
        await wire.recv()


async def test_a_dropped_connection_comes_back(hub, start_agent):
    struck = asyncio.Event()

    async def strike(seconds):
        assert 5 <= seconds <= 15
        await struck.wait()
        struck.clear()

    class Dropping(Faults):
        async def afflict(self, wire, chance, sleep=strike):
            await super().afflict(wire, chance, sleep)

    async with start_agent(options={"faults": Dropping(drop_every_s=10)}):
        first = await hub.welcomed()
        await first.hear(SettingsReport)
        struck.set()
        await first.ended()
        assert first.code == 1006
        await hub.welcomed()


async def test_frames_that_leave_late_leave_in_order(hub, start_agent):
    async with start_agent(options={"faults": Faults(latency_ms=5)}):
        connection = await hub.welcomed()
        for number in range(8):
            await connection.command(f"c{number}", "set_volume", {"volume": number}, "idempotent")
        for number in range(8):
            await connection.hear(Result, id=f"c{number}")
        acks = [said.id for said in connection.passed if isinstance(said, Ack)]
        assert acks == [f"c{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("hub_url", "socket"),
    [
        ("http://hub:8080", "ws://hub:8080/ws/player"),
        ("https://hub.example.com/", "wss://hub.example.com/ws/player"),
        ("https://example.com/signage", "wss://example.com/signage/ws/player"),
    ],
)
def test_the_socket_is_found_below_the_hubs_address(hub_url, socket):
    assert socket_url(hub_url) == socket


@pytest.mark.parametrize("address", ["hub:8080", "ftp://hub", "http://", "http://hub?token=x"])
def test_what_is_no_address_of_a_hub_is_refused(address):
    with pytest.raises(ValueError, match="looks like"):
        socket_url(address)


def test_a_name_is_asked_for_as_it_is_in_the_dns():
    with pytest.raises(ValueError, match="xn--"):
        socket_url("https://straße.example")
    assert socket_url("https://xn--strae-oqa.example") == "wss://xn--strae-oqa.example/ws/player"
