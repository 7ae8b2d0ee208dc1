"""Whatever is wrong with a body, a query or a command's payload is told in the same words."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from hub.api import reading
from hub.app import ENTRIES
from hub.domain.commands import CATALOGUE, check_payload
from hub.domain.errors import Invalid

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
                assert text[0].isupper(), text
                assert text.endswith("."), text
                assert "is not valid" not in text, text


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_a_wrong_field_of_a_call(model: type[BaseModel]) -> None:
    holds_its_voice(model, lambda values: reading.validated(model, values))


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
