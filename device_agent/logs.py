"""The last log lines in memory, so that they can be asked for; the disk of a device is not worn out by logging."""

import logging
from collections import deque

LINES = 1000
"""A day of a healthy agent; at 500 characters each, half a megabyte at most."""

LONGEST = 500


class RecentLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=LINES)
        self.setFormatter(LINE_FORMAT)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record)[:LONGEST])
        except Exception:
            self.handleError(record)

    def text(self, lines: int | None = None) -> str:
        """The last `lines` lines, oldest first."""
        kept = list(self._lines)
        return "".join(f"{line}\n" for line in (kept if lines is None else kept[-lines:]))


LINE_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
