"""Credentials and addresses."""

from ipaddress import ip_network

import pytest

from hub.api.http.auth import bearer, user_agent
from hub.client_address import TrustedProxies


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


def test_a_user_agent_is_kept_short():
    assert user_agent({b"user-agent": b"x" * 500}) == "x" * 200
    assert user_agent({}) is None


async def test_the_services_hear_of_address_and_agent(make_hub):
    hub = make_hub(proxies=TrustedProxies([ip_network("127.0.0.0/8")]))
    async with hub.served() as client:
        await client.get("/api/v1/things", headers={"x-forwarded-for": "198.51.100.7", "user-agent": "wall/1"})
    assert hub.access.seen == [("198.51.100.7", "wall/1")]
