"""SQL of the durable path: written once in the language that SQLite and PostgreSQL share, with `:named` parameters.

A *unit* is a generator that yields calls of statements and receives their rows; what it returns is its answer. Units
are pure but for these calls, so a writer may run one again from its start. They run on either database:

    def rename(player_id: int, name: str) -> Unit[bool]:
        rows = yield RENAME(player_id=player_id, name=name)
        return bool(rows)
"""

import re
from collections.abc import Callable, Generator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from sqlmodel import SQLModel

Row = Mapping[str, Any]
Rows = list[Row]

_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)\b")
_UNIT = "unit_number"


class Call(NamedTuple):
    statement: "Statement"
    values: dict[str, Any]


Unit = Generator[Call, Rows, Any]


class Statement:
    """One SQL statement. It either starts with SELECT, or may end with a RETURNING list; called, it makes a `Call`.

    `named` takes the values by name, `sqlite` and `postgres` in the order of `names`. `postgres` takes one more: the
    number of the unit, which comes back with each row, so that rows of many units can be told apart when they travel
    together. `index` is the one by which SQLite shall find commands.
    """

    __slots__ = ("in_order", "named", "names", "postgres", "reads", "returns", "sqlite")

    def __init__(self, text: str, *, index: str | None = None) -> None:
        self.named = " ".join(text.split())
        self.names = tuple(dict.fromkeys(_PARAMETER.findall(self.named)))
        self.in_order = _picker(self.names)
        numbered = _PARAMETER.sub(lambda found: f"${self.names.index(found[1]) + 1}", self.named)
        # By number and not by name: SQLite would look each name up again at every call.
        self.sqlite = _PARAMETER.sub(lambda found: f"?{self.names.index(found[1]) + 1}", self.named)
        if index is not None:
            self.sqlite = self.sqlite.replace("FROM command WHERE", f"FROM command INDEXED BY {index} WHERE")
        tag = f"CAST(${len(self.names) + 1} AS INTEGER) AS {_UNIT}"
        self.reads = numbered.startswith("SELECT ")
        self.returns = self.reads or " RETURNING " in numbered
        if self.reads:
            numbered = f"SELECT {tag}, {numbered.removeprefix('SELECT ')}"
        elif self.returns:
            numbered = f"{numbered}, {tag}"
        self.postgres = numbered

    def __call__(self, **values: Any) -> Call:
        return Call(self, values)

    def arguments(self, values: Mapping[str, Any], unit: int) -> tuple[Any, ...]:
        """The values in PostgreSQL's order, the unit's number last where rows come back."""
        ordered = self.in_order(values)
        return (*ordered, unit) if self.returns else ordered


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Takes the values of these names out of a mapping, in their order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def columns(table: type[SQLModel], *, without: tuple[str, ...] = ()) -> list[str]:
    return [
        column.name
        for column in SQLModel.metadata.tables[str(table.__tablename__)].columns
        if column.name not in without
    ]


def insert_into(table: type[SQLModel], *, without: tuple[str, ...] = (), returning: str | None = None) -> Statement:
    """An INSERT of all columns of the table but `without`, from parameters of the columns' names."""
    names = columns(table, without=without)
    text = f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
    return Statement(f"{text} RETURNING {returning}" if returning else text)
