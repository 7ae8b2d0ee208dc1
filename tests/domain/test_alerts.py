from hub.domain.alerts import Raised, order, state


def test_an_alert_is_scheduled_then_live_then_over() -> None:
    assert [state(None, None), state(1, None), state(1, 2), state(None, 2)] == ["scheduled", "live", "over", "over"]


def test_the_gravest_come_first_and_of_equals_the_newest() -> None:
    minor = Raised(1, "a", "a", "minor", 900, None)
    old, new = Raised(2, "b", "b", "extreme", 100, None), Raised(3, "c", "c", "extreme", 200, None)
    unknown = Raised(4, "d", "d", "unknown", 999, None)
    assert sorted([unknown, minor, old, new], key=order) == [new, old, minor, unknown]
