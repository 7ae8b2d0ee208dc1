"""Roles, scopes, and the kinds of credential."""

import pytest

from hub.domain import ids
from hub.domain.access import ROLES, SCOPES, Actor, credential_kind, grantable, is_api_key, require_over
from hub.domain.errors import Forbidden, Invalid


def actor(role: str | None, *scopes: str) -> Actor:
    return Actor("user", 1, 1, "Ada", frozenset(scopes) or ROLES[role or "owner"], user_id=1, role=role)


def test_each_role_gives_what_the_one_below_gives_and_more():
    assert ROLES["viewer"] < ROLES["operator"] < ROLES["admin"] == ROLES["owner"] == SCOPES.keys()
    assert all(not scope.startswith("write:") for scope in ROLES["viewer"])
    assert not ROLES["operator"] & {"admin", "webhooks"}


def test_a_missing_scope_is_named():
    actor("viewer").require("read:players")
    actor("viewer").require(None)
    with pytest.raises(Forbidden, match="account lacks the required scope: write:players"):
        actor("viewer").require("write:players")
    with pytest.raises(Forbidden, match="API key lacks"):
        Actor("key", 1, 1, "Wall", frozenset()).require("admin")


def test_nobody_grants_what_they_lack():
    assert grantable(actor("viewer"), ["read:players"]) == {"read:players"}
    assert grantable(actor("viewer"), []) == set()
    with pytest.raises(Forbidden, match="write:players"):
        grantable(actor("viewer"), ["read:players", "write:players"])
    with pytest.raises(Invalid):
        grantable(actor("owner"), ["fly"])


@pytest.mark.parametrize(
    ("who", "over", "allowed"),
    [
        (actor("owner"), "owner", True),
        (actor("owner"), "viewer", True),
        (actor("admin"), "admin", True),
        (actor("admin"), "owner", False),
        (actor(None), "owner", False),
        (actor(None), "admin", True),
        (actor("owner", "admin"), "viewer", False),
        (actor("owner", "admin", "read:players", "read:content"), "viewer", True),
        (actor("owner", "admin", "read:players", "read:content"), "operator", False),
    ],
)
def test_people_are_made_by_those_who_have_as_much(who: Actor, over: str, allowed: bool):
    if allowed:
        require_over(who, over)
    else:
        with pytest.raises(Forbidden):
            require_over(who, over)


UUIDS = "0dd0a7a2-7d1c-4c70-8a4f-7e7c5f6a8f10.6f8f57cb-5e16-4f1e-9a63-0f4d1a1d3f55"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("sbk_7hJk2LmN_" + "x" * 32, "key"),
        (UUIDS, "key"),
        (UUIDS.upper(), None),
        (UUIDS + "0", None),
        ("1|abc123", "login"),
        ("|abc", None),
        ("x1|abc", None),
        ("9" * 19 + "|abc", None),
        ("sbo_7hJk2LmN_" + "x" * 32, "grant"),
        ("sbp_7hJk2LmN_" + "x" * 32, "player"),
        ("sbr_abc", None),
        ("eyJhbGciOiJIUzI1NiJ9.e30.sig", "jwt"),
        ("a.b.c.d", None),
        ("", None),
    ],
)
def test_a_credential_is_known_by_its_shape(token: str, kind: str | None):
    assert credential_kind(token) == kind


def test_the_form_of_a_key_is_exact():
    key = ids.new_secret("sbk_")
    assert is_api_key(key)
    assert is_api_key(UUIDS)
    assert len(UUIDS) == 73
    for text in (
        "",
        "yourKey",
        key[:-1],
        key + "x",
        "sbk_",
        "1|abc",
        UUIDS[:-1],
        f" {key}",
        f"{key}\n",
        "sbo" + key[3:],
    ):
        assert not is_api_key(text), text


def test_what_lists_show_of_a_key_is_no_secret():
    assert ids.visible_part(UUIDS) == UUIDS[:36]
    assert ids.visible_part("sbk_AbCdEfGh_" + "s" * 32) == "sbk_AbCdEfGh"
