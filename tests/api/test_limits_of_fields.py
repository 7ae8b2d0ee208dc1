"""Every number and list that a call takes has limits: each without is a way to a fault of ours."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from hub.app import ENTRIES


def unbounded(model: type[BaseModel]) -> list[str]:
    """Where `model` takes an integer without both limits or a list without a length."""
    return sorted(set(_unbounded(model.model_json_schema(), model.__name__)))


def _unbounded(schema: Any, where: str) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _unbounded(item, where)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "integer" and not (
        schema.keys() & {"enum", "const"}
        or (schema.keys() & {"minimum", "exclusiveMinimum"} and schema.keys() & {"maximum", "exclusiveMaximum"})
    ):
        yield where
    if kind == "array" and "maxItems" not in schema:
        yield where
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            for name, inner in value.items():
                yield from _unbounded(inner, name if key == "$defs" else f"{where}.{name}")
        elif key not in ("default", "examples", "const", "enum"):
            yield from _unbounded(value, where)


class Unbounded(BaseModel):
    count: int
    least: int = Field(ge=0)
    names: list[str]
    page: int = Field(1, ge=1, le=100)


def test_a_field_without_limits_is_found() -> None:
    assert unbounded(Unbounded) == ["Unbounded.count", "Unbounded.least", "Unbounded.names"]


def test_what_calls_take_has_limits() -> None:
    models = {model for entry in ENTRIES for model in (entry.body, entry.query, entry.multipart) if model is not None}
    assert sorted(place for model in models for place in unbounded(model)) == []
