"""Which alerts are on screen, and for how long."""

import pytest

from device_agent.content.alerts import MOST, Alerts
from device_agent.players.base import Banner
from device_agent.players.simulated import SimulatedPlayer
from hub.protocol.messages import Alert
from hub.protocol.times import write_time

NOW = 1_800_000_000_000


class Screen(SimulatedPlayer):
    def __init__(self):
        super().__init__()
        self.banners = []

    async def show_banner(self, banner):
        self.banners.append(banner)


@pytest.fixture
def screen():
    return Screen()


def alert(id, action="raise", ends_in_s=None, severity="severe", title=None):
    expires_at = None if ends_in_s is None else write_time(NOW + ends_in_s * 1000)
    return Alert(id=id, action=action, title=title or id, message="!", severity=severity, expires_at=expires_at)


async def test_all_standing_alerts_share_the_screen_the_gravest_first_until_each_ends(screen):
    alerts = Alerts(screen)
    alerts.replace([alert("a", severity="minor"), alert("b", ends_in_s=30, severity="extreme")])
    assert await alerts.draw(NOW) == ["a", "b"]
    assert alerts.changes_in_s(NOW) == 30
    assert await alerts.draw(NOW + 31_000) == []
    assert alerts.changes_in_s(NOW + 31_000) == float("inf")
    assert screen.banners == [Banner("extreme", "b", "!\n\na: !"), Banner("minor", "a", "!")]


async def test_the_last_one_is_wiped_off_and_nothing_is_drawn_twice(screen):
    alerts = Alerts(screen)
    alerts.take(alert("a"))
    await alerts.draw(NOW)
    await alerts.draw(NOW)
    alerts.take(alert("a", "clear"))
    await alerts.draw(NOW)
    await alerts.draw(NOW)
    assert screen.banners == [Banner("severe", "a", "!"), None]


async def test_a_changed_one_is_drawn_anew_but_not_told_as_new(screen):
    alerts = Alerts(screen)
    alerts.take(alert("a"))
    assert await alerts.draw(NOW) == ["a"]
    alerts.take(alert("a", title="changed"))
    assert await alerts.draw(NOW) == []
    assert screen.banners[-1] == Banner("severe", "changed", "!")


async def test_of_many_only_the_number_is_told(screen):
    alerts = Alerts(screen)
    alerts.replace([alert(str(number)) for number in range(MOST + 4)])
    await alerts.draw(NOW)
    assert screen.banners[0].message.endswith("+ 4")


async def test_without_an_alert_the_content_is_left_alone(screen):
    assert await Alerts(screen).draw(NOW) == []
    assert screen.banners == []


async def test_a_welcome_forgets_what_was_cleared_meanwhile(screen):
    alerts = Alerts(screen)
    alerts.replace([alert("a")])
    await alerts.draw(NOW)
    alerts.replace([])
    await alerts.draw(NOW)
    assert screen.banners[-1] is None
