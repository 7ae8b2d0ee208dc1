"""What the kit has found, for people line by line as it comes, and for machines at the end."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hub.conformance.page import Fault
from hub.conformance.transcript import Role
from hub.conformance.trial import Verdict
from hub.domain.text import for_terminal

NAME_WIDTH = 20


@dataclass(slots=True)
class Report:
    """`tests` is who is under test. As JSON, what people read goes to standard error."""

    tests: Role
    as_json: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    interrupted: bool = False

    def line(self, text: str) -> None:
        """Something to know beforehand."""
        print(for_terminal(text, keep="\n"), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def add(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        why = f" ({verdict.why})" if verdict.why else ""
        outcome = verdict.outcome.upper() if verdict.outcome == "failed" else verdict.outcome
        self.line(f"{verdict.transcript.name:{NAME_WIDTH}} {outcome}{why}")
        self._faults(verdict.faults)

    @property
    def passed(self) -> bool:
        """Whether all that was tried is as the page says, and something was tried."""
        outcomes = Counter(verdict.outcome for verdict in self.verdicts)
        bad = outcomes["failed"] or outcomes["not reached"] or self.interrupted
        return not bad and outcomes["passed"] > 0

    def end(self) -> None:
        outcomes = Counter(verdict.outcome for verdict in self.verdicts)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        stopped = "Stopped before the end. " if self.interrupted else ""
        verdict = "conforms in all that was tried" if self.passed else "does not conform"
        if self.interrupted and not outcomes["failed"]:
            verdict = "was not tried to the end"
        self.line(f"\n{stopped}The {self.tests} {verdict}: {counts or 'nothing was tried'}.")
        if self.as_json:
            print(json.dumps(self.as_object()))

    def as_object(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {
            "tests": self.tests,
            "passed": self.passed,
            "interrupted": self.interrupted,
            "transcripts": [
                {
                    "name": verdict.transcript.name,
                    "title": verdict.transcript.title,
                    "outcome": verdict.outcome.replace(" ", "_"),
                    "why": verdict.why,
                    "faults": [_fault(fault) for fault in verdict.faults],
                }
                for verdict in self.verdicts
            ],
        }

    def _faults(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self.line(f"    {fault.section}: {fault.text}\n        {fault.section.link}")


def _fault(fault: Fault) -> dict[str, str]:
    return {"section": fault.section.value, "page": fault.section.link, "text": fault.text}
