from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.programs import Programs, programs


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs(tmp_path) as started:
        yield started
