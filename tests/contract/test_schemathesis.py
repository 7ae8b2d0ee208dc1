"""Every public call against requests that schemathesis makes up from the OpenAPI document, right and wrong ones: no
fault of the hub, no answer that the document does not have.

`HUB_TEST_EXAMPLES=200 pytest tests/contract/test_schemathesis.py` looks longer.
"""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.app import ENTRIES, openapi_document
from tests.scene import Scene, set_scene
from tests.whole_hub import whole_hub

EXAMPLES = int(os.environ.get("HUB_TEST_EXAMPLES", "3"))  # of each kind and call: less than a minute in all
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SETTINGS = settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PLENTY = UNKNOWN = 1_000_000
UNPACED = dict.fromkeys(
    ["standard", "standard_burst", "token", "player", "signed", "signed_burst", "hangar", "hangar_burst", "read",
     "read_burst", "write", "write_burst", "upload", "upload_burst"],
    PLENTY,
)  # fmt: skip


class Explorer:
    """Sends cases and keeps what was wrong: one line for each kind of fault of a call."""

    def __init__(self, url: str, key: str, player_token: str, scene: Scene) -> None:
        self.url = url
        self.names = scene.names
        self.faults: dict[str, str] = {}
        self.answered: Counter[int] = Counter()
        self._session = requests.Session()
        self._key, self._player_token = key, player_token

    def explore(self, document: dict[str, Any]) -> None:
        with self._session:
            self._explore(document)

    def _explore(self, document: dict[str, Any]) -> None:
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = found.ok()
            security = operation.definition.raw["security"]
            token = self._player_token if security == [{"player": []}] else self._key
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                self.attempt(operation.as_strategy(generation_mode=mode), token)

    def attempt(self, cases: SearchStrategy[Case], token: str) -> None:
        @seed(1)
        @SETTINGS
        @given(cases)
        def send(case: Case) -> None:
            self.send(case, token)

        with suppress(Unsatisfiable):  # a call without parameters has no wrong ones
            send()

    def send(self, case: Case, token: str) -> None:
        self.aim(case)
        if isinstance(case.body, str):  # `requests` would count its bytes as UTF-8 and send them as Latin-1
            case.body = case.body.encode()
        headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=0"}
        response = case.call(base_url=self.url, headers=headers, session=self._session, allow_redirects=False)
        self.answered[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS, headers=headers)
        except FailureGroup as group:
            for failure in group.exceptions:
                where = f"{case.operation.label} {response.status_code} {type(failure).__name__}"
                self.faults.setdefault(where, f"{where}: {failure}")

    def aim(self, case: Case) -> None:
        """Every other id in a path becomes what the team really has, but not where it would be lost; the rest become
        what nobody has, lest somebody lock the owner out."""
        lost = case.operation.label.startswith("DELETE") or case.path.endswith("/rotate")
        for name, value in case.path_parameters.items():
            if isinstance(value, int) and (lost or value % 2):
                case.path_parameters[name] = UNKNOWN + value % UNKNOWN
            elif name in self.names and not lost:
                case.path_parameters[name] = self.names[name]


# The hub in the other thread draws random numbers while examples are made; hypothesis takes them for its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.timeout(300 + 60 * EXAMPLES)
async def test_no_request_is_answered_otherwise_than_the_document_says(tmp_path: Path) -> None:
    async with (
        whole_hub(tmp_path, rate_limits=UNPACED, accounts={"open_registration": True}) as hub,
        hub.served() as url,
    ):
        owner = await hub.as_owner()
        scene = await set_scene(hub, owner)
        await hub.connect(scene.player_id)
        token = await hub.services.players.issue_token(hub.owner, scene.player_id, face="signalbox")
        key = owner.headers["authorization"].removeprefix("Bearer ")
        explorer = Explorer(url, key, token, scene)
        document = openapi_document()
        await asyncio.to_thread(explorer.explore, document)
    assert not explorer.faults, "\n\n".join(explorer.faults.values())
    assert explorer.answered[200] > len(ENTRIES), explorer.answered  # it got somewhere
