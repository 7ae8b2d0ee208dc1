import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from hub.bus.local import LocalBus
from hub.domain.access import Actor
from hub.domain.errors import Forbidden, Gone, NotFound
from hub.domain.times import HOUR, now_ms, rfc3339
from hub.services.player_uploads import Uploads
from hub.services.screenshots import Screenshots
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.tables import Player
from tests.cast import player_of, team_owner


@dataclass
class Stage:
    db: Database
    blobs: Blobs
    owner: Actor
    stranger: Actor
    player: Player
    screenshots: Screenshots
    uploads: Uploads
    now: int

    async def shoot(self, color: str, captured_at: int) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (64, 48), color).save(file, "PNG")
        data = file.getvalue()
        assert self.player.id is not None
        begun = await self.uploads.begin(
            player_id=self.player.id,
            team_id=self.owner.team_id,
            kind="screenshot",
            command_id=None,
            mime="image/png",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            captured_at_ms=captured_at,
            source="mpv",
        )
        await self.uploads.write(begun.handle, 0, data)
        await self.uploads.finish(begun.handle)
        return data

    async def fetch(self, url: str) -> bytes:
        """What a browser without any credential gets behind the link."""
        parts = urlsplit(url)
        number = int(parts.path.split("/")[-2])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        picture = await self.screenshots.image(number, query["expires"], query["signature"])
        data = b"".join([piece async for piece in picture.pieces])
        assert (picture.mime, picture.size) == ("image/png", len(data))
        assert picture.etag == hashlib.sha256(data).hexdigest()
        return data


@pytest.fixture
async def stage(db: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    owner, stranger = await team_owner(db, "lobby"), await team_owner(db, "rival")
    blobs = Blobs((tmp_path / "blobs").as_uri())
    stage: Stage
    screenshots = Screenshots(db, blobs, "secret of the database", clock=lambda: stage.now)
    uploads = Uploads(db, LocalBus(), blobs, tmp_path / "unfinished", screenshots.url_of, clock=lambda: stage.now)
    stage = Stage(db, blobs, owner, stranger, await player_of(db, owner), screenshots, uploads, now_ms())
    yield stage
    blobs.close()


async def test_the_newest_picture_is_told_with_a_link_to_it(stage: Stage) -> None:
    at = stage.now - 60_000
    await stage.shoot("red", at)
    blue = await stage.shoot("blue", at + 1_000)

    latest = await stage.screenshots.latest(stage.owner, stage.player.id or 0, base_url="https://hub.example/")

    assert latest["captured_at"] == rfc3339(at + 1_000)
    assert latest["source"] == "mpv"
    assert latest["url"].startswith(f"https://hub.example/api/v1/screenshots/{latest['id']}/image?expires=")
    assert await stage.fetch(latest["url"]) == blue
    assert await stage.screenshots.get(stage.owner, latest["id"], base_url="https://hub.example") == latest


async def test_the_public_address_wins_over_the_callers(stage: Stage) -> None:
    screenshots = Screenshots(stage.db, stage.blobs, "secret", "https://signs.example/")

    assert screenshots.url_of(7, "http://10.0.0.1").startswith("https://signs.example/api/v1/screenshots/7/image?")


async def test_a_player_without_a_picture_says_so(stage: Stage) -> None:
    with pytest.raises(NotFound, match="No screenshot available"):
        await stage.screenshots.latest(stage.owner, stage.player.id or 0)


async def test_another_teams_pictures_are_not_found(stage: Stage) -> None:
    await stage.shoot("red", stage.now)
    latest = await stage.screenshots.latest(stage.owner, stage.player.id or 0)

    with pytest.raises(NotFound, match="Not found"):
        await stage.screenshots.latest(stage.stranger, stage.player.id or 0)
    with pytest.raises(NotFound):
        await stage.screenshots.get(stage.stranger, latest["id"])


async def test_the_scope_is_needed(stage: Stage) -> None:
    await stage.shoot("red", stage.now)
    weak = replace(stage.owner, scopes=frozenset({"write:players"}))

    with pytest.raises(Forbidden):
        await stage.screenshots.latest(weak, stage.player.id or 0)
    with pytest.raises(Forbidden):
        await stage.screenshots.get(weak, 1)


async def test_a_link_ends_after_an_hour(stage: Stage) -> None:
    await stage.shoot("red", stage.now)
    url = stage.screenshots.url_of(1)

    stage.now += HOUR - 1_000
    await stage.fetch(url)
    stage.now += 2_000
    with pytest.raises(Gone):
        await stage.fetch(url)


async def test_a_link_that_was_changed_is_refused(stage: Stage) -> None:
    await stage.shoot("red", stage.now)
    await stage.shoot("blue", stage.now)
    url = stage.screenshots.url_of(1)
    expires = parse_qs(urlsplit(url).query)["expires"][0]

    for changed in (
        url.replace("screenshots/1/", "screenshots/2/"),
        url.replace(expires, str(int(expires) + 1)),
        url.replace(expires, "soon"),
        url.replace(expires, "9" * 5_000),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("signature=")[0] + "signature=%C3%A9",
        Screenshots(stage.db, stage.blobs, "another secret").url_of(1),
    ):
        with pytest.raises(Forbidden):
            await stage.fetch(changed)


async def test_a_removed_picture_is_not_found(stage: Stage) -> None:
    await stage.shoot("red", stage.now)
    url = stage.screenshots.url_of(1)
    async for page in stage.blobs.pages("screenshots"):
        await stage.blobs.delete(*(stored.name for stored in page))

    with pytest.raises(NotFound):
        await stage.fetch(url)
    with pytest.raises(NotFound):
        await stage.fetch(stage.screenshots.url_of(99))
