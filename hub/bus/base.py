"""Who needs to hear. The bus carries wake-ups and nothing else.

Guarantee: a message reaches every subscriber of its topic that is there when it is published, or it is lost. Whoever
depends on a fact reads it from the database: on subscribing, and again now and then. A lost message costs time, never
a command.
"""

from collections.abc import Callable
from typing import Any, Protocol

Topic = tuple[str, Any]
"""A kind and a subject: ("player", 17), ("command", "cmd_01J..."), ("events", 3) for the team whose log has grown. Who
listens to a kind with the subject None hears of every subject."""

Listener = Callable[[Any], None]
"""Called with the message, in the event loop; must not block and must not raise."""


class Bus(Protocol):
    def publish(self, topic: Topic, message: Any = None) -> None: ...

    def subscribe(self, topic: Topic, listener: Listener) -> Callable[[], None]:
        """Listen from now on; the answer ends it."""
        ...
