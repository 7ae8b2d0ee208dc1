"""What others wrote, in the lines of a log and on a terminal."""

import logging
import sys

from device_agent.reports.logs import LINE_FORMAT, RecentLines
from tests.texts import REAL


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.ERROR, __file__, 1, message, values, None)


def test_nobody_writes_a_line_of_their_own() -> None:
    recent = RecentLines()
    recent.handle(record("playing %s", "a\n2026-01-01 ERROR x: forged\r\x1b[2J\x9b\u202e"))
    assert recent.text().count("\n") == 1
    assert recent.text().endswith("playing a\\u000a2026-01-01 ERROR x: forged\\u000d\\u001b[2J\\u009b\\u202e\n")
    for text in REAL:
        assert LINE_FORMAT.format(record("%s", text)).endswith(f"x: {text}")


def test_a_traceback_keeps_its_lines() -> None:
    broken = record("broken")
    try:
        raise ValueError("a\x1b[2J")
    except ValueError:
        broken.exc_info = sys.exc_info()
    lines = LINE_FORMAT.format(broken).split("\n")
    assert len(lines) > 3
    assert lines[-1] == "ValueError: a\\u001b[2J"
