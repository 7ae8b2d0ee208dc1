"""Proof of play, uptime and the files made of them, on both databases."""

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from hub.domain.access import Actor
from hub.domain.analytics import Showing
from hub.domain.errors import Gone, Invalid, TooMany
from hub.domain.times import DAY, HOUR, MINUTE, SECOND, parse, rfc3339
from hub.services import exports as service
from hub.services.analytics import Analytics
from hub.services.exports import Exports
from hub.store import analytics as store
from hub.store import quotas as team_quotas
from hub.store import retention
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.exports import claim, finish
from hub.store.tables import Campaign, Downtime, Layout, Play, PlaySum, Session
from tests.cast import player_of, team_owner
from tests.quotas import all_plans

NOW = parse("2026-11-10T12:07:30Z")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def showing(entry: str, at: int, **changes: int | None) -> Showing:
    ids = {"playlist_id": None, "layout_id": None, "schedule_id": None, "campaign_id": None, "duration_ms": 10_000}
    return Showing(entry=entry, asset_id=1, started_at=at, completed=True, **(ids | changes))  # type: ignore[arg-type]


async def campaign_of(db: Database, owner: Actor, price_micros: int, name: str = "Summer") -> int:
    campaign = Campaign(team_id=owner.team_id, name=name, price_micros=price_micros, created_at=NOW)
    async with db.transaction() as session:
        session.add(campaign)
        await session.flush()
    assert campaign.id is not None
    return campaign.id


async def layouts_of(db: Database, owner: Actor, number: int) -> list[int]:
    made = [Layout(team_id=owner.team_id, name="Wall", created_at=NOW, updated_at=NOW) for _ in range(number)]
    async with db.transaction() as session:
        session.add_all(made)
        await session.flush()
    return [layout.id or 0 for layout in made]


async def test_sums_are_what_counting_the_plays_gives_in_every_zone(db: Database) -> None:
    counted = Counter[str]()
    analytics = Analytics(db, "hub", 90, lambda name, number: counted.update({name: number}), clock=Clock())
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    players = [(await player_of(db, owner, name)).id or 0 for name in ("Lobby", "Bar")]
    theirs = (await player_of(db, stranger)).id or 0
    campaign, foreign = await campaign_of(db, owner, 50_000), await campaign_of(db, stranger, 9_000_000)
    wall, door = await layouts_of(db, owner, 2)
    chance = random.Random(7)
    began = parse("2026-10-20")  # clocks in Europe and on Lord Howe jump within these weeks
    plays = {
        player: [
            showing(
                f"e{number}",
                began + chance.randrange(20 * DAY),
                layout_id=chance.choice([None, wall, door]),
                campaign_id=chance.choice([None, campaign, foreign, 999]),
                duration_ms=chance.randrange(60_000),
            )
            for number in range(230)
        ]
        for player in players
    }
    for player, entries in plays.items():
        assert await analytics.record(player, owner.team_id, entries[:150]) == {
            "stored": 150, "repeated": 0, "dropped": 0,
        }  # fmt: skip
        # What comes twice, in one batch or two, even changed, counts once.
        again = [*entries[100:], *entries[100:], showing("e3", began)]
        assert (await analytics.record(player, owner.team_id, again))["stored"] == 80
    await analytics.record(theirs, stranger.team_id, [showing("e1", began, layout_id=wall)])
    assert counted == {"stored": 461, "repeated": 362}

    everything = [play for entries in plays.values() for play in entries]
    for name in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"):
        zone = ZoneInfo(name)
        since = began + chance.randrange(3 * DAY)
        until = began + 17 * DAY + chance.randrange(3 * DAY)
        wanted: list[tuple[int | None, int | None]] = [
            (None, None), (players[0], None), (None, wall), (players[1], door),
        ]  # fmt: skip
        for screen, layout in wanted:
            inside = [
                play
                for one, entries in plays.items()
                for play in entries
                if since <= play.started_at < until and screen in (None, one) and layout in (None, play.layout_id)
            ]
            days = Counter(
                f"{datetime.fromtimestamp(play.started_at // 1000, UTC).astimezone(zone):%F}" for play in inside
            )
            answer = await analytics.playback(
                owner, (since, until), player_id=screen, layout_id=layout, granularity="day", timezone=name
            )
            told = {f"{datetime.fromisoformat(row['period']).astimezone(zone):%F}": row["plays"] for row in answer}
            assert len(told) == len(answer)
            assert {day: number for day, number in told.items() if number} == days
            assert sum(row["duration_seconds"] for row in answer) == pytest.approx(
                sum(play.duration_ms for play in inside) / 1000
            )
    hours = await analytics.playback(owner, (began, began + DAY), granularity="hour", timezone="UTC")
    assert len(hours) == 24
    assert hours[0]["period"] == "2026-10-20T00:00:00Z"

    since, until = began + 3 * DAY + 1, began + 15 * DAY + 7 * MINUTE
    told = await analytics.impressions(owner, (since, until))
    shown = sum(p.campaign_id == campaign and since <= p.started_at < until for p in everything)
    assert told["data"] == [
        {
            "campaign_id": campaign,
            "campaign": "Summer",
            "impressions": shown,
            "revenue": shown * 50_000 / 1_000_000,
            "currency": "EUR",
        }
    ]
    assert told["totals"]["revenue"] == pytest.approx(shown * 0.05)
    assert (await analytics.impressions(stranger, (began, NOW)))["totals"]["impressions"] == 0
    assert (await analytics.impressions(owner, (since, until), campaign_id=foreign))["data"] == []

    async with db.transaction() as session:
        await session.delete(await session.get_one(Campaign, campaign))
    told = await analytics.impressions(owner, (since, until))
    assert [(row["campaign_id"], row["campaign"], row["impressions"]) for row in told["data"]] == [
        (campaign, None, shown)
    ]

    pages = []
    cursor = None
    while True:
        page, cursor = await analytics.plays(owner, (began, NOW), before=cursor, limit=100, player_id=players[0])
        pages += page
        if cursor is None:
            break
    assert [play["started_at"] for play in pages] == sorted(
        (rfc3339(play.started_at) for play in plays[players[0]]), reverse=True
    )


async def test_nothing_was_shown_for_longer_than_since_it_began(db: Database) -> None:
    analytics = Analytics(db, "hub", 90, clock=Clock())
    owner = await team_owner(db, "acme")
    player = (await player_of(db, owner)).id or 0
    began = NOW - HOUR
    plays = [
        showing("whole", began, duration_ms=HOUR),
        showing("fast clock", began, duration_ms=HOUR + 5 * MINUTE),
        showing("longer", began, duration_ms=HOUR + 5 * MINUTE + 1),
        showing("a year", began, duration_ms=366 * DAY),
        showing("tomorrow", NOW + 20 * HOUR, duration_ms=10 * MINUTE),
    ]
    assert await analytics.record(player, owner.team_id, plays) == {"stored": 2, "repeated": 0, "dropped": 3}
    kept, _ = await analytics.plays(owner, (NOW - DAY, NOW + DAY))
    assert {play["duration_seconds"] for play in kept} == {3600, 3900}


async def test_the_plays_of_a_player_and_a_day_are_bounded(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "PLAYS_A_DAY", 3)
    analytics = Analytics(db, "hub", 90, clock=Clock())
    owner = await team_owner(db, "acme")
    lobby, bar = [(await player_of(db, owner, name)).id or 0 for name in ("Lobby", "Bar")]
    today = [showing(f"today{number}", NOW - MINUTE - number * HOUR) for number in range(5)]
    yesterday = [showing(f"yesterday{number}", NOW - DAY) for number in range(2)]
    assert await analytics.record(lobby, owner.team_id, today[:2]) == {"stored": 2, "repeated": 0, "dropped": 0}
    mixed = [*today[2:], *yesterday]
    assert await analytics.record(lobby, owner.team_id, mixed) == {"stored": 3, "repeated": 0, "dropped": 2}
    assert await analytics.record(lobby, owner.team_id, today[4:]) == {"stored": 0, "repeated": 0, "dropped": 1}
    assert await analytics.record(bar, owner.team_id, today[:3]) == {"stored": 3, "repeated": 0, "dropped": 0}
    assert [record.message.partition(" tells")[0] for record in caplog.records] == [f"player {lobby}"]


async def test_the_plays_of_a_team_and_a_day_are_bounded_and_nobody_elses(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counter[str]()
    quotas = all_plans(plays_per_day=3)
    analytics = Analytics(
        db, "hub", 90, lambda name, number: counted.update({name: number}), quotas=quotas, clock=Clock()
    )
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    lobby, bar = [(await player_of(db, owner, name)).id or 0 for name in ("Lobby", "Bar")]
    theirs = (await player_of(db, stranger)).id or 0
    today = [showing(f"today{number}", NOW - MINUTE - number * HOUR) for number in range(5)]
    yesterday = [showing("yesterday", NOW - DAY)]
    assert await analytics.record(lobby, owner.team_id, today[:2]) == {"stored": 2, "repeated": 0, "dropped": 0}
    mixed = [*today[2:], *yesterday]  # of another player
    assert await analytics.record(bar, owner.team_id, mixed) == {"stored": 2, "repeated": 0, "dropped": 2}
    assert (await analytics.record(lobby, owner.team_id, today[4:]))["dropped"] == 1
    assert (await analytics.record(theirs, stranger.team_id, today[:3]))["stored"] == 3
    assert counted == {"stored": 7, "dropped": 3}
    assert [record.message.partition(" is over")[0] for record in caplog.records] == [f"team {owner.team_id}"]
    async with db.moment() as session:
        used = await db.run(session, team_quotas.usage(owner.team_id, ["plays_per_day"], NOW))
    assert used == {"plays_per_day": 3}
    kept, _ = await analytics.plays(owner, (NOW - 2 * DAY, NOW + DAY))
    assert len(kept) == 4


async def test_a_player_cannot_make_sums_of_layouts_that_are_not_its_teams(db: Database) -> None:
    analytics = Analytics(db, "hub", 90, clock=Clock())
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    player = (await player_of(db, owner)).id or 0
    (own,), (foreign,) = await layouts_of(db, owner, 1), await layouts_of(db, stranger, 1)
    plays = [showing(f"p{layout}", NOW - HOUR, layout_id=layout) for layout in (own, foreign, 10_001, 10_002)]
    assert (await analytics.record(player, owner.team_id, plays))["stored"] == 4
    async with db.session() as session:
        sums = (await session.exec(select(PlaySum.dimension_id).where(PlaySum.dimension == "layout"))).all()
    assert list(sums) == [own]


async def test_times_that_cannot_be_are_taken_over_and_not_counted_and_plays_are_forgotten(db: Database) -> None:
    clock = Clock()
    counted = Counter[str]()
    analytics = Analytics(db, "hub", 90, lambda name, number: counted.update({name: number}), clock=clock)
    owner = await team_owner(db, "acme")
    player = (await player_of(db, owner)).id or 0
    good = [showing("early", NOW + 23 * HOUR), showing("late", NOW - 89 * DAY)]
    bad = [showing("future", NOW + 25 * HOUR), showing("past", NOW - 91 * DAY)]
    assert await analytics.record(player, owner.team_id, bad) == {"stored": 0, "repeated": 0, "dropped": 2}
    assert await analytics.record(player, owner.team_id, [*bad, *good]) == {"stored": 2, "repeated": 0, "dropped": 2}
    assert counted == {"stored": 2, "dropped": 4}

    span = (NOW - 95 * DAY, NOW + 2 * DAY)
    clock.now = NOW + 91 * DAY
    assert (await analytics.record(player, owner.team_id, good))["stored"] == 0  # told again years later: never anew
    await db.write(retention.forget, "plays", clock.now - 92 * DAY)
    async with db.session() as session:
        assert len((await session.exec(select(Play))).all()) == 2
    await db.write(retention.forget, "plays", clock.now - 90 * DAY)
    await db.write(retention.forget, "play sums", NOW - 1 * DAY)
    async with db.session() as session:
        assert (await session.exec(select(Play))).all() == []
        assert {row.dimension for row in await session.exec(select(PlaySum))} == {"team", "player"}
    assert sum(row["plays"] for row in await analytics.playback(owner, span)) == 1


async def test_a_reboot_that_was_announced_is_not_held_against_a_player(db: Database) -> None:
    """For ten minutes; and one that began before the time that is asked for counts as far as it reaches into it."""
    clock = Clock()
    analytics = Analytics(db, "hub", 90, clock=clock)
    owner = await team_owner(db, "acme")
    since, until = NOW - 100 * MINUTE, NOW
    came_back: dict[str, list[tuple[int, int | None, str | None]]] = {
        "soon": [(since - DAY, since + 10 * MINUTE, "rebooting"), (since + 15 * MINUTE, None, None)],
        "late": [(since - DAY, since + 10 * MINUTE, "rebooting"), (since + 50 * MINUTE, None, None)],
        "never": [(since - DAY, until - 5 * MINUTE, "rebooting")],
        "before": [(since - DAY, since - 4 * MINUTE, "rebooting"), (since + 20 * MINUTE, None, None)],
        "updated": [(since - DAY, since + 10 * MINUTE, "updating"), (since + 50 * MINUTE, None, None)],
        "stopped": [(since - DAY, since + 10 * MINUTE, "bye"), (since + 15 * MINUTE, None, None)],
    }
    for name, spans in came_back.items():
        player = await player_of(db, owner, name)
        async with db.transaction() as session:
            player.created_at = since - 50 * DAY
            session.add(player)
            for number, (started_at, ended_at, reason) in enumerate(spans):
                session.add(
                    Session(
                        id=f"ses_{name}{number}", player_id=player.id or 0, epoch=number, node="hub",
                        started_at=started_at, ended_at=ended_at, reason=reason,
                    )
                )  # fmt: skip
    told = {
        row["name"]: (row["online_percentage"], row["offline_percentage"], row["unknown_percentage"])
        for row in await analytics.uptime(owner, (since, until))
    }
    assert told == {
        "soon": (95.0, 0.0, 5.0),
        "late": (60.0, 30.0, 10.0),
        "never": (95.0, 0.0, 5.0),
        "before": (80.0, 14.0, 6.0),
        "updated": (60.0, 10.0, 30.0),
        "stopped": (95.0, 5.0, 0.0),
    }


async def test_uptime_knows_what_the_hub_did_not_see(db: Database) -> None:
    clock = Clock()
    analytics = Analytics(db, "hub", 90, clock=clock)
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    since, until = NOW - 100 * HOUR, NOW
    players = {}
    for name in ("steady", "half", "young", "absent", "unknown"):
        player = await player_of(db, owner, name)
        players[name] = player.id or 0
        async with db.transaction() as session:
            player.created_at = NOW - 10 * HOUR if name == "young" else since - 50 * DAY
            session.add(player)
    sessions: dict[str, list[tuple[int, int | None]]] = {
        "steady": [(since - DAY, None)],
        "half": [
            (since - DAY, since - HOUR),
            (since - HOUR, since + 20 * HOUR),
            (since + 50 * HOUR, since + 80 * HOUR),
        ],
        "young": [(NOW - 5 * HOUR, NOW - 4 * HOUR), (NOW - 4 * HOUR, NOW + DAY)],
        "unknown": [(since, since + 75 * HOUR)],
    }
    async with db.transaction() as session:
        for name, spans in sessions.items():
            for number, (started_at, ended_at) in enumerate(spans):
                session.add(
                    Session(
                        id=f"ses_{name}{number}",
                        player_id=players[name],
                        epoch=number,
                        node="hub",
                        started_at=started_at,
                        ended_at=ended_at,
                    )
                )
        session.add(Downtime(node="hub", started_at=since + 80 * HOUR, ended_at=since + 90 * HOUR))
    told = {row["name"]: row for row in await analytics.uptime(owner, (since, until))}
    shares = {
        name: (row["online_percentage"], row["offline_percentage"], row["unknown_percentage"])
        for name, row in told.items()
    }
    assert shares == {
        "steady": (100.0, 0.0, 0.0),
        "half": (50.0, 40.0, 10.0),
        "young": (50.0, 50.0, 0.0),
        "absent": (0.0, 90.0, 10.0),
        "unknown": (75.0, 15.0, 10.0),
    }
    assert told["half"]["player_id"] == players["half"]
    assert await analytics.uptime(stranger, (since, until)) == []
    future = await analytics.uptime(owner, (NOW + DAY, NOW + 2 * DAY))
    assert {row["unknown_percentage"] for row in future} == {100.0}
    longer = {row["name"]: row["online_percentage"] for row in await analytics.uptime(owner, (since, NOW + 9 * DAY))}
    assert longer["steady"] == 100.0  # what is still to come is not held against anybody
    summary = await analytics.summary(owner)
    # In the last day the hub was there for 14 hours: `half` was connected for four of them, `young` half of its own.
    assert summary["average_uptime"] == round(100 * (1 + 4 / 14 + 0.5 + 0 + 0) / 5, 1)
    assert (await analytics.summary(stranger))["average_uptime"] == 0.0


async def test_the_hubs_own_absence_is_written_down_at_its_return(db: Database) -> None:
    clock = Clock()
    analytics = Analytics(db, "hub", 90, clock=clock)
    await analytics.beat()
    for pause in (15 * SECOND, 59 * SECOND, -HOUR, 3 * HOUR, 15 * SECOND):
        clock.now += pause
        await analytics.beat()
    async with db.session() as session:
        [(started_at, ended_at)] = await store.downtimes(session, (0, 2 * NOW))
    assert ended_at - started_at == 3 * HOUR


async def test_a_file_is_made_in_pieces_and_gone_after_its_hour(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAGE", 40)
    monkeypatch.setattr(service, "WAIT_S", 0.0)
    clock = Clock()
    blobs = Blobs((tmp_path / "blobs").as_uri())
    analytics = Analytics(db, "hub", 90, clock=clock)
    exports = Exports(db, blobs, tmp_path / "exports", "secret", "https://hub.example", clock=clock)
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    player = (await player_of(db, owner, "=cmd|' /C calc'!A0, \"Bar\"")).id or 0
    theirs = (await player_of(db, stranger)).id or 0
    same = [showing(f"same{number}", NOW - HOUR) for number in range(90)]  # more than a page of one instant
    await analytics.record(player, owner.team_id, [*same, showing("old", NOW - 3 * DAY)])
    await analytics.record(theirs, stranger.team_id, [showing("x", NOW - HOUR)])

    asked = await exports.ask(owner, (NOW - DAY, NOW))
    assert asked["status"] == "pending"
    assert asked["expires_at"] == rfc3339(NOW + HOUR)
    assert asked["url"].startswith("https://hub.example/api/v1/exports/exp_")
    name, _, query = asked["url"].rpartition("/")[2].partition("?")
    link = (name, *(part.partition("=")[2] for part in query.split("&")))
    assert await exports.file(*link) is None
    assert await exports.work() is True
    assert await exports.work() is False
    content = await exports.file(*link)
    assert content is not None
    data = b"".join([piece async for piece in content.pieces])
    assert len(data) == content.size
    lines = data.decode().split("\r\n")
    assert lines[0].startswith("id,started_at,duration_seconds,completed,player_id,player")
    assert len(lines) == 1 + 90 + 1
    assert '"\'=cmd|\' /C calc\'!A0, ""Bar"""' in lines[1]
    assert len({line.partition(",")[0] for line in lines[1:-1]}) == 90
    assert list((tmp_path / "exports").iterdir()) == []

    monkeypatch.setattr(service, "ROWS_LIMIT", 80)
    with pytest.raises(Invalid):
        await exports.ask(owner, (NOW - DAY, NOW))
    few = Exports(db, blobs, tmp_path / "exports", "secret", quotas=all_plans(exports=1), clock=clock)
    await few.ask(stranger, (NOW - DAY, NOW))
    with pytest.raises(TooMany, match="quota exports"):
        await few.ask(stranger, (NOW - DAY, NOW))

    for actor in (owner, owner, stranger):
        clock.now += 1
        await exports.ask(actor, (NOW - 9 * DAY, NOW - 8 * DAY))
    served = []
    while (claimed := await db.write(claim, clock.now, clock.now + MINUTE)) is not None:
        served.append(claimed["team_id"])
        await db.write(finish, claimed["id"], "failed", error="x")
    assert served == [stranger.team_id, owner.team_id, stranger.team_id, owner.team_id]  # by turns

    clock.now += HOUR + 11 * MINUTE
    with pytest.raises(Gone):
        await exports.file(*link)
    await exports.sweep(clock.now)
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    blobs.close()


async def test_a_file_that_could_not_be_stored_is_made_later(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    blobs = Blobs((tmp_path / "blobs").as_uri())
    folder = tmp_path / "exports"
    folder.write_text("a file where the folder should be")
    exports = Exports(db, blobs, folder, "secret", clock=clock)
    owner = await team_owner(db, "acme")
    asked = await exports.ask(owner, (NOW - DAY, NOW))
    name, _, query = asked["url"].rpartition("/")[2].partition("?")
    with pytest.raises(OSError):
        await exports.work()
    assert await exports.work() is False  # not at once again
    folder.unlink()
    clock.now += 10 * SECOND
    assert await exports.work() is True
    assert await exports.file(name, *(part.partition("=")[2] for part in query.split("&"))) is not None
    blobs.close()
