"""Where the hub listens and with what: addresses, TLS, and one sentence when it cannot."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from hub.command_line import app
from hub.config import ConfigError, load
from hub.domain.addresses import authority
from hub.domain.errors import CannotStart
from hub.server import configure
from tests.certificates import pem_file
from tests.harness import NO_TLS, PASSWORD, running_hub, settings
from tests.ports import listener
from tests.waiting import PATIENCE_S


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hub", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"HUB_CONFIG": os.devnull} | environment,
    )


def refused(*arguments: str, **environment: str) -> str:
    """What a command says that ends with 1, run in this process: to start one takes seconds."""
    ended = CliRunner(env={"HUB_CONFIG": os.devnull, **environment}).invoke(app, arguments)
    assert ended.exit_code == 1, ended.output
    assert ended.stdout == ""
    return ended.stderr


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """A hub of its own; answers the address that it tells."""
    command = [sys.executable, "-m", "hub", "serve", "--data", str(folder), "--port", "0", *arguments]
    environment = os.environ | {"HUB_CONFIG": os.devnull} | environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as hub:
        assert hub.stdout is not None
        try:
            yield hub.stdout.readline().strip().removeprefix("Signalbox listens on ")
        finally:
            hub.terminate()
    assert hub.returncode == 0


# Addresses


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_told_in_brackets_and_can_be_called(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "::1") as url:
        assert url.startswith("http://[::1]:")
        assert httpx2.get(f"{url}/healthz", verify=NO_TLS, timeout=60).json() == {"status": "ok"}
        form = {"client_id": "player", "hardware_id": "device"}
        offer = httpx2.post(f"{url}/oauth/device_authorization", data=form, verify=NO_TLS, timeout=60).json()
        assert offer["verification_uri"].startswith(f"{url}/")
        # Without a Host that is known, addresses are made from where the call came in.
        with socket.create_connection(("::1", int(url.rpartition(":")[2]))) as old:
            body = b"client_id=player&hardware_id=other"
            old.sendall(
                b"POST /oauth/device_authorization HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            answer = b"".join(iter(lambda: old.recv(65_536), b""))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["verification_uri"] == offer["verification_uri"]


@pytest.mark.parametrize(
    ("host", "port", "written"),
    [
        ("hub.example", 8080, "hub.example:8080"),
        ("127.0.0.1", 80, "127.0.0.1:80"),
        ("::1", 8080, "[::1]:8080"),
        ("fe80::1%eth0", 8080, "[fe80::1%25eth0]:8080"),
        ("::1", None, "[::1]"),
        ("hub.example", None, "hub.example"),
    ],
)
def test_host_and_port_in_an_address(host: str, port: int | None, written: str) -> None:
    assert authority(host, port) == written


@pytest.mark.parametrize("url", ["http://::1:8080", "http://hub:http", "https://hub:0", "https://:8080", "http://[::1"])
def test_a_public_address_that_nobody_can_call_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.public_url"):
        load(server={"public_url": url})


@pytest.mark.parametrize("url", ["", "http://[::1]:8080", "https://hub.example/signalbox", "https://hub:8443"])
def test_a_public_address_with_a_host_is_taken(url: str) -> None:
    assert load(server={"public_url": url}).server.public_url == url


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_told_in_one_sentence_before_anything_is_written(tmp_path: Path, command: str) -> None:
    with listener() as taken:
        port = taken.getsockname()[1]
        arguments = ["--port", str(port), *(["--data", str(tmp_path)] if command == "serve" else [])]
        ended = run(command, *arguments)
    assert ended.returncode == 1
    assert ended.stderr == f"The hub cannot listen on 127.0.0.1:{port}: address already in use.\n"
    assert not (tmp_path / "hub.db").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "nowhere.invalid"], "The hub cannot listen on nowhere.invalid:8080: there is no such host.\n"),
        (["--host", "192.0.2.1"], "The hub cannot listen on 192.0.2.1:8080: cannot assign requested address.\n"),
        (["--host", "::zz"], "The hub cannot listen on [::zz]:8080: there is no such host.\n"),
        (["--host", "a" * 64], f"The hub cannot listen on {'a' * 64}:8080: this is no host and port.\n"),
        (["--port", "65536"], "server.port: input should be less than or equal to 65535\n"),
        (["--port", "-1"], "server.port: input should be greater than or equal to 0\n"),
        (["--tls-cert", "cert.pem"], "server: value error, tls_cert and tls_key are set together or not at all\n"),
    ],
    ids=["unknown host", "not ours", "no address", "no name", "no port", "below", "half of TLS"],
)
def test_an_address_that_cannot_be_is_told_in_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    assert refused("serve", "--data", str(tmp_path), *arguments) == sentence


def test_a_demo_on_a_port_that_cannot_be_is_told_in_one_sentence() -> None:
    assert refused("demo", "--port", "70000") == "server.port: input should be less than or equal to 65535\n"


def test_an_address_of_the_figures_that_is_in_use_stops_the_start(tmp_path: Path) -> None:
    with listener() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused("serve", "--data", str(tmp_path), "--port", "0", HUB_METRICS__LISTEN=address)
    assert said == f"The hub cannot listen on {address}: address already in use.\n"


# TLS


def test_a_certificate_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    good, other = pem_file(tmp_path, "127.0.0.1"), pem_file(tmp_path / "other", "127.0.0.1")
    locked = pem_file(tmp_path, "locked", password="secret")
    text = good.read_text()
    at = text.index("-----BEGIN PRIVATE")
    files = {
        "cert": text[:at],
        "key": text[at:],
        "empty": "",
        "nonsense": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
        "broken key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    cases = {
        ("cert", "absent"): "server.tls_key: {1} cannot be read: No such file or directory.",
        ("absent", "key"): "server.tls_cert: {0} cannot be read: No such file or directory.",
        ("other", "key"): "server.tls_cert: {0} cannot be read: Is a directory.",
        ("empty", "key"): "server.tls_cert: {0} is not a certificate in PEM.",
        ("key", "key"): "server.tls_cert: {0} is not a certificate in PEM.",
        ("nonsense", "key"): "server.tls_cert: {0} is not a certificate in PEM.",
        ("cert", "empty"): "server.tls_key: {1} is not a private key in PEM.",
        ("cert", "cert"): "server.tls_key: {1} is not a private key in PEM.",
        ("cert", "broken key"): "server.tls_key: {1} is not a private key in PEM.",
        ("cert", str(other)): "server.tls_key: {1} is not the key of the certificate {0}.",
        (
            str(locked),
            str(locked),
        ): "server.tls_key: {1} is encrypted, and nobody is there to be asked for its password.",
    }
    for names, sentence in cases.items():
        cert, key = (tmp_path / name for name in names)
        with pytest.raises(CannotStart) as stopped:
            configure(None, host="127.0.0.1", port=0, tls_cert=cert, tls_key=key)
        assert stopped.value.message == sentence.format(cert, key), names


def test_a_hub_without_its_certificate_does_not_start(tmp_path: Path) -> None:
    absent = tmp_path / "cert.pem"
    said = refused("serve", "--data", str(tmp_path), "--tls-cert", str(absent), "--tls-key", str(absent))
    assert said == f"server.tls_cert: {absent} cannot be read: No such file or directory.\n"


async def test_players_operators_and_commands_over_tls(tmp_path: Path) -> None:
    """Processes on both sides: pairing, a picture that is larger than any buffer, the feed, an offer to upgrade."""
    pem = pem_file(tmp_path, "127.0.0.1")
    trust = {"SSL_CERT_FILE": str(pem)}
    context = ssl.create_default_context(cafile=str(pem))
    made = await asyncio.to_thread(
        run, "init", "--team", "T", "--email", "ada@example.com", "--data", str(tmp_path / "hub"), "--json",
        HUB_OWNER_PASSWORD=PASSWORD,
    )  # fmt: skip
    key = json.loads(made.stdout)["api_key"]
    with serving(tmp_path / "hub", "--tls-cert", str(pem), "--tls-key", str(pem)) as url:
        assert url.startswith("https://127.0.0.1:")
        port = int(url.rpartition(":")[2])
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(base_url=url, headers=headers, verify=context, timeout=PATIENCE_S) as client,
            asyncio.timeout(2 * PATIENCE_S),
        ):
            agent = [sys.executable, "-m", "device_agent.cli"]
            where = ["--hub", url, "--state", str(tmp_path / "state")]
            environment = os.environ | {"AGENT_CONFIG": os.devnull} | trust
            pairing = await asyncio.create_subprocess_exec(
                *agent, "pair", *where, stdout=asyncio.subprocess.PIPE, env=environment
            )
            assert pairing.stdout is not None
            while not (line := (await pairing.stdout.readline()).decode()).startswith("Code: "):
                assert line
            code = line.removeprefix("Code: ").strip()
            paired = await client.post("/api/v1/players/pair", json={"code": code, "name": "Lobby"})
            player_id = paired.json()["data"]["player_id"]
            assert await pairing.wait() == 0
            async with connect(
                f"wss://127.0.0.1:{port}/ws/operator",
                ssl=context,
                additional_headers=headers,
                subprotocols=[Subprotocol("signalbox.operator.v1")],
                proxy=None,
            ) as feed:
                await feed.send('{"type":"subscribe","topics":["events"]}')
                running = await asyncio.create_subprocess_exec(
                    *agent, "run", *where, "--player", "simulated", env=environment
                )
                try:
                    while json.loads(await feed.recv()).get("event") != "player.online":
                        pass
                    command = ["command", str(player_id), "take_screenshot", "--wait", "--url", url, "--key", key]
                    shot = await asyncio.to_thread(run, *command, **trust)
                    assert shot.returncode == 0, shot.stdout + shot.stderr
                    link = (await client.get(f"/api/v1/players/{player_id}/screenshot")).json()["url"]
                    assert link.startswith(url)
                    assert (await client.get(link)).headers["content-type"].startswith("image/")
                finally:
                    running.terminate()
                    await running.wait()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(
                b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nNONSENSE\r\n\r\n"
            )
            answers = await reader.read()
            assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"HTTP/1.1 400 ") == 1
            writer.close()


# /metrics


async def test_the_figures_at_an_address_of_their_own_are_at_no_other(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, metrics={"listen": "127.0.0.1:0"})) as hub:
        _, beside = hub.ports
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{beside}", verify=NO_TLS, timeout=60) as figures:
            assert "signalbox_players_connected" in (await figures.get("/metrics")).text
            for path in ("/healthz", "/api/v1/players", "/ws/player", "/docs"):
                answer = await figures.get(path)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await hub.client.get("/metrics")).status_code == 404
        _, token = await hub.player()
        hub.port = beside
        with pytest.raises(Exception, match="404"):
            async with hub.socket(token):
                pass


@pytest.mark.parametrize("listen", ["", "127.0.0.1:0"])
async def test_the_figures_may_ask_for_a_token(tmp_path: Path, listen: str) -> None:
    token = "0123456789abcdef"
    async with (
        running_hub(settings(tmp_path, metrics={"listen": listen, "token": token})) as hub,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{hub.ports[-1]}", verify=NO_TLS, timeout=60) as client,
    ):
        for told in ({}, {"authorization": f"Bearer {token[:-1]}"}, {"authorization": f"Bearer {hub.key}"}):
            refusal = await client.get("/metrics", headers=told)
            assert (refusal.status_code, refusal.json()) == (401, {"message": "Unauthenticated."})
            assert refusal.headers["www-authenticate"] == "Bearer"
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "metrics",
    [
        {"listen": "9090"},
        {"listen": ":9090"},
        {"listen": "::1:9090"},
        {"listen": "127.0.0.1:65536"},
        {"listen": "http://127.0.0.1:9090"},
        {"token": "short"},
        {"token": "with a space in it"},
        {"token": ""},
    ],
)
def test_figures_that_nobody_could_ask_for_are_refused(metrics: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.") as mistake:
        load(metrics=metrics)
    assert metrics.get("token") in (None, "") or metrics["token"] not in str(mistake.value)


def test_where_figures_are_asked_for() -> None:
    assert load(metrics={"listen": "[::1]:9090"}).metrics.addresses == [("::1", 9090)]
    assert load(metrics={"listen": "localhost:9090"}).metrics.addresses == [("localhost", 9090)]
    assert load().metrics.addresses == []


async def test_no_caller_makes_a_label(tmp_path: Path) -> None:
    """Random methods, paths, statuses and words, of which none may become a series of its own."""
    async with running_hub(settings(tmp_path, rate_limits={"enabled": False})) as hub:
        marker = "zqx"
        await hub.client.get("/metrics")
        paths = [
            "/api/v1/players",
            "/api/v1/players/7",
            "/v1/devices",
            "/api",
            "/",
            "/healthz",
            "/docs",
            "/oauth/token",
        ]
        for number in range(4):
            for path in (
                *paths,
                f"/api/v1/{marker}{number}",
                f"/{marker}{number}",
                f"/api/v1/players/{marker}{number}",
            ):
                for method in ("GET", "PROPFIND", "MKCOL", "PURGE", "M-SEARCH", "TRACE", "QUERY"):
                    await hub.client.request(method, f"{path}?{marker}={number}")
        _, token = await hub.player()
        async with hub.socket(token) as player:
            await player.connection.close(4777, marker)
        async with hub.connected(
            token, agent={"name": marker, "version": marker}, player={"kind": marker, "version": "1"}
        ) as player:
            await player.connection.close(3999, marker)
        text = (await hub.client.get("/metrics")).text
        assert marker not in text
        assert 'code="4777"' not in text
        assert 'code="3999"' not in text
        methods = {line.partition('method="')[2].partition('"')[0] for line in text.splitlines() if 'method="' in line}
        assert methods <= {"GET", "POST", "OPTIONS", "HEAD", "other"}
        assert len(text) < 200_000
