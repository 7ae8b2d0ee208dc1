import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import Conflict, TooMany
from hub.domain.quotas import QUOTAS, Limits, Quotas, share


def test_a_larger_plan_has_no_less_and_every_plan_an_end() -> None:
    for name, quota in QUOTAS.items():
        assert list(quota.limits) == sorted(quota.limits), name
        assert 0 < quota.limits.free <= quota.limits.unlimited < 2**53, name


def test_what_fits_is_let_in_and_what_does_not_is_told_which_limit() -> None:
    quotas = Quotas({"webhooks": Limits(2, 3, 4, 5), "exports": Limits(1, 1, 1, 1)})
    quotas.check("webhooks", "free", 1)
    quotas.check("webhooks", "pro", 2)
    with pytest.raises(Conflict, match=r"quota webhooks .* plan free has at most 2 webhooks") as kept:
        quotas.check("webhooks", "free", 2)
    with pytest.raises(TooMany, match="quota exports") as passing:
        quotas.check("exports", "unlimited", 0, 2)
    assert (kept.value.code, passing.value.code) == ("quota_exceeded", "quota_exceeded")
    assert passing.value.retry_after
    assert quotas.limit("webhooks", "a plan of tomorrow") == 2


@given(st.integers(1, 200), st.integers(1, 4), st.lists(st.integers(0, 4), max_size=300))
def test_however_greedy_some_are_a_place_is_left_for_who_comes_next(total: int, weight: int, takers: list[int]) -> None:
    held = dict.fromkeys(takers, 0)
    for who in takers:
        free = total - sum(held.values())
        if free and share(held[who], free, weight):
            held[who] += 1
    free = total - sum(held.values())
    assert free >= 0
    if total >= (weight + 1) ** len(held):
        assert share(0, free, weight) >= 1


def test_one_alone_takes_half_and_with_a_weight_more() -> None:
    assert share(0, 32) == 16
    assert share(16, 16) == 0
    assert share(0, 128, 3) == 96
    assert share(0, 1) == 1
    assert share(0, 0) == 0
