"""Wake-ups within one process."""

from hub.bus.local import LocalBus


def test_a_message_reaches_who_listens_to_its_subject_or_to_the_whole_kind() -> None:
    bus, heard = LocalBus(), []
    bus.subscribe(("player", 1), lambda message: heard.append(("one", message)))
    bus.subscribe(("player", 2), lambda message: heard.append(("two", message)))
    bus.subscribe(("player", None), lambda message: heard.append(("all", message)))
    bus.publish(("player", 1), "commands")
    assert heard == [("one", "commands"), ("all", "commands")]


def test_whoever_has_stopped_listening_hears_nothing_and_leaves_nothing_behind() -> None:
    bus, heard = LocalBus(), []
    stop = bus.subscribe(("player", 1), heard.append)
    stop()
    stop()
    bus.publish(("player", 1), "x")
    assert heard == []
    assert bus._listeners == {}


def test_a_listener_that_fails_takes_nobody_with_it(caplog: object) -> None:
    bus, heard = LocalBus(), []

    def fail(_: object) -> None:
        raise RuntimeError("on purpose")

    bus.subscribe(("player", 1), fail)
    bus.subscribe(("player", 1), heard.append)
    bus.publish(("player", 1), "x")
    assert heard == ["x"]


def test_a_listener_may_stop_while_it_is_called() -> None:
    bus, heard = LocalBus(), []
    stops = []
    stops.append(bus.subscribe(("player", 1), lambda message: (heard.append(message), stops[0]())))
    bus.publish(("player", 1), "first")
    bus.publish(("player", 1), "second")
    assert heard == ["first"]
