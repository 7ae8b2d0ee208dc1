"""Standard output of the `hub` command, where what cannot be written is an error of its own."""

import io
import os
import sys

STDOUT = 1  # the descriptor


class OutputLost(Exception):
    """Standard output takes nothing: its disk is full, its reader gone (`is_unread`), or it was closed from the
    start."""

    def __init__(self, error: OSError) -> None:
        self.is_unread = isinstance(error, BrokenPipeError)
        super().__init__(f"Nothing can be written to standard output: {error.strerror}.")


class Output(io.TextIOWrapper):
    """Raises OutputLost, once: what follows it goes nowhere. What the encoding has no character for is written as
    `\\u001b`."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise self._lost(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: OSError) -> OutputLost:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)
        return OutputLost(error)


def take_output() -> None:
    """Have `sys.stdout` as an Output, and no file of the hub's with the number of a standard stream that was closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest number, this one; to write there fails
    sys.stdout = Output(
        os.fdopen(STDOUT, "wb", closefd=False),
        encoding=sys.stdout.encoding if sys.stdout is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=os.isatty(STDOUT),
    )
