from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import Invalid
from hub.domain.playback import (
    MAX_PRICE,
    MAX_ZONES,
    MICROS,
    Target,
    checked_currency,
    checked_zone_name,
    checked_zones,
    price,
    price_micros,
)

PERCENT = st.floats(-20, 120)


@given(st.integers(0, MAX_PRICE * MICROS))
def test_a_price_comes_back_as_the_same_number(micros: int) -> None:
    assert price_micros(price(micros)) == micros
    assert Decimal(price(micros)) * MICROS == micros
    assert len(price(micros).partition(".")[2]) >= 2


@given(st.text(alphabet="0123456789.,-+e NaifI٣", max_size=12))
def test_what_is_no_price_is_refused(text: str) -> None:
    try:
        micros = price_micros(text)
    except Invalid as error:
        assert list(error.errors or {}) == ["price"]  # noqa: PT017
    else:
        assert Decimal(text) * MICROS == micros


@given(x=PERCENT, y=PERCENT, width=PERCENT, height=PERCENT)
def test_a_zone_that_is_kept_lies_inside_the_canvas(x: float, y: float, width: float, height: float) -> None:
    inside = x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 100 and y + height <= 100
    try:
        [zone] = checked_zones([{"x": x, "y": y, "width": width, "height": height}])
    except Invalid:
        # What is thinner than the last place that is kept is nothing.
        assert not inside or min(width, height) < 0.0001
    else:
        assert zone["x"] + zone["width"] <= 100.001
        assert zone["y"] + zone["height"] <= 100.001
        assert abs(zone["x"] - x) < 0.0001


def test_as_many_zones_as_a_screen_can_show() -> None:
    whole = {"x": 0, "y": 0, "width": 100, "height": 100}
    assert [zone["position"] for zone in checked_zones([whole] * MAX_ZONES)] == list(range(1, MAX_ZONES + 1))
    with pytest.raises(Invalid):
        checked_zones([whole] * (MAX_ZONES + 1))


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_a_time_zone_that_there_is_is_taken(name: str) -> None:
    assert checked_zone_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Europe", "Berlin", "localtime", "posixrules", "/etc/passwd", "../UTC", "x" * 999]
)
def test_another_name_is_no_time_zone(name: str) -> None:
    with pytest.raises(Invalid):
        checked_zone_name(name)


def test_money_and_targets_are_read_in_the_words_of_every_face() -> None:
    assert checked_currency("eur") == "EUR"
    with pytest.raises(Invalid):
        checked_currency("EU")
    assert {Target.read(word, 1).kind for word in ("device", "screen", "player")} == {"player"}
    assert Target.read("device_group", 1) == Target("group", 1)
    with pytest.raises(Invalid):
        Target.read("everyone", 1)
