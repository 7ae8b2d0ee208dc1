"""The kit as a process."""

import json
from typing import Any

from tests.end_to_end.programs import Program

REPORT_S = 110.0  # for all transcripts, on a machine that has other work


async def end_with_report(kit: Program) -> tuple[int, dict[str, Any]]:
    """The exit status and the report, which is the last line."""
    found = await kit.line(r"^(\{.*\}|Traceback.*)$", REPORT_S)
    assert found[1].startswith("{"), kit.text()
    status = await kit.end()
    report: dict[str, Any] = json.loads(found[1])
    return status, report
