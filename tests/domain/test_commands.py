"""The catalogue and the lifecycle, as tables."""

import pytest

from hub.domain import commands as rules
from hub.domain.errors import Invalid


@pytest.mark.parametrize("spec", rules.CATALOGUE.values(), ids=lambda spec: spec.name)
def test_every_command_has_bounds_and_evidence(spec: rules.Spec) -> None:
    assert 0 < spec.start_within_s <= rules.MAX_TTL_S
    assert 0 < spec.finish_within_s <= 3600
    assert spec.evidence


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("set_volume", {"volume": -1}),
        ("set_volume", {"volume": "40"}),
        ("set_volume", {"volume": True}),
        ("set_volume", {}),
        ("set_volume", {"volume": 1, "loud": True}),
        ("reboot", {"now": True}),
        ("lock", {"pin": "12"}),
        ("play", {}),
        ("play", {"asset_id": 2**53}),
        ("play", {"playlist_id": 10**30}),
        ("play", {"asset_id": 1, "url": "https://example.com/a.mp4"}),
        ("play", {"url": "file:///etc/passwd"}),
        ("take_screenshot", {"max_width": 1_000_000}),
    ],
)
def test_a_wrong_payload_is_named(name: str, payload: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_payload(rules.lookup(name), payload)
    assert refusal.value.errors


def test_aliases_and_custom_names_are_found_and_nothing_else() -> None:
    assert rules.lookup("refresh").name == "reload_content"
    assert rules.lookup("screenshot").name == "take_screenshot"
    assert rules.lookup("custom:clean-lens").delivery == "once"
    for name in ("", "REBOOT", "custom:", "custom:../x", "custom:" + "a" * 41):
        with pytest.raises(Invalid):
            rules.lookup(name)


@pytest.mark.parametrize("state", rules.STATES)
def test_a_result_settles_everything_but_the_players_own_word(state: str) -> None:
    own_word = state in ("succeeded", "failed", "rejected")
    assert rules.accepts_result(state, None, acknowledged=False) is not own_word
    assert rules.accepts_result("failed", rules.JOURNAL_LOST, acknowledged=True)


def test_a_cancellation_that_the_player_has_confirmed_is_its_own_word() -> None:
    assert rules.accepts_result("cancelled", None, acknowledged=False)
    assert not rules.accepts_result("cancelled", None, acknowledged=True)
