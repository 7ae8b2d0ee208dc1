from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.whole_hub import WholeHub, whole_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WholeHub]:
    async with whole_hub(tmp_path, accounts={"open_registration": True}) as running:
        yield running


@pytest.fixture
async def owner(hub: WholeHub) -> httpx2.AsyncClient:
    return await hub.as_owner()


@pytest.fixture
async def stranger(hub: WholeHub) -> httpx2.AsyncClient:
    return await hub.as_stranger()


@pytest.fixture
def nobody(hub: WholeHub) -> httpx2.AsyncClient:
    return hub.client()


@pytest.fixture
async def player(owner: httpx2.AsyncClient) -> int:
    """The id of a player of the owner's team."""
    answer = await owner.post("/api/v1/players", json={"name": "Lobby Display"})
    number: int = answer.json()["data"]["id"]
    return number
