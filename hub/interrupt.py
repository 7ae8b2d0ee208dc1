"""Ctrl-C while a program loads its modules, of which the larger ones take most of a second."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a program that Ctrl-C ended, as a shell has it."""


@contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Within, SIGINT ends the process at once with INTERRUPTED and without a word; for imports alone, which leave
    nothing behind. An exception would not do: where it meets the import system's own callbacks it is printed and lost.
    In the main thread only. A SIGINT that is ignored, or handled by somebody else, is left so."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
