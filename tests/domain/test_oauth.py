import pytest

from hub.domain.errors import BadRequest, Gone, Invalid
from hub.domain.oauth import (
    TICKET_MS,
    Asked,
    Ticket,
    answer_url,
    checked_redirect,
    code_of,
    issue_ticket,
    proves,
    read_ticket,
)

NOW = 1_774_795_800_000
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ASKED = Asked("code", "app_1", "https://a.example/cb", "read:players", "x", CHALLENGE, "S256")


def test_a_redirect_uri_leads_to_a_web_site_this_machine_or_a_program_of_its_own() -> None:
    for good in (
        "https://editor.example.com/callback?tenant=7",
        "https://editor.example.com:8443",
        "http://127.0.0.1:51004/cb",
        "http://[::1]:8000/cb",
        "http://localhost/cb",
        "com.example.editor:/done",
    ):
        assert checked_redirect(good) == good
    for wrong in (
        "",
        "/callback",
        "editor",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://editor.example.com/cb",
        "http://127.0.0.1.example.com/cb",
        "https://editor.example.com/cb#part",
        "https://user:pw@editor.example.com/cb",
        "https:///cb",
        "https://host;script-src */cb",
        "https://host:99999/cb",
        "https://[::1/cb",
        "https://exämple.com/cb",
        "https://example.com/a b",
        "https://example.com/\r\nx",
        "com.example.editor://host/done",
    ):
        with pytest.raises(Invalid) as refusal:
            checked_redirect(wrong)
        assert list(refusal.value.errors or {}) == ["redirect_uris"], wrong


def test_the_answer_keeps_what_the_address_had_in_its_query() -> None:
    assert answer_url("https://a.example/cb", {"code": "1&2", "state": None}) == "https://a.example/cb?code=1%262"
    assert answer_url("https://a.example/cb?x=1", {"state": "é"}) == "https://a.example/cb?x=1&state=%C3%A9"


def test_a_verifier_proves_its_own_challenge_only() -> None:
    assert proves(VERIFIER, CHALLENGE)
    for wrong in (None, "", VERIFIER[:-1], VERIFIER + "x", CHALLENGE, "short", VERIFIER[:42] + "é"):
        assert not proves(wrong, CHALLENGE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_only_a_code_with_s256_can_be_asked_for(changes: dict[str, str | None], code: str) -> None:
    ASKED.check()
    values = {name: getattr(ASKED, name) for name in Asked.__dataclass_fields__}
    with pytest.raises(BadRequest) as refusal:
        Asked(**values | changes).check()
    assert refusal.value.code == code


def test_a_ticket_is_good_for_its_own_request_for_five_minutes() -> None:
    ticket = Ticket(7, "aa", 3)
    text = issue_ticket(b"secret", ticket, ASKED, NOW)
    assert read_ticket(b"secret", text, ASKED, NOW + TICKET_MS - 1) == ticket
    other = Asked("code", "app_1", "https://a.example/cb", "read:players admin", "x", CHALLENGE, "S256")
    payload, _, signature = text.partition(".")
    forged = payload.replace("37", "38", 1)  # of user 8
    for secret, shown, asked, now in (
        (b"secret", text, ASKED, NOW + TICKET_MS),
        (b"other", text, ASKED, NOW),
        (b"secret", text, other, NOW),
        (b"secret", f"{forged}.{signature}", ASKED, NOW),
        (b"secret", payload, ASKED, NOW),
        (b"secret", "", ASKED, NOW),
        (b"secret", "é.é", ASKED, NOW),
    ):
        with pytest.raises(Gone):
            read_ticket(secret, shown, asked, now)


def test_one_ticket_makes_one_code() -> None:
    codes = {code_of(b"secret", Ticket(*of, 3)) for of in ((7, "aa"), (7, "aa"), (7, "ab"), (8, "aa"))}
    assert len(codes) == 3
    assert code_of(b"other", Ticket(7, "aa", 3)) not in codes
