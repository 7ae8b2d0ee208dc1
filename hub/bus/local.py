"""The bus of a hub that is one process: plain calls."""

import logging
from collections.abc import Callable
from typing import Any

from hub.bus.base import Listener, Topic

log = logging.getLogger(__name__)


class LocalBus:
    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Listener]] = {}

    def publish(self, topic: Topic, message: Any = None) -> None:
        for heard in (topic, (topic[0], None)) if topic[1] is not None else (topic,):
            for listener in tuple(self._listeners.get(heard, ())):
                try:
                    listener(message)
                except Exception:
                    log.exception("a listener of %s failed", topic[0])

    def subscribe(self, topic: Topic, listener: Listener) -> Callable[[], None]:
        self._listeners.setdefault(topic, []).append(listener)

        def end() -> None:
            listeners = self._listeners.get(topic, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(topic, None)

        return end
