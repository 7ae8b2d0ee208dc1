"""Messages of CAP that come while another of the team is worked on, here or by another process, on both databases."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.cap import AHEAD, LATEST
from hub.domain.errors import Conflict, NotFound
from hub.domain.quotas import Limits, Quotas
from hub.domain.times import parse
from hub.services.alerts import Alerts
from hub.services.cap import Cap
from hub.store import cap as store
from hub.store.database import Database
from tests.cap import info, key, message
from tests.cast import team_owner


class Stage:
    def __init__(self, db: Database, owner: Actor) -> None:
        self.db, self.owner, self.bus = db, owner, LocalBus()
        self.alerts = Alerts(db, self.bus)
        self.raised = asyncio.Event()
        self.bus.subscribe(("alerts", None), lambda _: self.raised.set())

    def node(self, room: int = 100) -> Cap:
        """One more process on this database, with room for so many alerts."""
        return Cap(self.db, Alerts(self.db, self.bus, quotas=Quotas({"alerts": Limits(*[room] * 4)})))

    async def send(self, node: Cap, text: bytes) -> dict[str, Any]:
        return await node.receive(self.owner, text, everyone=True, targets={}, language=None, face="signalbox")

    async def standing(self) -> list[str]:
        alerts, _ = await self.alerts.listing(self.owner)
        return sorted(alert["title"] for alert in alerts if alert["status"] != "over")


@pytest.fixture
async def stage(db: Database) -> Stage:
    return Stage(db, await team_owner(db, "acme"))


MANY = message(*(info(headline=f"Gale {number}") for number in range(20)))
CANCEL = message(identifier="c", msgType="Cancel", references=key())
UPDATE = message(info(headline="All that is left"), identifier="u", msgType="Update", references=key())


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("later", "left"), [(CANCEL, []), (UPDATE, ["All that is left"])])
async def test_what_replaces_a_message_that_is_still_worked_on_leaves_nothing_of_it(
    stage: Stage, processes: int, later: bytes, left: list[str]
) -> None:
    node = stage.node()
    working = asyncio.create_task(stage.send(node, MANY))
    await stage.raised.wait()
    await stage.send(node if processes == 1 else stage.node(), later)
    await working
    assert await stage.standing() == left
    assert (await stage.send(node, MANY))["result"] == "known"
    assert await stage.standing() == left


async def test_a_cancel_of_a_message_that_was_cut_off_raises_no_more_of_it(stage: Stage) -> None:
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=3), MANY)
    assert len(await stage.standing()) == 3
    assert (await stage.send(stage.node(), CANCEL))["result"] == "cleared"
    assert (await stage.send(stage.node(), MANY))["result"] == "known"
    assert await stage.standing() == []


async def test_an_update_that_was_cut_off_answers_for_the_alerts_that_it_replaces(stage: Stage) -> None:
    await stage.send(stage.node(), message(info()))
    later = info(severity="Extreme", effective="2098-01-01T00:00:00Z")
    update = message(later, info(headline="Less"), identifier="u", msgType="Update", references=key())
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=1), update)
    assert await stage.standing() == ["Severe gale"]
    answer = await stage.send(stage.node(), message(identifier="c", msgType="Cancel", references=key("u")))
    assert (answer["result"], await stage.standing()) == ("cleared", [])
    assert (await stage.send(stage.node(), update))["result"] == "known"


async def test_a_message_that_was_cut_off_is_done_whole_when_it_comes_again(stage: Stage) -> None:
    await stage.send(stage.node(), message(info()))
    later = info(severity="Extreme", effective="2098-01-01T00:00:00Z", headline="More")
    now = info(severity="Extreme", headline="Now")
    update = message(now, later, identifier="u", msgType="Update", references=key())
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=1), update)
    assert await stage.standing() == ["Now"]
    assert (await stage.send(stage.node(), update))["result"] == "raised"
    assert await stage.standing() == ["More", "Now"]
    assert (await stage.send(stage.node(), update))["result"] == "known"


@pytest.mark.parametrize("room", [1, 2])
async def test_an_update_that_is_refused_leaves_what_it_refers_to_as_it_was(stage: Stage, room: int) -> None:
    """Two of its parts, of which the first takes the place of what stands only when there is room for it."""
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=1), message(info(headline="First"), info(headline="Second")))
    assert await stage.standing() == ["First"]
    later = {"effective": "2098-01-01T00:00:00Z"}
    update = message(
        info(headline="A", **later), info(headline="B", **later), identifier="u", msgType="Update", references=key()
    )
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=room), update)
    original = message(info(headline="First"), info(headline="Second"))
    again = await stage.send(stage.node(), original)
    if room == 1:  # nothing of the update is in force: the message that it refers to goes on where it was
        assert (again["result"], await stage.standing()) == ("raised", ["First", "Second"])
    else:  # a part of it is: it has taken its place, and no more of the old one is raised
        assert (again["result"], await stage.standing()) == ("known", ["A", "First"])
    await stage.send(stage.node(), update)
    assert await stage.standing() == ["A", "B"]
    assert (await stage.send(stage.node(), original))["result"] == "known"


async def test_what_is_raised_while_the_first_part_of_an_update_is_done_is_replaced_too(stage: Stage) -> None:
    """Another process raises the last part of the old message between the look at it and its end."""
    first, second = info(headline="First"), info(headline="Second")
    with pytest.raises(Conflict):
        await stage.send(stage.node(room=1), message(first, second))
    here, there = stage.node(), stage.node()
    update = message(info(headline="All that is left"), identifier="u", msgType="Update", references=key())
    results = await asyncio.gather(stage.send(here, update), stage.send(there, message(first, second)))
    assert results[0]["result"] in ("raised", "updated")
    assert await stage.standing() == ["All that is left"]


async def test_who_may_write_alone_may_update_and_hears_what_is_known(stage: Stage) -> None:
    stage.owner = replace(stage.owner, scopes=frozenset({"write:players"}))
    node = stage.node()
    await stage.send(node, message(info()))
    assert (await stage.send(node, UPDATE))["result"] == "updated"
    assert (await stage.send(node, UPDATE))["result"] == "known"


SENT = ["2026-11-29T09:00:00+00:00", "2026-11-29T09:00:00Z", "2026-11-29T10:00:00+01:00", "2026-11-29T09:00:00.000Z"]


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("referred", SENT)
async def test_a_reference_finds_a_message_however_its_time_is_written(stage: Stage, sent: str, referred: str) -> None:
    node = stage.node()
    await stage.send(node, message(info(), sent=sent))
    assert (await stage.send(node, message(info(), sent=referred)))["result"] == "known"
    other = message(info(headline="Other"), sent="2026-11-29T09:00:01Z")  # a second later: another message
    assert (await stage.send(node, other))["result"] == "raised"
    cancel = message(identifier="c", msgType="Cancel", references=key(sent=referred))
    assert (await stage.send(node, cancel))["result"] == "cleared"
    assert await stage.standing() == ["Other"]
    assert (await stage.send(node, message(info(), sent=referred)))["result"] == "known"


NOW = parse("2026-11-29T09:30:00Z")  # half an hour after the message was sent


def at(stage: Stage, now: int = NOW) -> Cap:
    return Cap(stage.db, stage.alerts, clock=lambda: now)


def sent(minute: int) -> str:
    return f"2026-11-29T09:{minute:02}:00Z"


async def cancel_unheard(stage: Stage, node: Cap, *references: str, identifier: str = "c") -> None:
    text = message(identifier=identifier, sent=sent(20), msgType="Cancel", references=" ".join(references))
    with pytest.raises(NotFound):
        await stage.send(node, text)


@pytest.mark.parametrize("referred", SENT)
async def test_a_message_that_comes_after_its_cancel_raises_nothing(stage: Stage, referred: str) -> None:
    node = at(stage)
    await cancel_unheard(stage, node, key(sent=referred), key("another"))
    for text in (message(info()), message(info()), message(info(), identifier="another")):
        assert (await stage.send(node, text))["result"] == "known"
    assert await stage.standing() == []
    await cancel_unheard(stage, node, key(sent=referred))
    assert (await stage.send(node, message(info(), identifier="other")))["result"] == "raised"


async def test_an_update_that_comes_after_its_cancel_clears_what_it_is_about(stage: Stage) -> None:
    node = at(stage)
    await stage.send(node, message(info()))
    update = message(info(headline="Less"), identifier="u", sent=sent(10), msgType="Update", references=key())
    await cancel_unheard(stage, node, key("u", sent(10)))
    assert (await stage.send(node, update))["result"] == "cleared"
    assert await stage.standing() == []
    assert (await stage.send(node, update))["result"] == "known"


async def test_messages_may_come_in_any_order(stage: Stage) -> None:
    """A warning, two updates and a cancel: whatever comes first, nothing is left."""
    texts = [
        message(info()),
        message(info(headline="Less"), identifier="u", sent=sent(5), msgType="Update", references=key()),
        message(info(headline="Least"), identifier="v", sent=sent(10), msgType="Update", references=key("u", sent(5))),
        message(identifier="c", sent=sent(20), msgType="Cancel", references=key("v", sent(10))),
    ]
    for number, order in enumerate(permutations(texts)):
        owner = stage.owner = await team_owner(stage.db, f"team-{number}")
        for text in order:
            with suppress(NotFound):
                await stage.send(at(stage), text)
        assert (owner, await stage.standing()) == (owner, []), [texts.index(text) for text in order]


@pytest.mark.parametrize("named", [[key("u", sent(5))], [key(), key("u", sent(5))]])
async def test_an_update_that_comes_after_the_next_one_leaves_that_standing(stage: Stage, named: list[str]) -> None:
    first = message(info())
    second = message(info(headline="Less"), identifier="u", sent=sent(5), msgType="Update", references=key())
    third = message(info(headline="Least"), identifier="v", sent=sent(10), msgType="Update", references=" ".join(named))
    for number, order in enumerate(permutations([first, second, third])):
        stage.owner = await team_owner(stage.db, f"team-{number}")
        for text in order:
            await stage.send(at(stage), text)
        assert await stage.standing() == ["Least"], order


async def test_what_is_waited_for_has_an_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, of the past and of the future, and in number, for each team; what was heard stays remembered."""
    await cancel_unheard(stage, at(stage, NOW + LATEST), key())
    await cancel_unheard(stage, at(stage, NOW - 2 * AHEAD), key())
    node = at(stage)
    assert (await stage.send(node, message(info())))["result"] == "raised"
    await stage.send(node, CANCEL)
    monkeypatch.setattr(store, "UNHEARD", 50)
    other, own = await team_owner(stage.db, "other"), stage.owner
    stage.owner = other
    await cancel_unheard(stage, at(stage, NOW), key("elsewhere"))
    stage.owner = own
    await cancel_unheard(stage, at(stage, NOW), key("oldest"))
    await cancel_unheard(stage, at(stage, NOW + 1), *(key(f"a{number}") for number in range(50)))
    assert (await stage.send(node, message(info(headline="Oldest"), identifier="oldest")))["result"] == "raised"
    assert (await stage.send(node, message(info(), identifier="a0")))["result"] == "known"
    assert (await stage.send(node, message(info())))["result"] == "known"
    stage.owner = other
    assert (await stage.send(node, message(info(), identifier="elsewhere")))["result"] == "known"
