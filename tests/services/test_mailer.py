"""Mail about incidents, to a real mail server as the far end: sent once, retried, its fate told."""

import asyncio
import io
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, message_from_string, policy
from email.generator import BytesGenerator
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hub.config import Smtp
from hub.domain.errors import Invalid
from hub.domain.mails import CITED, MAX_SUBJECT, Mail, checked_address, compose
from hub.domain.quotas import Quotas
from hub.domain.text import cut, one_line
from hub.domain.times import HOUR, MINUTE, SECOND
from hub.services.alert_rules import AlertRules
from hub.services.mailer import AT_ONCE, LEASE_MARGIN_S, TURN_S, Mailer
from hub.services.teams import prepare
from hub.store import mails as store
from hub.store.database import Database
from tests.black_hole import HOST, black_hole
from tests.cast import team_owner
from tests.certificates import certificates
from tests.mail_server import OK, MailServer
from tests.quotas import all_plans
from tests.tcp_server import tcp_server
from tests.texts import REAL
from tests.waiting import PATIENCE_S
from tests.watched import Stage

ANN, BOB = "ann@acme.example", "bob@acme.example"


class Post(Stage):
    """A team with one player and a rule that tells Ann, or Ann and Bob, when it is away."""

    def mailer(
        self, port: int, *, tls: ssl.SSLContext | None = None, quotas: Quotas | None = None, **settings: Any
    ) -> Mailer:
        values = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "hub@signs.example", "timeout_s": 5}
        return Mailer(self.db, Smtp(**values | settings), tls=tls, quotas=quotas, clock=self.clock)

    async def open(self, *emails: str) -> int:
        """The number of a new incident."""
        self.lobby = await self.player("Lobby")
        await self.rule("player_offline", name="Screens", offline_minutes=1, emails=list(emails or (ANN,)))
        await self.look()
        await self.leave(self.lobby)
        await self.look(after=MINUTE)
        number: int = (await self.found())[-1]["id"]
        return number

    async def over(self) -> None:
        await self.connect(self.lobby)
        await self.look(after=MINUTE)

    async def fates(self) -> list[tuple[str, str, str, int]]:
        """(address, about, state, attempts) of all mail, oldest first."""
        return [
            (mail["address"], mail["about"], mail["state"], mail["attempts"])
            for incident in await self.found()
            for mail in incident["mails"]
        ]

    async def last_error(self) -> str:
        return str((await self.found())[-1]["mails"][-1]["last_error"])


@pytest.fixture
async def post(sqlite_db: Database) -> Post:
    return await begun(sqlite_db)


@pytest.fixture
async def on_both(db: Database) -> Post:
    return await begun(db)


async def begun(db: Database) -> Post:
    await prepare(db)
    post = Post(db, await team_owner(db, "acme"))
    await post.look()
    return post


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as running:
        yield running


async def test_who_is_named_is_told_when_it_begins_and_when_it_is_over(on_both: Post, server: MailServer) -> None:
    post = on_both
    incident = await post.open(ANN, BOB)
    assert await post.fates() == [(ANN, "opened", "pending", 0), (BOB, "opened", "pending", 0)]
    await post.mailer(server.port).work()
    assert await post.fates() == [(ANN, "opened", "sent", 1), (BOB, "opened", "sent", 1)]
    await post.over()
    await post.mailer(server.port).work()
    assert [(one.sender, one.recipients) for one in server.heard] == [
        ("hub@signs.example", [address]) for address in (ANN, BOB, ANN, BOB)]  # fmt: skip
    opened, resolved = server.heard[0], server.heard[2]
    assert (opened.message["From"], opened.message["To"]) == ("hub@signs.example", ANN)
    assert (opened.message["Subject"], resolved.message["Subject"]) == (
        "Lobby is offline", "Resolved: Lobby is offline")  # fmt: skip
    assert opened.message["Auto-Submitted"] == "auto-generated"
    assert opened.text.replace("\r\n", "\n") == (
        "> Lobby is offline\n\nIt has been offline for 1 minute of its opening hours, since 2026-03-23T07:00:00Z.\n\n"
        f'Severity: severe\nRule: "Screens"\nPlayer: "Lobby" ({post.lobby})\nOpened: 2026-03-23T07:01:00Z\n'
        f"Incident: {incident}\n\n{CITED}\n"
    )
    assert "It is over." in resolved.text
    assert "Resolved: 2026-03-23T07:02:00Z" in resolved.text
    assert len({one.message["Message-ID"] for one in server.heard}) == 4
    assert len({one.message["References"] for one in server.heard}) == 1
    assert not await post.mailer(server.port).work()
    assert len(server.heard) == 4


async def test_mail_is_written_with_its_incident_and_told_in_the_name_of_who_resolved_it(
    post: Post, server: MailServer
) -> None:
    number = await post.open()
    await post.incidents.resolve(post.owner, number, "A fuse.", face="test")
    mailer = post.mailer(server.port)
    await mailer.work()
    assert [one.message["Subject"] for one in server.heard] == ["Lobby is offline"]  # never the second before the first
    await mailer.work()
    assert 'It was resolved by "Owner".\r\n> A fuse.' in server.heard[1].text


async def test_two_processes_send_it_once(on_both: Post, server: MailServer) -> None:
    await on_both.open(*(f"{number}@acme.example" for number in range(20)))
    await asyncio.gather(*(on_both.mailer(server.port).work() for _ in range(3)))
    assert sorted(one.recipients[0] for one in server.heard) == sorted(f"{number}@acme.example" for number in range(20))


async def test_a_server_that_is_away_is_tried_again_a_few_times_and_then_no_more(on_both: Post) -> None:
    post = on_both
    await post.open()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        mailer = post.mailer(nobody.getsockname()[1], retry_s=[10, 60])
        for attempts, pause_s, state in ((1, 10, "pending"), (2, 60, "pending"), (3, 0, "failed")):
            await mailer.work()
            await mailer.work()
            assert await post.fates() == [(ANN, "opened", state, attempts)]
            assert "could not be reached" in await post.last_error()
            post.now += pause_s * SECOND
        post.now += HOUR
        await mailer.work()
    assert await post.fates() == [(ANN, "opened", "failed", 3)]
    await post.over()  # who never heard that it began is not told that it is over
    assert await post.fates() == [(ANN, "opened", "failed", 3)]


@pytest.mark.parametrize(
    ("recipient", "data", "state", "error"),
    [
        ("550 No such user", OK, "failed", "550 No such user"),
        ("450 Busy", OK, "pending", "450 Busy"),
        (OK, "554 Spam", "failed", "554 Spam"),
        (OK, "452 Disk full", "pending", "452 Disk full"),
    ],
)
async def test_what_the_server_says_decides_and_is_shown_and_is_no_harm_to_others(
    post: Post, recipient: str, data: str, state: str, error: str
) -> None:
    answers = iter([data, OK])
    async with MailServer(
        recipient=lambda address: recipient if address == ANN else OK,
        data=lambda: next(answers) if recipient == OK else OK,
    ) as server:
        await post.open(ANN, BOB)
        await post.mailer(server.port).work()
        assert await post.fates() == [(ANN, "opened", state, 1), (BOB, "opened", "sent", 1)]
    assert (await post.found())[0]["mails"][0]["last_error"] == error


async def test_a_repeat_is_known_by_its_message_id(post: Post) -> None:
    answers: list[str | None] = [None, OK]
    async with MailServer(data=lambda: answers.pop(0)) as server:
        await post.open(ANN, BOB)
        mailer = post.mailer(server.port, retry_s=[10])
        await mailer.work()  # the first was taken, and the answer was lost; the second waits for another connection
        assert await post.fates() == [(ANN, "opened", "pending", 1), (BOB, "opened", "pending", 0)]
        answers += [OK]
        post.now += 10 * SECOND
        await mailer.work()
    assert await post.fates() == [(ANN, "opened", "sent", 2), (BOB, "opened", "sent", 1)]
    ids = {one.recipients[0]: [] for one in server.heard}
    for one in server.heard:
        ids[one.recipients[0]].append(one.message["Message-ID"])
    assert len(ids[ANN]) == 2
    assert len(set(ids[ANN])) == 1
    assert set(ids[ANN]).isdisjoint(ids[BOB])


async def test_what_a_process_took_and_died_with_is_sent_by_another(on_both: Post, server: MailServer) -> None:
    post = on_both
    await post.open()
    lease_ms = int((TURN_S + 5 + LEASE_MARGIN_S) * SECOND)
    [taken], _ = await post.db.write(store.claim, post.now, post.now + lease_ms, 10, Quotas())
    mailer = post.mailer(server.port)
    assert not await mailer.work()
    post.now += lease_ms
    await mailer.work()
    assert await post.fates() == [(ANN, "opened", "sent", 1)]
    late = store.Fate(taken.mail.id, taken.until, "failed", None, "Too late.")
    await post.db.write(store.settle, [late], post.now)
    assert await post.fates() == [(ANN, "opened", "sent", 1)]


async def test_a_server_that_says_nothing_holds_nobody_up(post: Post) -> None:
    await post.open()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        await post.mailer(silent.getsockname()[1], timeout_s=0.05).work()
    assert await post.fates() == [(ANN, "opened", "pending", 1)]
    assert await post.last_error() == "The mail server did not answer in time."


@pytest.mark.parametrize("greeted", [b"", b"220 mail.test\r\n"])
async def test_a_reply_without_end_is_given_up(post: Post, greeted: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeted)
        while True:
            writer.write(((b"250" if greeted else b"220") + b"-and more\r\n") * 1_000)
            await asyncio.sleep(0)  # as `drain` gives nobody a turn while all is read at once
            await writer.drain()

    await post.open()
    async with tcp_server(talk) as port:
        await post.mailer(port, timeout_s=PATIENCE_S).work()
    assert await post.fates() == [(ANN, "opened", "pending", 1)]
    assert "a reply has more than 65,536 bytes" in await post.last_error()


async def test_a_stop_breaks_off_what_is_under_way_and_gives_it_back(post: Post) -> None:
    await post.open()
    connected = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        connected.set()
        await reader.read()

    async with tcp_server(silence) as port:
        mailer = post.mailer(port, timeout_s=60)
        working = asyncio.create_task(mailer.work())
        await connected.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert await post.fates() == [(ANN, "opened", "pending", 0)]
    async with MailServer() as better:
        await post.mailer(better.port).work()
        assert [one.recipients for one in better.heard] == [[ANN]]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("name", ["localhost", "other.example"])
async def test_the_connection_is_protected_or_there_is_none(
    post: Post, tmp_path: Path, security: str, name: str
) -> None:
    await post.open()
    theirs, ours = certificates(tmp_path, name)
    async with MailServer(**{security: theirs}, users={"hub": "secret"}) as server:
        mailer = post.mailer(
            server.port, host="localhost", security=security, username="hub", password=SecretStr("secret"), tls=ours
        )
        await mailer.work()
    if name == "localhost":
        assert [(one.protected, one.user) for one in server.heard] == [(True, "hub")]
    else:
        assert server.heard == []
        assert "certificate" in await post.last_error()


async def test_without_starttls_nothing_is_sent_in_the_open(post: Post, server: MailServer) -> None:
    await post.open()
    await post.mailer(server.port, security="starttls", username="hub", password=SecretStr("secret")).work()
    assert server.heard == []
    assert "STARTTLS" in await post.last_error()


async def test_a_wrong_password_is_told_and_tried_again(post: Post, tmp_path: Path) -> None:
    await post.open()
    theirs, ours = certificates(tmp_path, "localhost")
    async with MailServer(tls=theirs, users={"hub": "secret"}) as server:
        mailer = post.mailer(
            server.port, host="localhost", security="tls", username="hub", password=SecretStr("wrong"), tls=ours
        )
        await mailer.work()
    assert await post.fates() == [(ANN, "opened", "pending", 1)]
    assert (await post.last_error()).startswith("535 ")
    assert "wrong" not in await post.last_error()


async def test_a_rule_that_has_too_much_to_say_is_held_back(
    post: Post, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAILS_AN_HOUR", 3)
    await post.open(ANN, BOB)
    other = await post.player("Other")
    await post.leave(other)
    await post.look(after=MINUTE)
    assert [state for _, _, state, _ in await post.fates()] == ["pending", "pending", "pending", "withheld"]
    await post.connect(other)
    await post.look(after=HOUR)
    assert [(address, state) for address, about, state, _ in await post.fates() if about == "resolved"] == [
        (ANN, "pending")]  # fmt: skip
    await post.leave(other)
    await post.look(after=MINUTE)
    assert [state for _, about, state, _ in (await post.fates())[-2:] if about == "opened"] == ["pending"] * 2


async def test_more_than_one_connection_carries_is_sent_in_the_next_turn(post: Post, server: MailServer) -> None:
    addresses = [f"{number}@acme.example" for number in range(AT_ONCE)]
    await post.open(*addresses)
    other = await post.player("Other")
    await post.leave(other)
    await post.look(after=MINUTE)
    mailer = post.mailer(server.port)
    while await mailer.work():
        pass
    assert (len(server.heard), server.connections) == (2 * AT_ONCE, 2)


async def test_without_a_mail_server_rules_have_no_addresses_and_old_ones_say_why_nothing_comes(post: Post) -> None:
    await post.open()
    await Mailer(post.db, Smtp(), clock=post.clock).work()
    assert await post.fates() == [(ANN, "opened", "failed", 1)]
    assert "smtp.host" in await post.last_error()
    rules = AlertRules(post.db, post.bus, has_mail=False)
    with pytest.raises(Invalid) as refused:
        await rules.update(post.owner, 1, {"emails": [BOB]}, face="test")
    assert "smtp.host" in str((refused.value.errors or {})["emails"])
    assert (await rules.update(post.owner, 1, {"emails": []}, face="test"))["emails"] == []


MAIL = Mail(
    id=7, address=ANN, about="resolved", created_at=1_774_249_200_000, incident_id=3, rule_name="Rule",
    severity="minor", title="Lobby is offline", message="m", player_id=1, name="Lobby", opened_at=1, resolved_at=2,
    resolved_by="Owner", resolved_note=None, reason="resolved",
)  # fmt: skip


# As a mail server is sent it; of the first, Python's own policies make headers and a body.
FORGED = "=?utf-8?q?Hi=0d=0aFrom:_boss@acme.example=0d=0a=0d=0aLog_in_at_http://evil.example=0d=0a?="
HOSTILE = [
    FORGED,
    "=?utf-8?B?SGkNCkJjYzogZXZlQGV2aWwuZXhhbXBsZQ==?=",
    f"Käse {FORGED} {FORGED}",
    "=?utf-8?q?Hi=0aBcc:_x?= " * 20,
    "a\r\nBcc: eve@evil.example",
    "a\nb",
    "Käse " * 60,
    "x" * 300,
    "\x0b\x85\u2028Bcc: x",
]


def sent(mail: Mail) -> tuple[str, str]:
    """(head, body) as smtplib writes them."""
    wire = io.BytesIO()
    BytesGenerator(wire).flatten(compose(mail, "hub@signs.example", "log"), linesep="\r\n")
    head, _, body = wire.getvalue().decode("ascii").partition("\r\n\r\n")
    return head, body


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_header_or_a_body(text: str) -> None:
    mail = replace(MAIL, title=text, rule_name=text, name=text, resolved_by=text, resolved_note=text, reason="resolved")
    head, body = sent(mail)
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert sorted(names) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "Content-Type",
         "Content-Transfer-Encoding", "MIME-Version"])  # fmt: skip
    assert "Message-ID: <mail-7.log@signs.example>\r\n" in head
    read = message_from_string(f"{head}\r\n\r\n{body}", policy=policy.default)
    assert (read["From"], read["To"]) == ("hub@signs.example", ANN)
    shown = str(make_header(decode_header(message_from_string(head.replace("\r\n ", " "))["Subject"])))
    assert shown == cut(f"Resolved: {one_line(text)}", MAX_SUBJECT)
    begins = ("> ", 'It was resolved by "', "m", "Severity: ", 'Rule: "', 'Player: "', "Opened: ", "Resolved: 1970")
    lines = read.get_content().splitlines()
    assert all(not line or line.startswith((*begins, "Incident: ", CITED)) for line in lines), lines


@pytest.mark.parametrize("address", [f"{FORGED}@acme.example", "ann@acme.example\r\nBcc: x", "käse@acme.example"])
def test_an_address_that_is_none_is_written_into_no_header(address: str) -> None:
    with pytest.raises(ValueError, match="header"):
        compose(replace(MAIL, address=address), "hub@signs.example", "log")


@pytest.mark.parametrize("name", REAL)
def test_a_title_is_read_as_it_was_written(name: str) -> None:
    message = compose(replace(MAIL, title=f"{name} is offline"), "hub@signs.example", "log")
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert read["Subject"] == f"Resolved: {name} is offline"
    assert f"{name} is offline" in read.get_content().replace("\r\n", "\n")


def test_a_domain_is_kept_as_it_is_in_the_dns() -> None:
    assert checked_address("emails.0", "Ann@straße.example") == "Ann@xn--strae-oqa.example"
    assert checked_address("emails.0", "ann@Acme.example") == "ann@Acme.example"


@pytest.mark.parametrize(
    "address",
    [
        "ann@\N{SNOWMAN}.example",
        "ann@ä..example",
        "x",
        "a@b@c",
        "a b@c.example",
        "ann@acme.example\nBcc: x",
        "käse@acme.example",
        "@",
        "a@",
        "<a@b.c>",
        "",
        "=?utf-8?q?ann?=@acme.example",
        '"ann b"@acme.example',
        '"ann@evil.example"@acme.example',
        "ann(eve)@acme.example",
        "ann@(eve)acme.example",
        "ann@[127.0.0.1]",
        "ann@acme.example ORCPT=x",
        "ann@acme.example, eve@evil.example",
        "ann@acme..example",
        "ann..b@acme.example",
        "ann@-acme.example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        checked_address("emails.0", address)


async def test_a_team_has_a_quota_of_mails_and_what_is_over_it_is_withheld(on_both: Post, server: MailServer) -> None:
    post = on_both
    await post.open(ANN, BOB)
    mailer = post.mailer(server.port, quotas=all_plans(mails_per_hour=1))
    while await mailer.work():
        pass
    assert [state for _, _, state, _ in await post.fates()] == ["sent", "withheld"]
    [_, withheld] = (await post.found())[-1]["mails"]
    assert "quota mails_per_hour" in withheld["last_error"]
    await post.over()
    post.now += HOUR
    while await mailer.work():
        pass
    assert [state for _, _, state, _ in await post.fates()] == ["sent", "withheld", "sent"]


@pytest.mark.parametrize("security", ["none", "tls"])
async def test_a_mail_server_is_reached_at_whichever_of_its_addresses_answers(
    on_both: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    theirs, ours = certificates(tmp_path, HOST)
    async with MailServer(tls=theirs if security == "tls" else None) as server:
        with black_hole(server.port, monkeypatch):
            await on_both.open()
            await on_both.mailer(server.port, host=HOST, security=security, tls=ours, timeout_s=60).work()
            async with asyncio.timeout(PATIENCE_S):
                assert (await server.arrived.get()).recipients == [ANN]
