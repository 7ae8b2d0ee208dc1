"""What becomes of a command when a connection, the hub or the agent dies: the pure rules of both ends.

The hub's word on a command is its row (`sent`, `acked`...), the player's word is its journal (`accepted`, `running`,
`finished`, then confirmed: outcome dropped, id kept). These functions compare the two and decide; whoever calls them
writes the decision down before acting on it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.protocol.messages import Delivery, ErrorInfo, JournalEntry, Result

CONFIRMED_KEPT_S = 48 * 3600
"""How long the player remembers the id of a confirmed command. The longest deadline in the catalogue is a day, so that
within this time no copy of the command can still be in time."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a `hello` says about the commands of a player, by id.

    `requeue`: sent, but never arrived: queued again until its deadline, whatever its delivery class. One that the
    operator wanted cancelled meanwhile is cancelled now, instead.
    `acked`: in the journal, so it has arrived, whatever its row says.
    `lost`: acked once, but gone from the journal, or doubtful: failed with `journal_lost`, never sent again.
    `results`: outcomes of finished entries.
    `acked` and `results` cover the whole journal, also ids the hub did not ask about (expired, cancelled, timed out, or
    already settled): the store decides by conditional update whether anything changes, and confirms every result.
    """

    requeue: list[str] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


def reconcile(
    sent: Mapping[str, Literal["sent", "acked"]], journal: Sequence[JournalEntry], doubtful: Collection[str] = ()
) -> Reconciliation:
    """Hold the hub's unsettled commands of a player against the journal in its `hello`. `doubtful` are the `once`
    commands where that journal is a new one: what was sent may have been in the one before, and have run."""
    entries: dict[str, JournalEntry] = {}
    for entry in journal:
        known = entries.get(entry.id)
        if known is None or known.state != "finished":
            entries[entry.id] = entry
    answer = Reconciliation(acked=list(entries))
    answer.results.extend(entry.result for entry in entries.values() if entry.result and entry.state == "finished")
    for command_id, state in sent.items():
        if command_id not in entries:
            again = state == "sent" and command_id not in doubtful
            (answer.requeue if again else answer.lost).append(command_id)
    return answer


def in_time(expires_at: int, server_time: int, received_mono: float, now_mono: float) -> bool:
    """Whether a command may still be started: by the hub's clock, never by the device's.

    `server_time` is the one of this connection's `welcome` (Unix milliseconds), `received_mono` the monotonic second in
    which it arrived. Too generous by the time that the `welcome` was under way, and by no more.
    """
    return server_time + (now_mono - received_mono) * 1000 <= expires_at


CommandAnswer = Literal["accept", "reject", "ack", "result", "ignore"]


def on_command(known: JournalEntry | None, *, confirmed: bool = False, in_time: bool) -> CommandAnswer:
    """What the player does with an arriving `command`; `known` is its journal's entry for this id.

    `accept`: journal it as accepted, then send `ack`, then run it. `reject`: too late, journal the result `rejected`
    (code `expired`) and send it. `ack`: it is underway already. `result`: it is over, send the journaled result again.
    `ignore`: the hub confirmed its outcome within the last 48 hours, and only a hub restored from a backup can ask
    again; it must not run, and there is no outcome left to tell.
    """
    if known is not None:
        return "result" if known.state == "finished" else "ack"
    if confirmed:
        return "ignore"
    return "accept" if in_time else "reject"


CancelAnswer = Literal["settle", "stop", "result", "ignore"]


def on_cancel(known: JournalEntry | None, *, confirmed: bool = False) -> CancelAnswer:
    """What the player does with an arriving `cancel`.

    `settle`: it never started (or never arrived): journal the result `cancelled`, so that it never will, and send it.
    `stop`: it is running; stop it if that is possible, its result will tell how it ended. `result`: it is over, send
    the journaled result again. `ignore`: the hub has confirmed the outcome already.
    """
    if known is None:
        return "ignore" if confirmed else "settle"
    if known.state == "finished":
        return "result"
    return "stop" if known.state == "running" else "settle"


def recover(
    entry: JournalEntry,
    delivery: Delivery,
    in_time: bool | None,
    evidence: Mapping[str, Any] | None,
    *,
    finished_at: str,
    boot_id: str,
) -> Literal["run", "wait"] | Result:
    """What a starting agent does with a journal entry that the last run of the agent left behind.

    `in_time` is None until a `welcome` gave the time: the answer may then be `wait`, and the agent asks again after it.
    `evidence` is the result's detail that proves that a `once` command happened (another boot id, another process...),
    by what was journaled before acting; None when nothing proves it. `finished_at` and `boot_id` are for the result.
    A returned Result is to be journaled as finished, then sent.

    | entry    | delivery         | in time | decision |
    | accepted | any              | yes     | run      |
    | accepted | any              | no      | rejected, `expired`: it never started |
    | running  | safe, idempotent | yes     | run again |
    | running  | safe, idempotent | no      | failed, `interrupted` |
    | running  | once             | -       | succeeded with the evidence, else failed, `interrupted` |
    """

    def settled(code: str, message: str) -> Result:
        return Result(
            id=entry.id,
            status="rejected" if code == "expired" else "failed",
            error=ErrorInfo(code=code, message=message),
            finished_at=finished_at,
            boot_id=boot_id,
        )

    if entry.state == "finished" and entry.result is not None:
        return entry.result
    if entry.state == "running" and delivery == "once":
        if evidence is None:
            return settled("interrupted", "The agent stopped while this ran, and nothing shows that it was done.")
        return Result(id=entry.id, status="succeeded", detail=dict(evidence), finished_at=finished_at, boot_id=boot_id)
    if in_time is None:
        return "wait"
    if in_time:
        return "run"
    if entry.state == "accepted":
        return settled("expired", "Its deadline passed before it could start.")
    return settled(
        "interrupted", "The agent stopped while this ran, and its deadline passed before it could run again."
    )
