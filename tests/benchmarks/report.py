"""What a measurement says: figures of the hub, each beside the same thing done otherwise, some held to a target."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Standing = Literal["target", "goal"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure may be: its `ratio` to the other, or its own `value`, against a limit.

    A `target` holds now; a `goal` is measured now and reached by later work.
    """

    of: Literal["ratio", "value"]
    sign: Literal["<=", ">="]
    limit: float
    standing: Standing = "goal"

    def holds(self, figure: float) -> bool:
        return figure <= self.limit if self.sign == "<=" else figure >= self.limit

    def __str__(self) -> str:
        return f"{'ratio ' if self.of == 'ratio' else ''}{self.sign} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """`value` is the hub's. `other` is what it is measured beside, by `beside`; the ratio is value / other."""

    measurement: str
    what: str
    value: float
    unit: str
    beside: str = ""
    other: float | None = None
    bound: Bound | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.other if self.other else None

    @property
    def missed(self) -> bool:
        if self.bound is None:
            return False
        figure = self.ratio if self.bound.of == "ratio" else self.value
        return figure is None or not self.bound.holds(figure)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return f"{self.bound.standing} {'missed' if self.missed else 'met'}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "verdict": self.verdict}


def missed(rows: Iterable[Row], *, everything: bool) -> list[Row]:
    """The rows that fail a check: missed targets, with `everything` missed goals too."""
    return [row for row in rows if row.missed and row.bound and (everything or row.bound.standing == "target")]


def median(answers: list[dict[str, Any]], figure: Callable[[dict[str, Any]], float]) -> float:
    return statistics.median(map(figure, answers))


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = [("measurement", "what", "hub", "beside", "ratio", "bound", "verdict")]
    for row in rows:
        other = f"{row.beside} {_figure(row.other, row.unit)}" if row.other is not None else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        lines.append(
            (row.measurement, row.what, _figure(row.value, row.unit), other, ratio, str(row.bound or ""), row.verdict)
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(texts)


def _figure(value: float, unit: str) -> str:
    if value >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.3g} {unit}" if value >= 1 else f"{value:.2f} {unit}"
