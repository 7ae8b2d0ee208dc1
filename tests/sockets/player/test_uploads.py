"""Uploads of a connection that ends in the middle of one."""

import asyncio
import hashlib
import io
from pathlib import Path

from PIL import Image

from hub.protocol import messages as m
from hub.protocol.session import HubSession, UploadChunk
from hub.sockets.player.uploads import PlayerUploads
from tests.harness import running_hub, settings


async def test_a_picture_whose_connection_ends_while_it_is_stored_is_stored(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (320, 180)).save(out, "PNG")
    data = out.getvalue()
    async with running_hub(settings(tmp_path)) as hub:
        player_id, token = await hub.player()
        async with hub.connected(token):
            connection = hub.registry.get(player_id)
            assert connection is not None
            team_id = connection.team_id
        upload = m.Upload(
            upload=1,
            kind="screenshot",
            mime="image/png",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            captured_at="2026-01-01T00:00:00Z",
            source="simulated",
        )
        desk = PlayerUploads(hub.services.uploads, HubSession(0.0), player_id, team_id, lambda: None)
        await desk.announced(upload)
        await asyncio.gather(desk.chunk(UploadChunk(upload, 0, data, True)), desk.release())
        link = (await hub.client.get(f"/api/v1/players/{player_id}/screenshot")).json()["url"]
        async with hub.as_(None) as anyone:
            assert (await anyone.get(link)).content == data
