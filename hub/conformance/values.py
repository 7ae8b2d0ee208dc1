"""Words of a transcript that stand for something else: `$name` for what was said before, `$in 60` for a time."""

import secrets
from collections.abc import Callable, Mapping

from hub.conformance.transcript import Json
from hub.protocol.times import write_time


def plain(value: object) -> object:
    """JSON as the protocol reads it: 5.0 is 5."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Values:
    """What the names of one transcript stand for; `now` tells the hub's clock (Unix milliseconds)."""

    def __init__(self, now: Callable[[], int], **known: object) -> None:
        self._now = now
        self._known: dict[str, object] = dict(known)

    def get(self, name: str, otherwise: object = None) -> object:
        return self._known.get(name, otherwise)

    def __setitem__(self, name: str, value: object) -> None:
        self._known[name] = value

    def fill(self, value: object) -> object:
        """For saying: each name's value; one that stands for nothing yet becomes a new id."""
        if isinstance(value, Mapping):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        if value.startswith("$in "):
            return write_time(self._now() + int(float(value.removeprefix("$in ")) * 1000))
        return self._known.setdefault(value[1:], f"kit-{secrets.token_hex(5)}")

    def filled(self, message: Json) -> dict[str, object]:
        """`fill` of an object."""
        return {key: self.fill(one) for key, one in message.items()}

    def matches(self, pattern: object, value: object) -> bool:
        """Whether something heard is what a line asks for: fields that it does not name are free. A name that stands
        for nothing yet stands for what was heard, if all the rest agrees."""
        found: dict[str, object] = {}
        if not self._agree(pattern, value, found):
            return False
        self._known.update(found)
        return True

    def _agree(self, pattern: object, value: object, found: dict[str, object]) -> bool:
        if isinstance(pattern, Mapping):
            if pattern.keys() == {"one_of"}:
                choices = pattern["one_of"]
                return isinstance(choices, list) and any(self._agree(choice, value, found) for choice in choices)
            if pattern.keys() == {"above"}:
                return isinstance(value, int | float) and value > float(pattern["above"])
            if not isinstance(value, Mapping):
                return False
            return all(self._agree(one, value.get(key), found) for key, one in pattern.items())
        if isinstance(pattern, list):
            if not isinstance(value, list) or len(pattern) > len(value):
                return False
            return all(any(self._agree(one, each, found) for each in value) for one in pattern)
        if not isinstance(pattern, str) or not pattern.startswith("$"):
            return pattern == value and type(pattern) is type(value)
        name = pattern[1:]
        if name == "any":
            return value is not None
        if name not in self._known and name not in found:
            if value is None:
                return False
            found[name] = value
        return self._known.get(name, found.get(name)) == value
