"""Whatever is wrong with a body, a query or a command's payload is told in the same words."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hub.api.http import requests
from hub.app import ENTRIES
from hub.domain import wording
from hub.domain.commands import CATALOGUE, check_payload
from hub.domain.errors import Invalid

ROOT = Path(__file__).parents[2]
WRONG: tuple[Any, ...] = (
    None, "", "zz", "x" * 100_000, "\u202e", "2026-99-99", "ftp://x", -1, 10**12, 1.5, True,
    [], ["zz"], [1.5], [None], [{}], [{"zz": 1}], {}, {"a": 1},
)  # fmt: skip
MODELS = dict.fromkeys(model for entry in ENTRIES for model in (entry.body, entry.query) if model is not None)


def spoiled(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """The model's example with one field wrong, for each field and each way."""
    example = (model.model_json_schema().get("examples") or [{}])[0]
    for name in [*(field.alias or name for name, field in model.model_fields.items()), "no_such"]:
        for value in WRONG:
            yield {**example, name: value}


def refusals(model: type[BaseModel], check: Callable[[dict[str, Any]], Any]) -> Iterator[Invalid]:
    for values in spoiled(model):
        try:
            check(values)
        except Invalid as refusal:
            yield refusal


def holds_its_voice(model: type[BaseModel], check: Callable[[dict[str, Any]], Any], within: str = "") -> None:
    fields = {field.alias or name for name, field in model.model_fields.items()} | {"no_such"}
    for refusal in refusals(model, check):
        assert (refusal.message, refusal.code) == (Invalid.message, Invalid.code)
        assert refusal.errors
        for name, texts in refusal.errors.items():
            # A field by its own name and place: nothing of the library that checks.
            head, *rest = name.removeprefix(within).split(".")
            assert head in fields | {"body", within.rstrip(".")}, name
            assert all(part.replace("_", "").isalnum() for part in rest), name
            for text in texts:
                assert text.startswith("The body " if name == "body" else f"The {name} field "), text
                assert text.endswith("."), text
                assert not text.endswith(".."), text
                assert "is not valid" not in text, text


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_a_wrong_field_of_a_call(model: type[BaseModel]) -> None:
    holds_its_voice(model, lambda values: requests.validated(model, values))


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_wrong_field_of_a_payload(name: str) -> None:
    spec = CATALOGUE[name]
    holds_its_voice(spec.payload, lambda values: check_payload(spec, values), "payload.")


def test_a_payload_is_told_as_a_body_is() -> None:
    with pytest.raises(Invalid) as refusal:
        check_payload(CATALOGUE["set_volume"], {"volume": "loud", "mute": True})
    assert refusal.value.errors == {
        "payload.volume": ["The payload.volume field must be a whole number."],
        "payload.mute": ["The payload.mute field is not known here."],
    }


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """What is said of wrong fields in a module: where, and how the sentence goes on after "The ... field"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Invalid.field" and len(node.args) > 1:
            what = node.args[1]
            first = what.values[0] if isinstance(what, ast.JoinedStr) and what.values else what
            last = what.values[-1] if isinstance(what, ast.JoinedStr) and what.values else what
            for part in (first, last):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield f"{path}:{node.lineno}", part.value


def test_what_services_and_rules_find_wrong_is_told_as_what_a_body_lacks() -> None:
    told = [found for path in (ROOT / "hub").rglob("*.py") for found in texts(path)]
    assert len(told) > 80
    for where, text in told:
        assert not text[:1].isupper(), f"{where}: {text}"
        assert not text.endswith("."), f"{where}: {text}"


def test_a_list_of_unknown_things_is_told_in_one_sentence() -> None:
    assert wording.unknown("asset_id", "asset").errors == {"asset_id": ["The asset_id field names an unknown asset."]}
    several = wording.unknown("player_ids", "player", [7, 8]).errors
    assert several == {"player_ids": ["The player_ids field names unknown players: 7, 8."]}
    [[many]] = (wording.unknown("player_ids", "player", range(500)).errors or {}).values()
    assert many.endswith("7, 8, 9 and more.")
