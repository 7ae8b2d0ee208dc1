import pytest

from hub.domain import signing
from hub.domain.errors import Forbidden, Gone

NOW = 1_800_000_000_500


def parts(link: str) -> tuple[str, str]:
    query = link.partition("?expires=")[2]
    expires, _, signature = query.partition("&signature=")
    return expires, signature


def test_a_signed_link_is_good_until_it_expires() -> None:
    link = signing.signed(b"secret", "GET", "/a/1", NOW + 10_000)
    expires, signature = parts(link)

    signing.verify(b"secret", "GET", "/a/1", expires, signature, NOW)
    signing.verify(b"secret", "GET", "/a/1", expires, signature, int(expires) * 1000 - 1)
    with pytest.raises(Gone):
        signing.verify(b"secret", "GET", "/a/1", expires, signature, int(expires) * 1000)


@pytest.mark.parametrize(
    ("secret", "method", "path"), [(b"other", "GET", "/a/1"), (b"secret", "PUT", "/a/1"), (b"secret", "GET", "/a/2")]
)
def test_a_link_is_good_for_one_thing_only(secret: bytes, method: str, path: str) -> None:
    expires, signature = parts(signing.signed(b"secret", "GET", "/a/1", NOW + 10_000))

    with pytest.raises(Forbidden):
        signing.verify(secret, method, path, expires, signature, NOW)


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "٣", "9" * 13])
def test_a_time_that_is_none_is_a_wrong_link(expires: str) -> None:
    with pytest.raises(Forbidden):
        signing.verify(b"secret", "GET", "/a/1", expires, "00", NOW)


def test_a_forged_link_is_wrong_even_when_it_is_old() -> None:
    with pytest.raises(Forbidden):
        signing.verify(b"secret", "GET", "/a/1", "1000", "00", NOW)
