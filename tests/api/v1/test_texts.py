"""Every text that a call takes is judged by the one rule, and what passes it comes back as it was sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from hub.api.http.endpoint import Endpoint
from hub.app import ENTRIES, openapi_document
from tests.scene import FAR_OFF, put_in
from tests.texts import DIRECTIONS, REAL, UNSEEN
from tests.whole_hub import WholeHub, whole_hub

RULES = {"seen_line", "line", "seen_prose", "prose", "_line"}
OF_A_FORM = {"_email", "_moment", "pattern"}
OTHERWISE = {
    # Looked up, compared, or held to a form of its own by the domain; the last two come from devices of any make.
    "asset_key", "client_id", "code", "code_challenge", "code_challenge_method", "command", "currency",
    "current_password", "decision", "email", "end_date", "end_time", "date", "events", "filename", "from_", "mime_type",
    "pairing_code", "password", "payload", "price", "redirect_uri", "redirect_uris", "response_type", "scope", "scopes",
    "source_url", "start_date", "start_time", "state", "ticket", "timezone", "to", "type", "unit", "url", "value",
    "current_content", "ip_address",
}  # fmt: skip


def leaves(hint: Any, found: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """What is declared of each text in a type."""
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        yield from leaves(inner, (*found, *more))
    elif hint is str:
        yield found
    elif get_origin(hint) is not Literal:
        for each in get_args(hint):
            yield from leaves(each, found)


def rules(field: FieldInfo) -> list[set[str]]:
    told = []
    for declared in leaves(field.annotation, tuple(field.metadata)):
        flat = [one for each in declared for one in (each.metadata if isinstance(each, FieldInfo) else [each])]
        told.append(
            {one.func.__name__ for one in flat if isinstance(one, AfterValidator)}  # type: ignore[attr-defined]
            | {"pattern" for one in flat if getattr(one, "pattern", None)}
        )
    return told


def models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from models(field.annotation)
    for each in get_args(kind):
        yield from models(each)


def test_every_text_of_a_body_is_judged() -> None:
    judged = 0
    for entry in ENTRIES:
        for body in (entry.body, entry.multipart):
            for model in models(body):
                for name, field in model.model_fields.items():
                    for found in rules(field):
                        judged += bool(found & RULES)
                        assert found & (RULES | OF_A_FORM) or name in OTHERWISE, f"{model.__name__}.{name}"
    assert judged > 50
    assert len(CREATING) > 30


def texts_of(entry: Endpoint) -> list[str]:
    """Names of the texts that people write in its body."""
    assert entry.body is not None
    return [name for name, field in entry.body.model_fields.items() if any(each & RULES for each in rules(field))]


CREATING = [entry for entry in ENTRIES if entry.method == "POST" and entry.body is not None and texts_of(entry)]
ELSEWHERE = {
    "/api/v1/players/pair", "/api/devices/pair", "/api/v1/incidents/{incident_id}/resolve", "/oauth/token",
    "/api/v1/incidents/{incident_id}/acknowledge", "/oauth/device_authorization", "/oauth/revoke",
    "/api/device/heartbeat", "/api/v1/assets/upload-url", "/api/auth/register",
}  # fmt: skip
"""They take the same texts, and create nothing by themselves or on another's word only."""
ANOTHER: dict[str, dict[str, Any]] = {
    # What the document's example lacks, or must not say twice.
    "/api/v1/members": {"email": "reader{}@example.com"},
    "/api/v1/holidays": {"date": "20{}-12-24"},
    "/api/v1/releases": {"version_name": "1.{}"},
    "/api/v1/alerts": {"everyone": False, "player_ids": [1], "starts_at": "2099-01-01"},
    "/api/v1/licences": {"key": "ADCAST-TEXT-{}"},
    "/api/v1/schedules": {"targets": []} | FAR_OFF,
    "/api/schedules": {"playlist_id": 1, "schedulable_type": "device", "schedulable_id": 1} | FAR_OFF,
    "/api/device/register": {"license_key": None},
}


def body_of(entry: Endpoint, said: str, number: int, names: dict[str, Any]) -> dict[str, Any]:
    """The document's example with `said` for its texts, and whatever must be said but once told apart by `number`."""
    content = openapi_document()["paths"][entry.template]["post"]["requestBody"]["content"]
    body = put_in(content["application/json"]["example"], names) | dict.fromkeys(texts_of(entry), said)
    extra = ANOTHER.get(entry.template, {})
    return body | {key: value.format(number) if isinstance(value, str) else value for key, value in extra.items()}


def strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for each in value.values() for text in strings(each)}
    if isinstance(value, list):
        return {text for each in value for text in strings(each)}
    return {value} if isinstance(value, str) else set()


@pytest.fixture
async def everybody(tmp_path: Path, database_url: str) -> Any:
    url = "" if database_url.startswith("sqlite") else database_url
    async with whole_hub(tmp_path, url, rate_limits={"enabled": False}) as running:
        yield running


async def set_up(hub: WholeHub) -> tuple[Any, dict[str, Any]]:
    owner = await hub.as_owner()
    names: dict[str, Any] = {}
    for name, path, body in (
        ("player_id", "players", {"name": "x"}),
        ("asset_id", "assets", {"name": "x", "type": "web", "source_url": "https://example.com/"}),
        ("playlist_id", "playlists", {"name": "x"}),
        ("folder_id", "folders", {"name": "x"}),
        ("parent_id", "folders", {"name": "y"}),
        ("group_id", "player-groups", {"name": "x"}),
        ("layout_id", "layouts", {"name": "x"}),
        ("location_id", "locations", {"name": "x", "timezone": "Europe/Berlin"}),
    ):
        made = await owner.post(f"/api/v1/{path}", json=body)
        names[name] = made.json()["data"]["id"]
    return owner, names


async def test_texts_come_back_as_they_were_sent(everybody: WholeHub) -> None:
    owner, names = await set_up(everybody)
    readable = {entry.template for entry in ENTRIES if entry.method == "GET"}
    for entry in CREATING:
        if entry.template in ELSEWHERE:
            continue
        client = owner if entry.needs_auth else everybody.client()
        sent = REAL
        if entry.template == "/api/v1/keys":  # 5 to 36 characters, and no name that a key has already
            sent = [f"{said} here" for said in REAL if len(said) <= 31]
        told = set()
        for number, said in enumerate(sent, 10):
            answer = await client.post(entry.path, json=body_of(entry, said, number, names))
            assert answer.is_success, f"{entry.template} {said!r}: {answer.status_code} {answer.text}"
            if "application/json" in answer.headers["content-type"]:
                told |= strings(answer.json())
        if entry.template in readable:
            told |= strings((await owner.get(entry.template, params={"per_page": 1_000})).json())
        assert set(sent) <= told | (set(sent) if entry.template == "/api/device/register" else set()), entry.template


async def test_what_is_no_text_is_refused_everywhere(everybody: WholeHub) -> None:
    owner, names = await set_up(everybody)
    for entry in CREATING:
        client = owner if entry.needs_auth else everybody.client()
        path = entry.path.replace("{incident_id:int}", "1")
        for field in texts_of(entry):
            assert entry.body is not None
            [rule] = [found & RULES for found in rules(entry.body.model_fields[field])]
            refused = ["a\0b", "a\x1b[31mb", "a\x9bb", "a\u2028b", "a\ufffeb", *(f"a{sign}b" for sign in DIRECTIONS)]
            refused += [] if rule & {"prose", "seen_prose"} else ["a\nb", "a\tb"]
            refused += ["".join(UNSEEN), " \u3000"] if rule & {"seen_line", "seen_prose"} else []
            for said in refused:
                body = body_of(entry, "Lobby", 10, names) | {field: said}
                answer = await client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
                told = f"{entry.template} {field} {said!r}: {answer.status_code} {answer.text}"
                assert answer.status_code in (400, 422), told
                if not entry.template.startswith("/oauth"):
                    assert field in answer.json()["errors"], told


async def test_spaces_and_line_breaks_of_the_keyboard_around_a_text_are_taken_away(everybody: WholeHub) -> None:
    owner, names = await set_up(everybody)
    around, said = "\r\n \t{}\n\t \r\n", 0
    for entry in CREATING:
        if entry.template in ELSEWHERE:
            continue
        assert entry.body is not None
        named = [name for name, field in entry.body.model_fields.items() if "seen_line" in set().union(*rules(field))]
        client = owner if entry.needs_auth else everybody.client()
        told: set[str] = set()
        for number, field in enumerate(named, 60):
            said += 1
            body = body_of(entry, f"Foyer {said}", number, names) | {field: around.format(f"\u3000Here {said}")}
            answer = await client.post(entry.path, json=body)
            assert answer.is_success, f"{entry.template} {field}: {answer.status_code} {answer.text}"
            if "application/json" in answer.headers["content-type"]:
                told |= strings(answer.json())
        assert not [text for text in told if text != text.strip("\r\n\t ")], entry.template
    for name in ("x" * 100, "\u3000Lobby\u00a0"):  # the limit is of what is kept
        made = await owner.post("/api/v1/players", json={"name": around.format(name)})
        assert (made.status_code, made.json()["data"]["name"]) == (201, name)
        changed = await owner.patch(f"/api/v1/players/{names['player_id']}", json={"name": around.format(name)})
        assert (changed.status_code, changed.json()["data"]["name"]) == (200, name)
    assert (await owner.post("/api/v1/players", json={"name": around.format("")})).status_code == 422
    message = " \r\nLeave.\r\n\tNow. \n"
    alert = {"title": "Fire", "message": message, "player_ids": [1], "starts_at": "2099-01-01"}
    assert (await owner.post("/api/v1/alerts", json=alert)).json()["data"]["message"] == "Leave.\r\n\tNow."


async def test_an_address_hides_nothing(everybody: WholeHub) -> None:
    owner = await everybody.as_owner()
    for sign in (*UNSEEN, *DIRECTIONS):
        body = {"name": "Ann", "email": f"an{sign}n@example.com", "role": "viewer"}
        assert (await owner.post("/api/v1/members", json=body)).status_code == 422
