"""Credentials and addresses."""

from ipaddress import ip_network

import pytest

from hub.api.auth import bearer, client_address, user_agent

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer sbk_abc", "sbk_abc"),
        (b"bearer sbk_abc", "sbk_abc"),
        (b"BEARER  sbk_abc ", "sbk_abc"),
        (b"Bearer 1|abc123...", "1|abc123..."),
        (b"Bearer abc+/=~-._", "abc+/=~-._"),
        (b"Bearer " + b"a" * 4096, "a" * 4096),
        (b"Bearer " + b"a" * 4097, None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"sbk_abc", None),
        (b"Basic sbk_abc", None),
        (b"Bearer two words", None),
        (b"Bearer \xe9", None),
        (b"Bearer a\nb", None),
        (b"", None),
    ],
)
def test_a_bearer_token_is_read_or_nothing(header, token):
    assert bearer({b"authorization": header}) == token


def test_without_the_header_there_is_no_token():
    assert bearer({}) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9,198.51.100.7,10.0.0.2,10.0.0.3", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_client_is_the_rightmost_that_no_trusted_proxy_vouches_for(peer, forwarded, address):
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert client_address({"client": (peer, 5000)}, headers, PROXIES) == address


def test_without_trusted_proxies_the_header_counts_nothing():
    assert client_address({"client": ("10.0.0.1", 1)}, {b"x-forwarded-for": b"198.51.100.7"}, []) == "10.0.0.1"


def test_a_unix_socket_has_no_address():
    assert client_address({"client": None}, {b"x-forwarded-for": b"198.51.100.7"}, PROXIES) is None


def test_a_user_agent_is_kept_short():
    assert user_agent({b"user-agent": b"x" * 500}) == "x" * 200
    assert user_agent({}) is None


async def test_the_services_hear_of_address_and_agent(make_hub):
    hub = make_hub(trusted_proxies=[ip_network("127.0.0.0/8")])
    async with hub.served() as client:
        await client.get("/api/v1/things", headers={"x-forwarded-for": "198.51.100.7", "user-agent": "wall/1"})
    assert hub.access.seen == [("198.51.100.7", "wall/1")]
