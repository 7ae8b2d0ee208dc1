import pytest

from hub.protocol.closecodes import LOST, REACTIONS, CloseCode, reaction_to, reaction_to_refusal


def test_every_code_has_a_reaction_and_a_reason_that_fits() -> None:
    assert set(REACTIONS) == set(CloseCode)
    assert all(0 < len(reaction.reason.encode()) <= 123 for reaction in REACTIONS.values())


@pytest.mark.parametrize("code", [None, 1000, 1006, 4999])
def test_an_unknown_end_is_a_lost_connection(code: int | None) -> None:
    assert reaction_to(code) is LOST


@pytest.mark.parametrize(
    ("code", "delay_s"), [(1001, None), (1012, None), (4001, 600), (4003, 300), (4009, 60), (4029, 60), (4130, None)]
)
def test_the_delay_before_the_next_attempt(code: int, delay_s: float | None) -> None:
    assert reaction_to(code).delay_s == delay_s


def test_only_a_revoked_player_offers_a_new_pairing() -> None:
    assert [code for code, reaction in REACTIONS.items() if reaction.pair] == [CloseCode.REVOKED]


def test_a_drained_player_waits_as_long_as_it_was_told() -> None:
    assert [code for code, reaction in REACTIONS.items() if reaction.given] == [CloseCode.DRAIN]


def test_a_refused_upgrade_is_taken_like_its_close_code() -> None:
    assert reaction_to_refusal(401) is REACTIONS[CloseCode.REVOKED]
    assert reaction_to_refusal(403) is REACTIONS[CloseCode.QUARANTINED]
    assert reaction_to_refusal(503) is LOST
