"""Which alerts are on screen, and for how long."""

import pytest

from device_agent.alerts import REDRAW_S, Alerts
from device_agent.players.simulated import SimulatedPlayer
from hub.protocol.messages import Alert
from hub.protocol.times import write_time

NOW = 1_800_000_000_000


class Screen(SimulatedPlayer):
    def __init__(self):
        super().__init__()
        self.texts = []

    async def show_text(self, text, seconds):
        self.texts.append((text, seconds))


@pytest.fixture
def screen():
    return Screen()


def alert(id, action="raise", ends_in_s=None):
    expires_at = None if ends_in_s is None else write_time(NOW + ends_in_s * 1000)
    return Alert(id=id, action=action, title=id, message="!", severity="critical", expires_at=expires_at)


async def test_all_standing_alerts_share_the_screen_until_the_first_one_ends(screen):
    alerts = Alerts(screen)
    alerts.replace([alert("a"), alert("b", ends_in_s=30)])
    assert await alerts.draw(NOW) == ["a", "b"]
    assert await alerts.draw(NOW + 31_000) == []
    assert screen.texts == [("a\n!\n\nb\n!", 30), ("a\n!", REDRAW_S)]


async def test_the_last_one_is_wiped_off_and_nothing_is_drawn_after(screen):
    alerts = Alerts(screen)
    alerts.take(alert("a"))
    await alerts.draw(NOW)
    alerts.take(alert("a", "clear"))
    await alerts.draw(NOW)
    await alerts.draw(NOW)
    assert screen.texts == [("a\n!", REDRAW_S), ("", 0.0)]


async def test_without_an_alert_the_content_is_left_alone(screen):
    assert await Alerts(screen).draw(NOW) == []
    assert screen.texts == []


async def test_a_welcome_forgets_what_was_cleared_meanwhile(screen):
    alerts = Alerts(screen)
    alerts.replace([alert("a")])
    await alerts.draw(NOW)
    alerts.replace([])
    await alerts.draw(NOW)
    assert screen.texts[-1] == ("", 0.0)
