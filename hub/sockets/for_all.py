"""What is done for one connection after another, of which one that fails must not keep the others from theirs."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)


class Connection(Protocol):
    def abort(self) -> None:
        """End now, without a word."""
        ...


C = TypeVar("C", bound=Connection)


def for_all(connections: Iterable[C], do: Callable[[C], None]) -> None:
    """A connection for which it fails ends: its device or operator connects again, with everything as it is stored."""
    for connection in tuple(connections):
        try:
            do(connection)
        except Exception:
            log.exception("a connection cannot be looked after, and ends")
            connection.abort()
