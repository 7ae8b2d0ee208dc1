"""The columns that tables are made of. Times are integers (Unix ms), JSON is text that the hub wrote itself."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text, text
from sqlmodel import Field

# SQLite numbers rows by itself only for INTEGER, PostgreSQL wants the width said.
Id = BigInteger().with_variant(Integer(), "sqlite")


def key() -> Any:
    """The table's own number."""
    return Field(default=None, sa_column=Column(Id, primary_key=True, autoincrement=True))


def key_of(target: str) -> Any:
    """A part of the primary key that is another table's number; the row goes with the other one."""
    return Field(sa_column=Column(Id, ForeignKey(target, ondelete="CASCADE"), primary_key=True))


def ref(target: str, *, index: bool = False, nullable: bool = False, cascade: bool = True) -> Any:
    """Another table's number; the row goes with the other one, or forgets it when `cascade` is off."""
    reference = ForeignKey(target, ondelete="CASCADE" if cascade else "SET NULL")
    column: Column[int] = Column(Id, reference, index=index, nullable=nullable)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def number(*, index: bool = False) -> Any:
    """Another table's number that is not held to it."""
    return Field(sa_column=Column(Id, nullable=False, index=index))


def maybe_number(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Id, nullable=True, index=index))


def time(*, index: bool = False) -> Any:
    return Field(sa_column=Column(BigInteger, nullable=False, index=index))


def maybe_time(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(BigInteger, nullable=True, index=index))


def json(default: str | None = "{}") -> Any:
    return Field(default=default, sa_column=Column(Text, nullable=default is None))


def long_text(*, nullable: bool = False) -> Any:
    return Field(default=None if nullable else "", sa_column=Column(Text, nullable=nullable))


def index_where(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that a condition picks."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
