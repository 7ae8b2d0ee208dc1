"""Statements compiled once a process, not once for each of the thousands of databases that tests open."""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

CAPACITY = 5_000  # statements of both databases; a tenth of it is used


class Compiled(LRUCache[Any, Any]):
    """SQLAlchemy's cache of an engine, for all engines: its keys begin with the engine's dialect, ours with the name of
    that."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_shared(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_shared(key), value)


def _shared(key: Any) -> Any:
    dialect, *rest = key
    return (dialect.name, dialect.driver, *rest)


def share_compiled_statements() -> None:
    """In this process, from now on."""
    compiled = Compiled(CAPACITY)

    @event.listens_for(Engine, "engine_connect")
    def connected(connection: Connection) -> None:
        connection.engine._compiled_cache = compiled
