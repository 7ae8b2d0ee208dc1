"""Players that break one rule each: the kit names it, with the section of the page; and none is accused wrongly."""

import asyncio
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from hub.conformance import player_trial
from hub.conformance.door import Door
from hub.conformance.page import Section
from hub.conformance.player_trial import PlayerTrial
from hub.conformance.transcript import Transcript, transcripts
from hub.conformance.trial import Verdict
from tests.conformance.small_player import SmallPlayer, moment

TOKEN = "secret"
KEPT = (
    "drain", "retry-after", "commands", "repeat", "confirmed", "lost-result", "lost-command", "under-way", "expired",
    "hub-clock", "unknown-command", "cancel", "cancel-late", "in-order", "once", "slow-command", "unknown-messages",
    "fragments", "liveness", "upload", "upload-resume", "upload-known", "upload-failed", "settings", "telemetry",
    "alert", "revoked",
)  # fmt: skip


def transcript(name: str) -> Transcript:
    return next(one for one in transcripts("player") if one.name == name)


def hurried(whole: Transcript) -> Transcript:
    """For a player that fails: what it does not do is not waited for long."""
    steps = [dataclasses.replace(step, within_s=min(step.within_s, 3)) for step in whole.steps]
    return dataclasses.replace(whole, steps=steps)


async def judged(kind: Callable[[str, str], SmallPlayer], played: Transcript) -> Verdict:
    door = Door(TOKEN, lambda fault: trial.accuse(fault), lambda: trial.now(), lambda file: trial.fetched(file))
    trial = PlayerTrial(door, patience_s=30)
    await door.open("127.0.0.1", 0, "127.0.0.1")
    player = asyncio.create_task(kind(door.url, TOKEN).run())
    try:
        return await trial.play(played)
    finally:
        player.cancel()
        await asyncio.gather(player, return_exceptions=True)
        await trial.end()
        door.shut()


@pytest.mark.parametrize("name", KEPT)
async def test_a_player_that_keeps_to_the_page_is_not_accused(name: str) -> None:
    verdict = await judged(SmallPlayer, transcript(name))
    assert (verdict.outcome, verdict.faults) == ("passed", [])


class HasNoIntegers(SmallPlayer):
    """As a language whose only number is a double may write them."""

    async def say(self, **message: Any) -> None:
        await super().say(**{name: as_double(value) for name, value in message.items()})


def as_double(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_double(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_double(one) for one in value]
    return float(value) if type(value) is int else value


@pytest.mark.parametrize("name", ["upload", "upload-resume", "settings"])
async def test_a_whole_number_may_be_written_with_a_point(name: str) -> None:
    verdict = await judged(HasNoIntegers, transcript(name))
    assert (verdict.outcome, verdict.faults) == ("passed", [])


class RunsRepeats(SmallPlayer):
    async def again(self, message: dict[str, Any]) -> None:
        await self.say(type="ack", id=message["id"])
        await asyncio.sleep(0.005)  # so that its result has another time
        if "command" in message:
            await self.do(message)


class UploadsRepeats(RunsRepeats):
    """Tells the same outcome, and yet has taken another picture."""

    async def end(self, id: str, status: str, **more: Any) -> None:
        if result := self.journal.get(id):
            await self.say(type="result", **result)
        else:
            await super().end(id, status, **more)


class RunsConfirmed(SmallPlayer):
    async def on_result_ok(self, message: dict[str, Any]) -> None:
        self.journal.pop(message["id"], None)


class ForgetsResults(SmallPlayer):
    def told(self) -> list[dict[str, Any]]:
        return []


class IgnoresDeadlines(SmallPlayer):
    def in_time(self, expires_at: str) -> bool:
        return True


class BelievesItsClock(SmallPlayer):
    def in_time(self, expires_at: str) -> bool:
        return moment() <= expires_at


class ReconnectsAtOnce(SmallPlayer):
    def delay_s(self) -> float:
        return self.given_s or 0.0


class ReconnectsEverySecond(SmallPlayer):
    def delay_s(self) -> float:
        return 1.0 if self.given_s is None else self.given_s


class IgnoresTheDelayOfDrain(SmallPlayer):
    async def on_drain(self, message: dict[str, Any]) -> None:
        self.given_s = 0.0
        await self.socket.close(1001)


class SaysByeAfterDrain(SmallPlayer):
    async def on_drain(self, message: dict[str, Any]) -> None:
        await self.say(type="bye", reason="stopping")
        await super().on_drain(message)


class StaysAfterDrain(SmallPlayer):
    async def on_drain(self, message: dict[str, Any]) -> None:
        pass


class IgnoresRetryAfter(SmallPlayer):
    def after_refusal(self, refusal: InvalidStatus) -> float:
        return 0.1


class WrongOffsets(SmallPlayer):
    async def send_chunk(self, at: int, data: bytes) -> None:
        await super().send_chunk(at + 1, data)


class IgnoresTheWindow(SmallPlayer):
    def window(self) -> int:
        return 1000


class LargeChunks(SmallPlayer):
    async def on_welcome(self, message: dict[str, Any]) -> None:
        await super().on_welcome(message | {"chunk_bytes": 4096})


class ResumesAtTheBeginning(SmallPlayer):
    async def on_upload_ready(self, message: dict[str, Any]) -> None:
        await super().on_upload_ready(message | {"received": 0})


class TakesAnotherPictureToResume(SmallPlayer):
    def shot(self) -> bytes:
        return super().shot() + random.randbytes(8)


class TellsBeforeItIsStored(SmallPlayer):
    async def on_upload_ready(self, message: dict[str, Any]) -> None:
        assert self.uploading is not None
        await self.end(self.uploading["command"], "succeeded", detail={"screenshot_id": "1"})
        await super().on_upload_ready(message)


class ClaimsAFailedUpload(SmallPlayer):
    async def on_upload_failed(self, message: dict[str, Any]) -> None:
        await self.on_upload_done({"id": "1"})


class SpeaksBeforeWelcome(SmallPlayer):
    async def greet(self) -> None:
        await super().greet()
        await self.say(type="telemetry", volume=40)


class SendsGarbage(SmallPlayer):
    async def greet(self) -> None:
        for data in (b"", b"\0" * 5, random.randbytes(200)):
            await self.socket.send(data)
        for text in ("", "null", "[]", "{", '{"type": 5}', '{"type": "hello"}', "[" * 100_000, "9" * 5000):
            await self.socket.send(text)
        await super().greet()


class SaysNoHello(SmallPlayer):
    async def greet(self) -> None:
        await self.say(type="telemetry", volume=40)


class RunsOutOfOrder(SmallPlayer):
    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.waiting: list[dict[str, Any]] = []

    async def do(self, message: dict[str, Any]) -> None:
        self.waiting.append(message)
        if len(self.waiting) == 3:
            for one in reversed(self.waiting):
                await super().do(one)


class DoesOneThingAtATime(SmallPlayer):
    async def do(self, message: dict[str, Any]) -> None:
        if self.uploading is None:
            await super().do(message)


class DoesWhatItDoesNotKnow(SmallPlayer):
    async def do(self, message: dict[str, Any]) -> None:
        await super().do(message | {"command": "identify"})


class DiesOfTheUnknown(SmallPlayer):
    async def on_unknown(self, message: dict[str, Any]) -> None:
        await self.socket.close(1003)


class RunsWhatWasCancelled(SmallPlayer):
    async def on_cancel(self, message: dict[str, Any]) -> None:
        await self.say(type="result", id=message["id"], status="cancelled", finished_at=moment(), boot_id="boot")


class SendsNonsense(SmallPlayer):
    async def tell(self) -> None:
        await self.say(type="telemetry", volume=140)
        await super().tell()


class SendsTelemetryUnasked(SmallPlayer):
    async def on_welcome(self, message: dict[str, Any]) -> None:
        await super().on_welcome(message)
        await self.say(type="telemetry", volume=40)


class PingsNobody(SmallPlayer):
    pings = False


class AppliesNothing(SmallPlayer):
    async def on_settings(self, message: dict[str, Any]) -> None:
        pass


class TellsTheTokenToLogs(SmallPlayer):
    query_token = True


class TriesTheOldTokenAtOnce(SmallPlayer):
    async def revoked(self) -> None:
        pass

    def delay_s(self) -> float:
        return 0.05


class ChangesItsIdentity(SmallPlayer):
    async def say(self, **message: Any) -> None:
        if message["type"] == "hello":
            message["hardware_id"] = moment()
        await super().say(**message)


class AcknowledgesStrangers(SmallPlayer):
    async def say(self, **message: Any) -> None:
        await super().say(**message | ({"id": "someone-elses"} if message["type"] == "ack" else {}))


@pytest.mark.parametrize(
    ("kind", "name", "section", "words"),
    [
        (RunsRepeats, "repeat", Section.COMMANDS, "has two results"),
        (UploadsRepeats, "repeat", Section.COMMANDS, "ran twice"),
        (RunsConfirmed, "confirmed", Section.COMMANDS, "ran twice"),
        (ForgetsResults, "lost-result", Section.JOURNAL, "its hello does not name it"),
        (IgnoresDeadlines, "expired", Section.COMMANDS, "expires_at 5 s before"),
        (BelievesItsClock, "expired", Section.COMMANDS, "a day ahead"),
        (BelievesItsClock, "hub-clock", Section.COMMANDS, "a day behind"),
        (ReconnectsAtOnce, "lost", Section.LIVENESS, "without backoff"),
        (ReconnectsEverySecond, "lost", Section.LIVENESS, "no jitter"),
        (IgnoresTheDelayOfDrain, "drain", Section.CLOSE_CODES, "should have waited 1.5 s"),
        (SaysByeAfterDrain, "drain", Section.FROM_HUB, "bye"),
        (StaysAfterDrain, "drain", Section.FROM_HUB, "did not close the connection"),
        (IgnoresRetryAfter, "retry-after", Section.CONNECTING, "Retry-After: 2"),
        (WrongOffsets, "upload", Section.UPLOADS, "has offset 1; 0 was next"),
        (IgnoresTheWindow, "upload", Section.UPLOADS, "beyond the last credit"),
        (LargeChunks, "upload", Section.UPLOADS, "welcome allowed chunk_bytes 512"),
        (ResumesAtTheBeginning, "upload-resume", Section.UPLOADS, "has offset 0"),
        (TakesAnotherPictureToResume, "upload-resume", Section.UPLOADS, "the same bytes are announced again"),
        (TellsBeforeItIsStored, "upload", Section.UPLOADS, "before the upload_done"),
        (ClaimsAFailedUpload, "upload-failed", Section.UPLOAD_FAILS, "too_large"),
        (SpeaksBeforeWelcome, "commands", Section.OPENING, "before welcome"),
        (SendsGarbage, "commands", Section.FRAMES, "not_json"),
        (SendsGarbage, "commands", Section.OPENING, "binary frame came before welcome"),
        (SaysNoHello, "unknown-command", Section.OPENING, "not hello"),
        (RunsOutOfOrder, "in-order", Section.COMMANDS, "of one name"),
        (DoesOneThingAtATime, "slow-command", Section.COMMANDS, "waited for its upload"),
        (DoesWhatItDoesNotKnow, "unknown-command", Section.FROM_PLAYER, "no player has"),
        (DiesOfTheUnknown, "unknown-messages", Section.FRAMES, "closed with 1003"),
        (RunsWhatWasCancelled, "cancel", Section.COMMANDS, "after its cancel"),
        (SendsNonsense, "telemetry", Section.FROM_PLAYER, "volume"),
        (SendsTelemetryUnasked, "commands", Section.FROM_HUB, "never"),
        (PingsNobody, "liveness", Section.LIVENESS, "the hub was silent"),
        (AppliesNothing, "settings", Section.FROM_HUB, "volume 23"),
        (TellsTheTokenToLogs, "commands", Section.CONNECTING, "query"),
        (TriesTheOldTokenAtOnce, "revoked", Section.CLOSE_CODES, "old token at once"),
        (ChangesItsIdentity, "lost-result", Section.FROM_PLAYER, "hardware_id"),
        (AcknowledgesStrangers, "commands", Section.COMMANDS, "nobody sent"),
        (SmallPlayer, "manifest", Section.MANIFEST, "did not fetch manifest"),
    ],
)
async def test_a_broken_rule_is_named_with_its_section(
    kind: type[SmallPlayer], name: str, section: Section, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_trial, "HELLO_S", 3)
    verdict = await judged(kind, hurried(transcript(name)))
    assert verdict.outcome == "failed"
    assert [fault for fault in verdict.faults if fault.section is section and words in fault.text], verdict.faults
