from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.domain.releases import order


def test_versions_sort_as_people_number_them() -> None:
    rising = ["0.9", "1.0-dev", "1.0-alpha.2", "1.0-alpha.10", "1.0b1", "1.0-rc1", "1.0-rc2", "1.0", "1.0-lite",
              "1.0.1", "1.2", "1.10", "v2", "2.0.0.1", "2026.03.29"]  # fmt: skip
    assert all(order(one) < order(next) for one, next in pairwise(rising))


def test_zeros_at_the_end_case_prefix_and_build_make_no_other_version() -> None:
    assert len({order(text) for text in ("2", "2.0", "2.0.0", "v2.0", "V2", "2.0+build.7", " 2.0 ")}) == 1
    assert order("1.0-RC1") == order("1-rc1")


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_has_a_place(one: str, other: str) -> None:
    assert order(one) < order(other) or order(one) > order(other) or order(one) == order(other)
