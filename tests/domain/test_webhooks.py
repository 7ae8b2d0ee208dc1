import base64
import hashlib
import hmac
import itertools
import json
from ipaddress import ip_address, ip_network

import pytest
from standardwebhooks import Webhook

from hub.domain import webhooks as rules
from hub.domain.errors import Invalid
from hub.domain.hosts import Network
from hub.domain.times import DAY, now_ms

LAN = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def refusal(url: str, allowed: list[Network] | None = None) -> str:
    with pytest.raises(Invalid) as refused:
        rules.checked_url(url, allowed or [])
    assert refused.value.errors is not None
    return refused.value.errors["url"][0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.com/webhooks/spot", "https://example.com/webhooks/spot"),
        ("HTTPS://EXAMPLE.com:8443", "https://example.com:8443/"),
        ("https://example.com/a?b=c&d=%20", "https://example.com/a?b=c&d=%20"),
        ("https://bücher.example/täg", "https://xn--bcher-kva.example/t%C3%A4g"),
        ("https://straße.example/x", "https://xn--strae-oqa.example/x"),
        ("https://STRAẞE.example/x", "https://xn--strae-oqa.example/x"),
        ("https://βόλος.example/x", "https://xn--nxasmm1c.example/x"),
        ("https://strasse.example/x", "https://strasse.example/x"),
        ("https://日本語。example:444/x", "https://xn--wgv71a119e.example:444/x"),
        ("https://my_receiver.example.:444/x", "https://my_receiver.example:444/x"),
        ("https://r3---sn-4g5e.example/x", "https://r3---sn-4g5e.example/x"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://８.８.８.８/x", "https://8.8.8.8/x"),
        ("https://0x8.8.2056/x", "https://8.8.8.8/x"),
        ("https://[2001:4860:4860::8888]:444/x", "https://[2001:4860:4860::8888]:444/x"),
    ],
)
def test_a_public_https_address_is_kept_in_one_spelling(given: str, kept: str) -> None:
    assert rules.checked_url(given, []) == kept
    assert rules.checked_url(kept, []) == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/x",
        "ftp://example.com/x",
        "https:///x",
        "https://user:secret@example.com/x",
        "https://user@example.com/x",
        "https://example.com/x#part",
        "https://example.com/x#",
        "https://example.com:0/x",
        "https://example.com:99999/x",
        "https://example.com/a b",
        "https://example.com/a\r\nHost: other",
        "https://exa%6dple.com/x",
        "https://[::1",
        "https://example..com/x",
        "https://example.com../x",
        "https://.example.com/x",
        "https://-example.com/x",
        "https://example-.com/x",
        "https://xn--a.example/x",
        "https://\N{SNOWMAN}.example/x",
        "https://a\N{RIGHT-TO-LEFT OVERRIDE}b.example/x",
        "https://" + "x" * 64 + ".example/x",
        "https://" + "ä" * 60 + ".example/x",
        "https://" + "x." * 127 + "example/x",
        "https://127.0.0.0x/x",
        "https://1.2.3.4.5/x",
        "https://256.0.0.1/x",
        "https://127.0.0%2e1/x",
        "https://[fe80::1%25eth0]/x",
        "https://example.com/" + "x" * 2_048,
    ],
)
def test_what_is_no_such_address_is_refused(url: str) -> None:
    assert refusal(url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "１２７.０.０.１",
        "①②⑦。⓪｡0.1",
        "１２７.1",
        "localhost",
        "localhost.",
        "LOCALHOST.",
        "ｌｏｃａｌｈｏｓｔ",
        "printer.localhost",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.0.10",
        "192.0.0.170",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff0e::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:db8::1]",
        "[::127.0.0.1]",
        "[::8.8.8.8]",
        "[::ffff:0:8.8.8.8]",
        "[100::1]",
        "[100:0:0:1::1]",
        "[2001::1]",
        "[2001:1::1]",
        "[2001:2::1]",
        "[2001:3::1]",
        "[2001:4:112::1]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[2001:30::1]",
        "[2002:a01:203::1]",
        "[2002:c000:8::]",
        "[64:ff9b::c000:8]",
        "[64:ff9b:1::8.8.8.8]",
        "[2620:4f:8000::1]",
        "[3fff::1]",
        "[4000::1]",
        "[5f00::1]",
    ],
)
def test_an_address_inside_is_refused_with_the_name_of_the_setting(host: str) -> None:
    text = refusal(f"https://{host}/x")

    assert "webhooks.allow_networks" in text
    assert "HUB_WEBHOOKS__ALLOW_NETWORKS" in text


def test_an_allowed_network_is_reached_by_https_and_plain_http() -> None:
    for url in ("https://10.1.2.3/x", "http://10.1.2.3:8000/x", "http://[fd00::1]/x", "http://[::ffff:10.1.2.3]/x"):
        assert rules.checked_url(url, LAN) == url
    assert rules.checked_url("http://receiver.lan/x", LAN) == "http://receiver.lan/x"  # judged when it is connected to


def test_plain_http_to_elsewhere_is_refused() -> None:
    assert "webhooks.allow_networks" in refusal("http://example.com/x")
    assert "https only" in refusal("http://8.8.8.8/x", LAN)
    assert "not a public address" in refusal("http://192.168.1.1/x", LAN)


def test_an_allowed_address_is_kept_as_it_is_connected_to() -> None:
    loopback = [ip_network("127.0.0.0/8")]
    for host in ("127.1", "0x7f.1", "2130706433", "１２７.０.０.１", "127.0.0.1."):
        assert rules.checked_url(f"http://{host}:8000/x", loopback) == "http://127.0.0.1:8000/x"


def test_what_an_ipv6_address_leads_to_is_what_counts() -> None:
    assert rules.refused(ip_address("64:ff9b::808:808"), [], plain=False) is None
    assert rules.refused(ip_address("64:ff9b::a01:203"), [], plain=False) is not None
    assert rules.refused(ip_address("64:ff9b::a01:203"), LAN, plain=True) is None


def test_both_kinds_of_receiver_verify_the_same_bytes() -> None:
    now = now_ms()
    data = {"player_id": 7, "screen_id": "scr_01JARW8K9BXYZ", "name": "Lobby Display", "status": "online"}
    secret = rules.new_secret()
    body = rules.envelope("screen.online", 1_774_794_600_999, data, "ab12-9")

    sent = rules.headers(
        secret=secret, name="screen.online", delivery_id=17, message_id="msg_17", cursor="ab12-9", body=body, now=now
    )

    message = {"event": "screen.online", "timestamp": "2026-03-29T14:30:00Z", "data": data, "cursor": "ab12-9"}
    assert json.loads(body) == message
    assert Webhook(secret).verify(body, sent) == json.loads(body)
    assert sent["X-Spot-Signature"] == "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert sent["webhook-id"] == "msg_17"
    assert (sent["X-Spot-Event"], sent["X-Spot-Delivery"]) == ("screen.online", "17")
    assert sent["X-Signalbox-Cursor"] == "ab12-9"


def test_secrets_are_256_bits_and_never_the_same() -> None:
    first, second = rules.new_secret(), rules.new_secret()

    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


def test_a_receiver_is_given_as_much_as_it_takes() -> None:
    window = rules.Window()
    for _ in range(100):
        window.after(204, 50)
    assert window.room == rules.WINDOW_MOST
    for _ in range(5):
        window.after(None, 15_000)
    assert window.room == 1
    for _ in range(5):
        window.after(500, 50)
    assert window.room == 1


@pytest.mark.parametrize("failures", [[500], [500, None], [503, 500, 500]])
def test_who_fails_three_times_in_ten_is_not_asked_by_one_at_a_time(failures: list[int | None]) -> None:
    window = rules.Window()
    turns = itertools.cycle([200, 200, 0, 200, 200, 0, 200, 200, 200, 0])
    failing = itertools.cycle(failures)
    rooms = []
    for _ in range(500):
        window.after(next(turns) or next(failing), 50)
        rooms.append(window.room)
    assert sum(rooms) / len(rooms) > 3


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_only_2xx_is_delivered(status: int) -> None:
    assert rules.after_attempt(1, status, None, 0, [5], lambda: 0.5).state == "delivered"


@pytest.mark.parametrize("status", [None, 199, 300, 301, 400, 404, 429, 500, 503])
def test_everything_else_is_tried_again_by_the_ladder(status: int | None) -> None:
    verdict = rules.after_attempt(2, status, None, 1_000, [5, 300], lambda: 0.5)

    assert (verdict.state, verdict.next_at) == ("pending", 301_000)


def test_the_wait_is_spread_by_a_tenth_either_way() -> None:
    assert rules.after_attempt(1, 500, None, 0, [100], lambda: 0.0).next_at == 90_000
    assert rules.after_attempt(1, 500, None, 0, [100], lambda: 1.0).next_at == 110_000


def test_the_ladder_has_an_end() -> None:
    assert rules.after_attempt(2, 500, None, 0, [5, 300], lambda: 0.5).state == "pending"
    assert rules.after_attempt(3, 500, None, 0, [5, 300], lambda: 0.5) == rules.Verdict("failed")
    assert rules.after_attempt(1, 500, None, 0, [], lambda: 0.5) == rules.Verdict("failed")


def test_gone_means_no_more() -> None:
    assert rules.after_attempt(1, 410, None, 0, [5], lambda: 0.5) == rules.Verdict("failed", gone=True)


def test_a_receiver_may_ask_for_a_longer_wait_but_not_for_ever() -> None:
    assert rules.after_attempt(1, 503, 60_000, 0, [5], lambda: 0.5).next_at == 60_000
    assert rules.after_attempt(1, 503, 1_000, 0, [5], lambda: 0.5).next_at == 5_000
    assert rules.after_attempt(1, 503, 90 * DAY, 0, [5], lambda: 0.5).next_at == DAY


def test_retry_after_is_seconds_or_a_date() -> None:
    now = 1_774_794_600_000  # 2026-03-29T14:30:00Z
    assert rules.retry_after("120", now) == 120_000
    assert rules.retry_after("Sun, 29 Mar 2026 14:31:00 GMT", now) == 60_000
    assert rules.retry_after("Sun, 29 Mar 2026 14:29:00 GMT", now) == 0
    for nonsense in (None, "", "soon", "-5", "9" * 30, "Sun, 99 Mar 2026 14:31:00 GMT"):
        assert rules.retry_after(nonsense, now) is None
