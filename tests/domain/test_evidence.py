"""Successes are held against what the hub knows by itself."""

from typing import Any

import pytest

from hub.domain import evidence
from hub.domain.commands import CATALOGUE, lookup
from hub.domain.evidence import Claim, Greeting, Known, Stored, Verdict

MINE, OTHERS = "c-1", "c-2"


def judged(name: str, detail: dict[str, Any] | None, *, boot_id: str | None = None, **more: Any) -> Verdict:
    spec = lookup(name)
    payload = more.pop("payload", {})
    claim = Claim(MINE, 7, payload, detail or {}, boot_id, Known(**more))
    return evidence.judge(spec.evidence, spec.judge, claim)


def word(verdict: Verdict) -> str:
    return verdict.code or ("unverified" if verdict.unverified else "verified")


def booted(*boots: str | None, since: int = 1) -> list[Greeting]:
    return [Greeting(epoch, boot, f"v-{boot}" if boot else None) for epoch, boot in enumerate(boots, since)]


@pytest.mark.parametrize("name", [*CATALOGUE, "custom:x"])
def test_a_success_without_its_evidence_is_none(name: str) -> None:
    verdict = judged(name, {})
    assert verdict.code == "no_evidence"
    assert lookup(name).evidence[0] in str(verdict.message)


@pytest.mark.parametrize(
    ("name", "payload", "detail", "expected"),
    [
        ("set_volume", {"volume": 40}, {"volume": 40}, "verified"),
        ("set_volume", {"volume": 40}, {"volume": 40.0}, "verified"),
        ("set_volume", {"volume": 40}, {"volume": 35}, "evidence_contradicted"),
        ("set_volume", {"volume": 1}, {"volume": True}, "evidence_contradicted"),
        ("set_volume", {"volume": 40}, {"volume": "40"}, "evidence_contradicted"),
        ("set_display", {"on": False}, {"on": False}, "verified"),
        ("set_display", {"on": False}, {"on": False, "unverified": True}, "unverified"),
        ("set_display", {"on": False}, {"on": None, "unverified": True}, "unverified"),
        ("set_display", {"on": False}, {"on": True, "unverified": True}, "evidence_contradicted"),
        ("set_display", {"on": False}, {"on": None}, "no_evidence"),
        ("set_display", {"on": False}, {"on": 0}, "evidence_contradicted"),
        ("restart_player", {}, {"pid_before": 1, "pid_after": 2, "started_at": "x"}, "unverified"),
        ("restart_player", {}, {"pid_before": 1, "pid_after": 1, "started_at": "x"}, "evidence_contradicted"),
        (
            "restart_player",
            {},
            {"pid_before": 1, "pid_after": 1, "started_at_before": "w", "started_at": "x"},
            "unverified",
        ),
        ("lock", {"pin": "1234"}, {"locked": True}, "verified"),
        ("lock", {"pin": "1234"}, {"locked": 1}, "evidence_contradicted"),
        ("unlock", {}, {"locked": False}, "verified"),
        ("unlock", {}, {"locked": True}, "evidence_contradicted"),
        ("identify", {}, {"shown": "Lobby"}, "unverified"),
        ("identify", {}, {"shown": {"name": "Lobby", "id": 7}}, "verified"),
        ("identify", {}, {"shown": {"name": "Lobby", "id": 8}}, "evidence_contradicted"),
        ("clear_cache", {}, {"bytes_freed": 0}, "unverified"),
        ("clear_cache", {}, {"bytes_freed": -1}, "evidence_contradicted"),
        ("clear_cache", {}, {"bytes_freed": None}, "no_evidence"),
        ("play", {"url": "https://a.example/"}, {"current_content": "https://a.example/"}, "verified"),
        ("play", {"url": "https://a.example/"}, {"current_content": "A film"}, "unverified"),
        ("play", {"url": "https://a.example/"}, {"current_content": None}, "no_evidence"),
        ("play", {"url": "https://a.example/"}, {"current_content": ""}, "evidence_contradicted"),
        ("custom:x", {}, {"exit_status": 0, "output": ""}, "unverified"),
        ("custom:x", {}, {"exit_status": 1, "output": ""}, "evidence_contradicted"),
    ],
)
def test_a_success_is_held_against_what_was_asked_for(
    name: str, payload: dict[str, Any], detail: dict[str, Any], expected: str
) -> None:
    assert word(judged(name, detail, payload=payload)) == expected


def test_what_plays_is_known_by_its_name() -> None:
    asked: dict[str, Any] = {"payload": {"asset_id": 5}}
    assert word(judged("play", {"current_content": "Film"}, named=True, **asked)) == "verified"
    assert word(judged("play", {"current_content": "Film"}, named=False, **asked)) == "evidence_contradicted"
    assert word(judged("play", {"current_content": "Film"}, named=None, **asked)) == "unverified"


def test_a_revision_is_known_when_the_hub_told_of_it() -> None:
    told, other = "1" * 32, "2" * 32
    assert word(judged("reload_content", {"revision": told}, revision=told)) == "verified"
    assert word(judged("reload_content", {"revision": other}, revision=told)) == "unverified"  # older, or newer
    assert word(judged("reload_content", {"revision": told}, revision=None)) == "unverified"
    assert word(judged("reload_content", {"revision": 0}, revision=told)) == "unverified"  # it follows no manifest
    for never_made in ("zzz", "", "1" * 31, "A" * 32, f"{told}\n", "0", 1, False, [told]):
        assert word(judged("reload_content", {"revision": never_made}, revision=told)) == "evidence_contradicted"
    for known in (told, None):
        assert word(judged("reload_content", {"revision": None}, revision=known)) == "no_evidence"
        claim = {"revision": None, "unverified": True}
        assert word(judged("reload_content", claim, revision=known)) == "evidence_contradicted"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([Stored(MINE, "aa")], "verified"),
        ([Stored(OTHERS, "aa")], "evidence_contradicted"),
        ([Stored(None, "aa")], "evidence_contradicted"),
        ([Stored(MINE, "bb")], "evidence_contradicted"),
        ([], "no_evidence"),
    ],
)
def test_a_picture_is_the_one_that_was_sent_for_this_command(stored: list[Stored], expected: str) -> None:
    detail = {"screenshot_id": "9", "sha256": "aa", "source": "mpv", "captured_at": "2026-01-01T00:00:00Z"}
    assert word(judged("take_screenshot", detail, stored=stored)) == expected
    if expected != "evidence_contradicted" or stored[0].command_id != MINE:  # of logs, a result tells no hash
        assert word(judged("collect_logs", {"upload_id": "u"}, stored=stored)) == expected


@pytest.mark.parametrize(
    ("greetings", "before", "after", "expected"),
    [
        (booted("a", "b"), "a", "b", "verified"),
        (booted("a", "a", "b"), "a", "b", "verified"),
        (booted("a", "b", "c"), "a", "b", "verified"),  # told two boots later
        (booted("a", "b", "c"), "b", "c", "verified"),  # it lost its power before it began
        (booted("a", "c"), "a", "b", "unverified"),  # and here after it, before it could say hello
        (booted("a"), "a", "b", "evidence_contradicted"),  # it says so on the connection that the command went out on
        (booted("a", "a"), "a", "b", "evidence_contradicted"),
        (booted("a", "b"), "x", "b", "evidence_contradicted"),
        (booted("a"), "x", "a", "evidence_contradicted"),
        (booted("a", "b"), "b", "a", "evidence_contradicted"),
        (booted("a", "b"), "a", "a", "evidence_contradicted"),
        (booted(None, "b"), "a", "b", "unverified"),  # from before greetings were kept
        (booted("a", "b", since=5), "x", "b", "unverified"),  # the first ones are not kept any more
        ([], "a", "b", "unverified"),
    ],
)
def test_a_reboot_or_an_update_shows_in_the_greetings(
    greetings: list[Greeting], before: str, after: str, expected: str
) -> None:
    detail = {"boot_id_before": before, "boot_id_after": after, "seconds_away": 9}
    assert word(judged("reboot", detail, boot_id=after, epoch=1, greetings=greetings)) == expected
    version = {"version_before": f"v-{before}", "version_after": f"v-{after}"}
    told = judged("update_agent", version, payload={"version": f"v-{after}"}, epoch=1, greetings=greetings)
    if before != after:
        assert word(told) == expected


def test_the_boot_of_the_result_is_the_one_after_the_reboot() -> None:
    detail = {"boot_id_before": "a", "boot_id_after": "b", "seconds_away": 9}
    assert judged("reboot", detail, boot_id="a", epoch=1, greetings=booted("a", "b")).code == "evidence_contradicted"


@pytest.mark.parametrize(
    ("seconds_away", "expected"),
    [
        (0, "verified"),
        (60.5, "verified"),
        (360, "verified"),  # a minute since it was sent, and five for a clock that was set right
        (361, "evidence_contradicted"),
        (-99_999, "evidence_contradicted"),
        (float("inf"), "evidence_contradicted"),
        (float("nan"), "evidence_contradicted"),
        (True, "evidence_contradicted"),
        ("9", "evidence_contradicted"),
        (None, "evidence_contradicted"),
    ],
)
def test_nobody_is_away_for_less_than_no_time_or_for_longer_than_since_the_command_was_sent(
    seconds_away: Any, expected: str
) -> None:
    detail = {"boot_id_before": "a", "boot_id_after": "b", "seconds_away": seconds_away}
    known: dict[str, Any] = {"epoch": 1, "greetings": booted("a", "b"), "sent_for": 60_000}
    assert word(judged("reboot", detail, boot_id="b", **known)) == expected


def test_an_update_is_the_one_that_was_asked_for() -> None:
    detail = {"version_before": "1", "version_after": "2"}
    assert judged("update_agent", detail, payload={"version": "3"}).code == "evidence_contradicted"
