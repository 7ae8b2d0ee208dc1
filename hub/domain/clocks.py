"""How far the wall clock is believed, beside a clock that only counts running time. Times in Unix ms, spans in ms."""

from dataclasses import dataclass

from hub.domain.times import CLOCK_SLACK, DAY, HOUR, MINUTE, SECOND

PARTED_MS = HOUR  # a wall clock that is further from the mark is not believed: less harms nothing that is kept for days
STANDS_MS = DAY  # running time after which it is: a clock without a battery is put right long before


@dataclass(slots=True)
class Mark:
    """Where the wall clock must be by what has been running time. `at` follows the wall clock while the two are within
    PARTED_MS, and goes on by running time alone while they are not; `stood` is how long they have been apart without
    another jump. After STANDS_MS the clock is right and the mark was wrong: the hub was switched off for as long."""

    at: int
    stood: int = 0
    _gap: int | None = None  # wall clock less mark at the last step of this run

    def step(self, wall: int, ran: int) -> None:
        """`ran` of running time later the wall clock says `wall`."""
        self.at += ran
        gap = wall - self.at
        jumped = self._gap is not None and abs(gap - self._gap) > CLOCK_SLACK
        self.stood = 0 if jumped or abs(gap) <= PARTED_MS else self.stood + ran
        if abs(gap) <= PARTED_MS or self.stood >= STANDS_MS:
            self.at, self.stood, gap = wall, 0, 0
        self._gap = gap

    def parted(self, wall: int) -> bool:
        return abs(wall - self.at) > PARTED_MS

    def old_by(self, wall: int) -> int:
        """The time by which things are old: the wall clock's, and the mark's where that clock is far ahead."""
        return self.at if wall - self.at > PARTED_MS else wall

    def reached(self, wall: int) -> int:
        """The time that has come: the wall clock's, and the mark's where that clock is far behind. What lives for a
        while lives from then on: a clock that is behind ends nothing by being put right."""
        return self.at if self.at - wall > PARTED_MS else wall


JUMP_MS = CLOCK_SLACK  # between two readings; less is how much clocks are put right at a time
UNSURE_MS = 2 * MINUTE  # of running time after a jump: by then a machine that has just started has asked for the time
BLIND_MS = 5 * SECOND  # without a look for so long we were asleep, or the database was away
HEARD_MS = 5 * SECOND  # after which what has waited in the sockets meanwhile is read and written


@dataclass(slots=True)
class Steadiness:
    """Whether the wall clock goes as running time does. For UNSURE_MS after a jump, or from the start with `unsure`,
    time alone ends nothing for good: the jump may be undone. With `pauses` it ends nothing either for HEARD_MS after a
    pause of BLIND_MS between two readings."""

    unsure: bool = False
    pauses: bool = False
    _read_at: int | None = None  # by running time
    _gap: int | None = None  # wall clock less running time, at the last reading
    _until: int = 0  # when it is believed again, by running time

    def steady(self, wall: int, running: int) -> bool:
        """Of `running` only differences count."""
        gap = wall - running
        if self.unsure if self._gap is None else abs(gap - self._gap) > JUMP_MS:
            self._until = running + UNSURE_MS
        if self.pauses and self._read_at is not None and running - self._read_at > BLIND_MS:
            self._until = max(self._until, running + HEARD_MS)
        self._gap, self._read_at = gap, running
        return running >= self._until
