import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.stage import Nursery, nursery
from tests.faults.storm import Template, make_template


@pytest.fixture(scope="session")
def born() -> Iterator[Nursery]:
    """Where the processes of these tests come from."""
    with nursery() as process:
        yield process


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A data folder with a team and two players, to be copied."""
    return asyncio.run(make_template(tmp_path_factory.mktemp("template")))
