"""What the `hub` command says of a hub that does not answer as one."""

import asyncio
import math
from pathlib import Path

import pytest

from hub import client
from tests.harness import running_hub, settings
from tests.receiver import Receiver, status

LOOKS = "--url: a hub's address looks like https://hub.example.com, not "


@pytest.mark.parametrize(
    ("url", "key", "sentence"),
    [
        ("http://127.0.0.1:1", "", "A key is needed: --key, or HUB_KEY in the environment."),
        ("http://127.0.0.1:1", "sbk_\n", "--key: this is not a key; one looks like sbk_..."),
        ("http://127.0.0.1:1", "schlüssel", "--key: this is not a key; one looks like sbk_..."),
        ("http://127.0.0.1:1", "sbk_1", "http://127.0.0.1:1"),
        ("http://127.0.0.1:99999", "sbk_1", f"{LOOKS}http://127.0.0.1:99999."),
        ("127.0.0.1:8080", "sbk_1", f"{LOOKS}127.0.0.1:8080."),
        ("localhost:8080", "sbk_1", f"{LOOKS}localhost:8080."),
        ("hub.example.com", "sbk_1", f"{LOOKS}hub.example.com."),
        ("ftp://127.0.0.1", "sbk_1", f"{LOOKS}ftp://127.0.0.1."),
        ("http://[::", "sbk_1", f"{LOOKS}http://[::."),
        ("http://", "sbk_1", f"{LOOKS}http://."),
        ("http://a b", "sbk_1", "http://a b"),
        ("", "sbk_1", f"{LOOKS}nothing."),
    ],
)
async def test_no_hub_at_the_address_is_one_sentence(url: str, key: str, sentence: str) -> None:
    with pytest.raises(client.Refused) as called:
        await asyncio.to_thread(client.call, "GET", url, key, "/api/v1/players")
    with pytest.raises(client.Refused) as watched:
        await client.watch(url, key)
    for refused in (called, watched):
        assert sentence in refused.value.message
        assert "\n" not in refused.value.message


async def test_another_server_is_not_taken_for_a_hub() -> None:
    async with Receiver(status(200, b"hello"), status(404, b"[1]"), status(403, b"<p>")) as receiver:
        for said in (f"What answers at {receiver.url} is no hub.", "The hub answered 404.", "The hub answered 403."):
            with pytest.raises(client.Refused) as refused:
                await asyncio.to_thread(client.call, "POST", receiver.url, "sbk_1", "/api/v1/commands", {})
            assert refused.value.message == said


async def refusals(url: str, key: str) -> list[str]:
    """What a call and the feed say."""
    with pytest.raises(client.Refused) as called:
        await asyncio.to_thread(client.call, "GET", url, key, "/api/v1/players")
    with pytest.raises(client.Refused) as watched:
        await client.watch(url, key)
    return [called.value.message, watched.value.message]


async def test_a_key_that_the_hub_does_not_know_is_told_as_such(tmp_path: Path) -> None:
    sentence = "The hub does not know this key; --key or HUB_KEY is wrong."
    async with running_hub(settings(tmp_path)) as hub:
        assert await refusals(hub.url, "sbk_1") == [sentence] * 2
        wanted = {"name": "Wall", "scopes": ["read:players"]}
        made = (await hub.client.post("/api/v1/api-keys", json=wanted)).json()["data"]
        watching = asyncio.create_task(client.watch(hub.url, made["key"]))
        while "signalbox_operators_connected 1" not in (await hub.client.get("/metrics")).text:
            assert not watching.done()
        await hub.client.delete(f"/api/v1/api-keys/{made['id']}")
        with pytest.raises(client.Refused) as ended:
            await watching
        assert ended.value.message == sentence
    async with Receiver(status(401, b'{"message": "Log in at the gate."}')) as gate:  # of somebody in front of the hub
        with pytest.raises(client.Refused, match=r"^Log in at the gate\.$"):
            await asyncio.to_thread(client.call, "POST", gate.url, "sbk_1", "/api/v1/commands", {})


async def test_a_hub_without_tls_is_told_in_plain_words(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        for said in await refusals(hub.url.replace("http:", "https:"), "sbk_1"):
            assert said.endswith(": what listens there does not speak TLS; its address may begin with http:")


@pytest.mark.parametrize("asked", [0, -5, 0.001, 1e9, 1e300, math.inf, -math.inf, 10**400, "soon", None, True, [1], {}])
def test_watch_waits_a_minute_at_most_and_never_hammers(asked: object) -> None:
    assert 1 <= client._pause_s(asked) <= 60


async def test_watch_waits_for_its_turn_where_the_pace_of_the_plan_is_used_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(settings(tmp_path)) as hub:
        player_id, _ = await hub.player()
    async with running_hub(settings(tmp_path, rate_limits={"unlimited": 30}), hub.key) as hub:
        while (await hub.client.get("/api/v1/team")).status_code != 429:
            pass
        watching = asyncio.create_task(client.watch(hub.url, hub.key))
        try:
            async with asyncio.timeout(60):
                while "picture.black" not in capsys.readouterr().out:
                    await hub.services.presence.noticed(player_id, "picture.black", {})
                    await asyncio.wait([watching], timeout=0.1)
                    assert not watching.done()
        finally:
            watching.cancel()
            await asyncio.wait([watching])
