"""Whether a database has the tables that its revision promises. One that was made by something else than a released
version (a commit between two, a hand) would fail later, at the first statement that finds a column missing."""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, UniqueConstraint, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlmodel import SQLModel

import hub.store.tables  # noqa: F401  (fills the metadata)

_SAME = {"FLOAT": "DOUBLE PRECISION"}  # two names of one type


def difference(connection: Connection) -> str | None:
    """The first thing that is not as the tables of this version say, on one line; None where nothing is. What is there
    beside and hinders nobody (an index, a column that may be empty, a table) is no difference."""
    return next(_differences(connection), None)


def _differences(connection: Connection) -> Iterator[str]:
    found = inspect(connection)
    columns = found.get_multi_columns()
    keys = found.get_multi_pk_constraint()
    indexes = found.get_multi_indexes()
    uniques = found.get_multi_unique_constraints()
    foreign = found.get_multi_foreign_keys()
    for name, table in SQLModel.metadata.tables.items():
        place = (None, name)
        if place not in columns:
            yield f"there is no table {name}"
            continue
        yield from _columns(connection, table, columns[place])
        key = [column.name for column in table.primary_key.columns]
        if (is_key := keys[place]["constrained_columns"]) != key:
            yield f"the primary key of the table {name} is ({', '.join(is_key)}), not ({', '.join(key)})"
        there = {(one["name"], tuple(one["column_names"]), bool(one["unique"])) for one in indexes[place]}
        for index in table.indexes:
            if (index.name, tuple(column.name for column in index.columns), bool(index.unique)) not in there:
                yield f"the table {name} has no index {index.name} as it should be"
        only_once = {tuple(column.name for column in one.columns) for one in _uniques(table)}
        is_only_once = {tuple(one["column_names"]) for one in uniques[place]}
        for columns_of in sorted(only_once ^ is_only_once):
            what = "does not hold" if columns_of in only_once else "holds"
            yield f"the table {name} {what} ({', '.join(columns_of)}) to be unique"
        refers = {(tuple(one.column_keys), one.referred_table.name) for one in table.foreign_key_constraints}
        is_refers = {(tuple(one["constrained_columns"]), one["referred_table"]) for one in foreign[place]}
        for columns_of, other in sorted(refers ^ is_refers):
            what = "does not refer" if (columns_of, other) in refers else "refers"
            yield f"the table {name} {what} to the table {other} by ({', '.join(columns_of)})"


def _columns(connection: Connection, table: Table, found: list[ReflectedColumn]) -> Iterator[str]:
    there = {column["name"]: column for column in found}
    for column in table.columns:
        is_column = there.pop(column.name, None)
        if is_column is None:
            yield f"the table {table.name} has no column {column.name}"
            continue
        wanted = column.type.compile(connection.dialect)
        is_type = is_column["type"].compile(connection.dialect)
        if _SAME.get(is_type, is_type) != _SAME.get(wanted, wanted):
            yield f"the column {column.name} of the table {table.name} is {is_type}, not {wanted}"
        if bool(is_column["nullable"]) != bool(column.nullable):
            may = "may not" if column.nullable else "may"
            yield f"the column {column.name} of the table {table.name} {may} be empty"
    for name, more in there.items():
        if not more["nullable"] and more.get("default") is None:
            yield f"the table {table.name} has a column {name} that is to be filled, and nothing fills it"


def _uniques(table: Table) -> Iterator[UniqueConstraint]:
    return (one for one in table.constraints if isinstance(one, UniqueConstraint))
