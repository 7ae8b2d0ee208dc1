from hub.bus.local import LocalBus
from hub.services.licences import Licences
from hub.store import events, players
from hub.store.database import Database
from tests.cast import player_of, team_owner


async def test_a_key_licenses_one_device_until_that_is_gone(db: Database) -> None:
    owner, stranger = await team_owner(db, "acme"), await team_owner(db, "other")
    licences = Licences(db, LocalBus())
    first, second = [(await player_of(db, owner, name)).id or 0 for name in "ab"]
    made = await licences.create(owner, key="adcast-abcd-2345", note=None, face="signalbox")
    assert made["key"] == "ADCAST-ABCD-2345"
    team = owner.team_id

    assert not await licences.activate(stranger.team_id, made["key"], first)
    assert not await licences.activate(team, "ADCAST-XXXX-YYYY", first)
    assert await licences.activate(team, " adcast-ABCD-2345", first)
    assert await licences.activate(team, made["key"], first)
    assert not await licences.activate(team, made["key"], second)
    assert (await licences.is_licensed(first), await licences.is_licensed(second)) == (True, False)
    async with db.session() as session:
        kinds = [row.type for row in await events.after(session, team, 0, 100)]
    assert kinds == ["licence.created", "licence.activated"]

    async with db.transaction() as session:
        await players.remove(session, await players.get(session, team, first))
    freed = await licences.get(owner, made["id"])
    assert (freed["player_id"], freed["activated_at"]) == (None, None)
    assert await licences.activate(team, made["key"], second)
    assert await licences.is_licensed(second)
