"""What operators want a player to be set to. Each wish, by a command or by a change of the settings, has a number of
its player's own, in the order in which they came; of two about one setting the younger stands, whichever is carried out
last."""

from collections.abc import Mapping

import orjson

from hub.store.statements import Statement, Unit

_COUNT = Statement("UPDATE player SET wishes = wishes + 1 WHERE id = :player_id RETURNING wishes")
_READ = Statement("SELECT settings, wished FROM player WHERE id = :player_id")
_KEEP = Statement("UPDATE player SET settings = :settings, wished = :wished WHERE id = :player_id")


def count(player_id: int) -> Unit:
    """Unit: one more wish for the player. Answers its number, None when there is no such player."""
    rows = yield _COUNT(player_id=player_id)
    return rows[0]["wishes"] if rows else None


def follow(player_id: int, changes: Mapping[str, object], number: int | None) -> Unit:
    """Unit: the device has done what the wish of this number asked for (None: one of before they were numbered), so the
    settings are these, unless a younger wish is about any of them. Answers whether they are."""
    rows = yield _READ(player_id=player_id)
    if not rows or _overruled(rows[0]["wished"], changes, number):
        return False
    settings = orjson.dumps(orjson.loads(rows[0]["settings"]) | dict(changes)).decode()
    yield _KEEP(player_id=player_id, settings=settings, wished=marked(rows[0]["wished"], changes, number or 0))
    return True


def settings(player_id: int) -> Unit:
    """Unit: what the player should have, empty when there is no such player."""
    rows = yield _READ(player_id=player_id)
    return orjson.loads(rows[0]["settings"]) if rows else {}


def overruled(player_id: int, changes: Mapping[str, object], number: int | None) -> Unit:
    """Unit: whether a younger wish is about any of these settings."""
    rows = yield _READ(player_id=player_id)
    return bool(rows) and _overruled(rows[0]["wished"], changes, number)


def marked(wished: str, changes: Mapping[str, object], number: int) -> str:
    """The column `wished` with these settings as of the wish of this number."""
    return orjson.dumps(orjson.loads(wished) | dict.fromkeys(changes, number)).decode()


def _overruled(wished: str, changes: Mapping[str, object], number: int | None) -> bool:
    youngest: dict[str, int] = orjson.loads(wished)
    return any(youngest.get(name, 0) > (number or 0) for name in changes)
