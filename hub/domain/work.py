"""Long calculations that can be laid down and taken up again: generators that yield whenever others may have a turn,
each stretch between two yields being some milliseconds at most, and return what was worked out."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Work = Generator[None, None, T]
