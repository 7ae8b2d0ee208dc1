"""Versions of the player software: which of two is the newer, as people number them."""

import re
from typing import Final

_PARTS = re.compile(r"\d+|[a-z]+")
_ANNOUNCING: Final = (("dev", "snapshot"), ("a", "alpha"), ("b", "beta"), ("pre", "preview"), ("c", "rc"))
_BEFORE: Final = {word: place for place, words in enumerate(_ANNOUNCING) for word in words}
"""Words that announce a version, in the order in which they come."""

Order = tuple[tuple[int, int, str], ...]


def order(version: str) -> Order:
    """Sorts versions: `1.9` < `1.10-rc1` < `1.10` = `v1.10.0` < `1.10-lite` < `1.10.1`.

    What follows a `+` names a build and does not count. Any text has a place, so that a list can always be sorted.
    """
    text = version.strip().lower().partition("+")[0]
    parts = _PARTS.findall(re.sub(r"^v(?=\d)", "", text))
    placed: list[tuple[int, int, str]] = []
    for part in parts:
        if part.isdigit():
            placed.append((3, int(part), ""))
            continue
        _drop_zeros(placed)
        # They come before the end of the version's number, other words after it.
        placed.append((0, _BEFORE[part], "") if part in _BEFORE else (2, 0, part))
    _drop_zeros(placed)
    return (*placed, (1, 0, ""))


def _drop_zeros(placed: list[tuple[int, int, str]]) -> None:
    """`2.0` is `2`."""
    while placed and placed[-1] == (3, 0, ""):
        placed.pop()
