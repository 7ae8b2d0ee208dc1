"""What the replays of documents share: `NAME.json` holds, for each call of a document, its answers with what leads to
them. Statuses, bodies and messages are the document's; where it says nothing, they are what we made of it
(`source: proposed`).

`match` exact: this body and no other. `partial`: these keys with values of these types, in an answer that may hold
more; null stands for a value that may be missing. `any`: no JSON. Messages hold to the letter. `sends` is the body to
send instead of the call's own.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

Client = httpx2.AsyncClient
Call = dict[str, Any]

HEADERS = {
    "cache-control": "no-cache, private",
    "content-type": "application/json",
    "x-api-version": "1.2",
    "access-control-allow-origin": "*",
}


def calls(name: str) -> list[Call]:
    found: list[Call] = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    return found


async def send(
    client: Client, call: Call, named: int | str, body: Any, *, file: bytes | None = None, **query: str
) -> httpx2.Response:
    """`named` goes into the path; with a `file` the body is a form."""
    path = re.sub(r"\{[a-z_]+\}", str(named), call["path"])
    params = {**call["query"], **query}
    if file is not None:
        form = {name: str(value) for name, value in body.items() if name != "file"}
        return await client.request(
            call["method"], path, params=params, data=form, files={"file": ("promo.png", file, "image/png")}
        )
    return await client.request(call["method"], path, params=params, json=body)


def assert_answered(answer: httpx2.Response, documented: Mapping[str, Any]) -> None:
    assert answer.status_code == documented["status"], answer.text
    if documented["match"] == "any":
        return
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    if documented["match"] == "exact":
        assert answer.json() == documented["body"]
    else:
        assert_holds(documented["body"], answer.json())


def assert_holds(documented: Any, answered: Any, where: str = "body") -> None:
    if isinstance(documented, dict):
        assert isinstance(answered, dict), where
        for name, value in documented.items():
            assert name in answered, f"{where}.{name}"
            if name == "message":
                assert answered[name] == value
            else:
                assert_holds(value, answered[name], f"{where}.{name}")
    elif isinstance(documented, list):
        assert isinstance(answered, list), where
        assert bool(answered) == bool(documented), where
        pairs = zip(documented, answered, strict=True) if len(documented) == len(answered) else None
        for value, item in pairs or ((documented[0], item) for item in answered):
            assert_holds(value, item, where)
    elif documented is not None:
        assert type(answered) is type(documented), f"{where}: {answered!r}"
