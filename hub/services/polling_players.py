"""Players that poll: the calls that a device makes with nothing but its uuid, and the lock that operators put on it.

One queue serves all players: what is queued for a player that polls goes out with the answer to its next heartbeat, and
only there, since a player that has a token is reached by its uuid no more. A uuid is no secret worth the name: whoever
guesses one reads what its screen shows. Neither it nor a PIN is ever logged.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain import ids, pairing
from hub.domain import polling as rules
from hub.domain.alerts import Raised
from hub.domain.errors import NotFound
from hub.domain.ratelimit import network
from hub.domain.times import now_ms
from hub.services.alerts import Alerts
from hub.services.commands import Commands, Origin
from hub.services.content import Content
from hub.services.downloads import Download, Downloads
from hub.services.licences import Licences
from hub.services.presence import PresenceService
from hub.services.programs import Programs
from hub.services.releases import Releases
from hub.store import polling as store
from hub.store.database import Database
from hub.store.pairing import Spending
from hub.store.polling import Beat
from hub.store.statements import Row
from hub.store.tables import PollingDevice

CODE_ATTEMPTS = 5  # pairing codes tried; with every code open that may be, one in 40,000 is taken


class Polling:
    """`grace` is how long after its last heartbeat a player still counts as online, in ms. Without `enabled` nothing
    here is found."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        presence: PresenceService,
        commands: Commands,
        alerts: Alerts,
        releases: Releases,
        licences: Licences,
        programs: Programs,
        content: Content,
        downloads: Downloads,
        public_url: str = "",
        *,
        enabled: bool,
        grace: int,
        clock: Callable[[], int] = now_ms,
        new_code: Callable[[], str] = ids.user_code,
    ) -> None:
        self._db = db
        self._bus = bus
        self._presence = presence
        self._commands = commands
        self._alerts = alerts
        self._releases = releases
        self._licences = licences
        self._programs = programs
        self._content = content
        self._downloads = downloads
        self._public_url = public_url.rstrip("/")
        self._enabled = enabled
        self._grace = grace
        self._clock = clock
        self._new_code = new_code

    # For the device --------------------------------------------------------------------------------------------------

    async def register(
        self,
        uuid: str,
        *,
        model: str | None = None,
        os_version: str | None = None,
        app_version: str | None = None,
        license_key: str | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """A device says who it is, as often as it likes. Answers {"device_id", "pairing_code" (None once it is paired),
        "paired", "device_name", "is_locked", "lock_pin", "license_activated"}.

        Raises NotFound (switched off), TooMany, Unavailable, Invalid (the player has a token).
        """
        self._check_enabled()
        now = self._clock()
        place = network(address or "unknown")
        device = PollingDevice(
            player_id=0,
            uuid=uuid,
            model=pairing.told(model),
            os_version=os_version,
            app_version=app_version,
            license_key=license_key,
            address=place,
            created_at=now,
            seen_at=now,
        )
        codes = [self._new_code() for _ in range(CODE_ATTEMPTS)]
        spending = Spending(f"polling registrations {place}", rules.REGISTRATIONS)
        # One key for all: each counts what the one before it added.
        row: Row = await self._db.write(store.register, device, codes, spending, now, key="polling")
        paired = row["paired"] is not None
        licensed = bool(row["licences"])
        if paired and license_key and not licensed:
            licensed = await self._licences.activate(row["team_id"], license_key, row["player_id"])
        return {
            "device_id": row["player_id"],
            "pairing_code": None if paired else row["pairing_code"],
            "paired": paired,
            "device_name": row["name"],
            **_lock(row),
            "license_activated": licensed,
        }

    async def heartbeat(self, uuid: str, readings: Mapping[str, Any], address: str | None) -> dict[str, Any]:
        """A device is there, and says how it is; `readings` are of the telemetry's names. Answers {"is_locked",
        "lock_pin", "has_update" (its playlist is another one than it fetched last), "commands" (id, command and payload
        of each, handed over by this answer, and what brings it to its desired settings), "alerts", "release"}.

        Raises NotFound (nobody polls by this uuid), TooMany (for networks that guess), Unavailable.
        """
        self._check_enabled()
        # All that may fail comes first: what the heartbeat hands over is lost with its answer.
        told = await self._told(uuid)
        beat: Beat | None = await self._db.write(
            store.beat,
            uuid,
            _guess(address),
            readings,
            address,
            ids.session_id(),
            self._grace,
            self._clock(),
            key=("polls", uuid),
        )
        if beat is None:
            raise _unknown()
        device = beat.device
        if device["paired"] is not None:
            player_id, team_id = device["player_id"], device["team_id"]
            self._presence.polled(player_id, team_id, address, readings)
            for row in (*beat.settled, *beat.delivered):
                self._commands.settled(row)
            if beat.news:
                self._bus.publish(("events", team_id))
        commands = [
            {"id": row["id"], "command": row["command"], "payload": orjson.loads(row["payload"])}
            for row in beat.delivered
            if row["command"] not in rules.SILENT
        ]
        wished = rules.wished(orjson.loads(device["settings"] or "{}"), readings)
        if wished is not None and all(command["command"] != "set_volume" for command in commands):
            commands.append({"id": ids.command_id(), "command": "set_volume", "payload": wished})  # a wish has no row
        return {**_lock(device), **told, "commands": commands}

    async def _told(self, uuid: str) -> dict[str, Any]:
        """What a heartbeat is told beside its commands: {"has_update", "alerts", "release"}."""
        async with self._db.session() as session:
            device: Row | None = await self._db.run(session, store.find(uuid))
        if device is None or device["paired"] is None:
            return {"has_update": False, "alerts": [], "release": None}
        player_id, team_id = device["player_id"], device["team_id"]
        alerts: list[Raised] = await self._alerts.live_for_player(team_id, player_id)
        release = await self._releases.update_for(team_id, device["app_version"])
        playing = await self._programs.playing(team_id, player_id)
        revision = _revision(await self._programs.revision(team_id, player_id), playing)
        return {"has_update": device["revision"] != revision, "alerts": alerts, "release": release}

    async def playlist(self, uuid: str, base_url: str, address: str | None) -> dict[str, Any]:
        """What the device shows now. Answers {"playlist" (as `Programs.now` has it, or None), "to_download" (assets
        that it needs until its timeline ends and has not fetched), "to_delete" (numbers of those that it fetched and
        needs no more), "watermark", "base_url" (the hub's address, for links)}.

        Raises NotFound (nobody polls by this uuid), TooMany (for networks that guess), Unavailable.
        """
        device = await self._device(uuid, address)
        base_url = self._public_url or base_url
        if device["paired"] is None:
            return {"playlist": None, "to_download": [], "to_delete": [], "watermark": False, "base_url": base_url}
        player_id, team_id = device["player_id"], device["team_id"]
        program = await self._programs.now(player_id)
        needed, held = set(program["asset_ids"]), set(orjson.loads(device["held"]))
        assets = await self._content.some(team_id, needed - held, base_url=base_url)
        revision = _revision(program["revision"], program["playlist"])
        if device["revision"] != revision or held - needed:
            await self._db.write(store.fetched, player_id, revision, sorted(needed), key=player_id)
        return {
            "playlist": program["playlist"],
            "to_download": [asset for _, asset in sorted(assets.items()) if asset["sha256"] is not None],
            "to_delete": sorted(held - needed),
            "watermark": device["plan"] == "free",
            "base_url": base_url,
        }

    async def download(self, uuid: str, asset_id: int, address: str | None) -> Download:
        """What is behind an asset that the device needs. A file counts as fetched from now on.

        Raises NotFound (nobody polls by this uuid, or its player does not show this), TooMany, Unavailable.
        """
        device = await self._device(uuid, address)
        if device["paired"] is None:
            raise NotFound
        await self._programs.check_asset(device["team_id"], device["player_id"], asset_id)
        found = await self._downloads.file(device["team_id"], asset_id)
        if found.open is not None and asset_id not in orjson.loads(device["held"]):
            await self._db.write(store.holds, device["player_id"], asset_id, key=device["player_id"])
        return found

    # For the operator ------------------------------------------------------------------------------------------------

    async def lock(self, origin: Origin, player_id: int, pin: str | None) -> None:
        """Lock a player with a PIN, or unlock it (None). One that polls is locked from its next heartbeat on, whatever
        becomes of the command; every other when it has carried the command out.

        Raises Forbidden, Invalid (not a PIN, the player cannot), NotFound, Unavailable.
        """
        payload = None if pin is None else {"pin": pin}
        await self._commands.send(origin, player_id, "unlock" if pin is None else "lock", payload)
        await self._db.write(store.desire, player_id, {"locked": pin is not None, "pin": pin})

    # For the supervised loops ----------------------------------------------------------------------------------------

    async def sweep(self, now: int) -> None:
        """Forget devices that nobody paired, and those whose player was deleted."""
        await self._db.write(store.forget, now - rules.FORGOTTEN_AFTER)

    # ------------------------------------------------------------------------------------------------------------------

    async def _device(self, uuid: str, address: str | None) -> Row:
        self._check_enabled()
        device: Row | None = await self._db.write(
            store.look_up, uuid, _guess(address), self._clock(), key=("polls", uuid)
        )
        if device is None:
            raise _unknown()
        return device

    def _check_enabled(self) -> None:
        if not self._enabled:
            raise NotFound("Players that poll are switched off on this hub.", code="polling_off")


def _guess(address: str | None) -> Spending:
    return Spending(f"polling guesses {network(address or 'unknown')}", rules.GUESSES)


def _unknown() -> NotFound:
    return NotFound("Device not registered.", code="device_not_registered")


def _revision(revision: str, playlist: Mapping[str, Any] | None) -> str:
    """A player that polls knows no timeline: for it, what plays now is a part of the revision."""
    return f"{revision} {playlist['id'] if playlist else 'nothing'}"


def _lock(row: Row) -> dict[str, Any]:
    settings = orjson.loads(row["settings"] or "{}")
    locked = settings.get("locked") is True
    return {"is_locked": locked, "lock_pin": settings.get("pin") if locked else None}
