"""The manual and the API reference: what they say is so, their links lead somewhere, they need nothing but the hub."""

import json
import re
from collections.abc import AsyncIterator, Iterable
from html.parser import HTMLParser
from typing import Any, get_args

import httpx2
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from starlette.applications import Starlette

from device_agent.players.mpv import MpvPlayer
from hub.api.docs import manual
from hub.api.v1.devices.answers import Delivery
from hub.app import ENTRIES, openapi_document
from hub.config import Settings
from hub.domain.access import SCOPES
from hub.domain.commands import CATALOGUE, MAX_TTL_S, STATES, lookup
from hub.domain.content import AssetType
from hub.domain.errors import HubError
from hub.domain.events import TYPES
from hub.domain.quotas import QUOTAS
from hub.metrics import Metrics
from hub.protocol.closecodes import REACTIONS, CloseCode

DOCUMENT = openapi_document()
CALL = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`? ]*)[^`]*`")


class Page(HTMLParser):
    """What a page refers to, and what may be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.tags: set[str] = set()
        self.styled = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.styled |= "style" in found or any(name.startswith("on") for name in found)
        if tag == "a":
            self.links.append(found["href"] or "")
        elif found.get("href") or found.get("src"):
            self.loads.append(found.get("href") or found["src"] or "")
        if "id" in found:
            self.anchors.append(found["id"] or "")


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=manual.routes(openapi_document))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://hub") as connected:
        yield connected


async def test_every_page_is_served_whole_and_all_links_lead_somewhere(client):
    addresses = ["/docs", "/docs/api", *(f"/docs/{name}" for name in manual.PAGES if name != "index")]
    pages = {}
    for address in addresses:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src" not in answer.headers["content-security-policy"]
        pages[address] = Page(answer.text)
    for address, page in pages.items():
        assert page.loads == ["/docs/manual.css"]
        assert not page.styled
        assert not page.tags & {"script", "style", "img", "iframe", "form"}
        assert len(page.anchors) == len(set(page.anchors)), address
        for link in page.links:
            target, _, anchor = link.partition("#")
            if target.startswith("https://") or target == "/openapi.json":
                continue
            assert (target or address) in pages, f"{address}: {link}"
            assert not anchor or anchor in pages[target or address].anchors, f"{address}: {link}"
    assert (await client.get("/docs/manual.css")).headers["content-type"].startswith("text/css")
    for unknown in ("nothing", "..%2fconfig", "index.md"):
        assert (await client.get(f"/docs/{unknown}")).status_code == 404


async def test_the_reference_has_every_public_call_with_its_fields_and_examples(client):
    text = (await client.get("/docs/api")).text
    anchors = set(Page(text).anchors)
    for methods in DOCUMENT["paths"].values():
        assert {operation["operationId"] for operation in methods.values()} <= anchors
    assert "<code>items[].asset_id</code>" in text
    assert "read:players" in text


def test_the_document_is_valid_and_so_is_every_example_in_it():
    validate(DOCUMENT)
    faults = []
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert operation["tags"], path
            for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
                for kind, media in holder.get("content", {}).items():
                    if "json" not in kind:
                        continue
                    judge = Draft202012Validator({**media["schema"], "components": DOCUMENT["components"]})
                    wrong = judge.iter_errors(media["example"])
                    faults += [f"{method} {path}: {fault.json_path}: {fault.message}" for fault in wrong]
    assert not faults


def test_every_call_that_a_page_names_exists():
    served = {(entry.method, re.sub(r"\{\w+\}", "{}", entry.template)) for entry in ENTRIES}
    unknown = []
    for name in manual.PAGES:
        for method, path in CALL.findall(manual.source(name)):
            if not path.startswith(("/ws/", "/docs")) and (method, re.sub(r"\{\w+\}", "{}", path)) not in served:
                unknown.append(f"{name}.md: {method} {path}")
    assert not unknown


def test_each_of_the_114_features_leads_somewhere():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", manual.source("features"), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 115))
    for number, _, where in rows:
        assert CALL.search(where) or re.search(r"\]\([a-z-]+\.md", where), number


def test_the_pages_name_every_command_scope_error_event_and_metric():
    def missing(page: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if f"`{name}`" not in manual.source(page)]

    assert not missing("players", [*CATALOGUE, *STATES])
    assert not missing("calling", SCOPES)
    assert not missing("limits", QUOTAS)
    statuses = {error.status for error in HubError.__subclasses__()}
    assert not [
        status for status in statuses if not re.search(rf"^\| [^|]*\b{status}\b", manual.source("calling"), re.M)
    ]
    assert not missing(
        "operations", [family.name for family in Metrics().registry.collect() if "signalbox" in family.name]
    )
    told = set()
    for row in re.findall(r"^\| [^|]+ \| (`[a-z]+\.[a-z].*) \|$", manual.source("webhooks"), re.MULTILINE):
        noun = ""
        for word in re.findall(r"`([a-z.]+)`", row):
            noun = word.partition(".")[0] or noun
            told.add(f"{noun}.{word.partition('.')[2]}")
    assert told == set(TYPES)


def cells(page: str, section: str) -> list[list[str]]:
    """The rows of the tables between two headings, without their heads."""
    text = re.split(r"^#+ ", manual.source(page).partition(f"\n{section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in found if not row[0].startswith("---")]


def span(seconds: int) -> str:
    """In the words of the manual."""
    for unit, length in (("day", 86_400), ("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def test_the_page_of_players_tells_the_payload_and_the_times_of_each_command() -> None:
    rows = {row[0].strip("`"): row[1:] for row in cells("players", "## Commands") if len(row) == 5}
    del rows["command"]
    assert set(rows) == {*CATALOGUE, "custom:NAME"}
    for name, (payload, waits, takes, _) in rows.items():
        spec = lookup(name.lower())
        assert re.findall(r"`(\w+)`", payload) == list(spec.payload.model_fields), name
        assert (waits, takes) == (span(spec.start_within_s), span(spec.finish_within_s)), name
    assert f"`ttl_s`, 1 to {MAX_TTL_S:,} seconds" in manual.source("players")
    assert f"asks every {REACTIONS[CloseCode.QUARANTINED].delay_s:g} s" in manual.source("players")


def test_the_page_of_content_tells_what_mpv_shows() -> None:
    types = {"yes": set[str](), "no": set[str]()}
    for kinds, shown in cells("content", "## What the mpv player can show"):
        if shown.startswith(("yes", "no:")):
            types[shown.partition(":")[0]].update(re.findall(r"`(\w+)`", kinds))
    assert types["yes"] == MpvPlayer.content_types
    assert types["no"] == set(get_args(AssetType)) - MpvPlayer.content_types


def test_the_page_of_webhooks_lists_the_states_of_a_delivery() -> None:
    states = {row[0].strip("`") for row in cells("webhooks", "## Looking after a receiver") if len(row) == 2}
    assert states >= set(get_args(Delivery.model_fields["state"].annotation))


def settings_reference() -> str:
    """Every setting with its default and its reason, as operations.md has it."""
    parts = []
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            continue
        rows = [
            f"| `{key}` | {_default(setting.get_default(call_default_factory=True))} | {setting.description} |"
            for key, setting in group.model_fields.items()
        ]
        parts.append("\n".join([f"### {name}", "", "| setting | default | what it is |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _default(value: Any) -> str:
    """JSON with spaces, at which its line may end."""
    return "" if value in (None, "") else f"`{json.dumps(to_jsonable_python(value), ensure_ascii=False)}`"


def test_the_page_of_operations_names_every_setting_as_it_is():
    assert manual.source("operations").partition("## All settings\n\n")[2] == settings_reference(), (
        "run python -m tests.api.docs.test_manual, which writes the end of operations.md anew"
    )


if __name__ == "__main__":  # python -m tests.api.docs.test_manual: write it anew
    head, mark, _ = manual.source("operations").partition("## All settings\n\n")
    (manual.FOLDER / "operations.md").write_text(head + mark + settings_reference(), "utf-8")


async def test_a_browser_finds_a_start_page_and_a_program_none(client) -> None:
    answer = await client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.links == ["/pair", "/docs", "/docs/api"]
    assert page.loads == ["/docs/manual.css"]
    assert not page.styled
    assert "script" not in page.tags
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await client.get("/")).json() == {"message": "Not found.", "code": "not_found"}


def test_every_answer_without_data_is_named_and_no_other():
    """But for deletions, which answer a message, and Hangar's calls, which the page names as a whole."""
    bare = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if not path.startswith("/api/v1") or any(tag.startswith("Hangar") for tag in operation["tags"]):
                continue
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if schema and status.startswith("2"):
                    if "$ref" in schema:
                        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                    if "data" not in schema["properties"] and schema["properties"].keys() != {"message"}:
                        bare.add((method.upper(), path))
    section = manual.source("calling").partition("### Answers without `data`")[2].partition("\n## ")[0]
    assert bare == set(CALL.findall(section))
