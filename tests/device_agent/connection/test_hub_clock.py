"""The hub's time, known and guessed."""

from device_agent.connection.hub_clock import HubClock


def test_before_the_first_welcome_a_guess_goes_on_with_monotonic_time():
    seconds = [100.0]
    clock = HubClock(lambda: seconds[0])
    assert clock.now() is None
    clock.guess(5_000)
    seconds[0] += 2
    assert clock.best() == 7_000
    assert clock.now() is None  # no command is judged by a guess
    clock.set(1_000_000)
    seconds[0] += 1
    assert clock.best() == clock.now() == 1_001_000
