from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

Client = httpx2.AsyncClient
Make = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def make(owner: Client) -> Make:
    """Creates one of the owner's things: `await make("playlists", name="News")`."""

    async def made(noun: str, **body: Any) -> dict[str, Any]:
        answer = await owner.post(f"/api/v1/{noun}", json=body)
        assert answer.status_code == 201, answer.text
        thing: dict[str, Any] = answer.json()["data"]
        assert answer.headers["location"] == f"/api/v1/{noun}/{thing['id']}"
        return thing

    return made
