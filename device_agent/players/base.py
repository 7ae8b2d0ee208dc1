"""What every kind of player can be asked, whatever program draws the picture."""

from dataclasses import dataclass
from typing import Protocol


class PlayerError(Exception):
    """Why a player could not do what it was asked.

    `code` is for programs and `message` for people; together they become the `error` of a command's result. Codes:
    `player_missing` (the program is not installed or will not start), `player_down` (it died and is not back yet),
    `no_screen` (it can open none, so nothing is to be seen), `timeout`, `not_found` (no such file), `unsupported_uri`,
    `unplayable`, `no_picture`, `too_large`, `invalid_volume`, `player_refused` (anything else the program declined).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the screen: `source` says who took it (mpv, simulated...), `captured_at` is Unix milliseconds by the
    device's clock."""

    data: bytes
    mime: str
    source: str
    captured_at: int


@dataclass(frozen=True, slots=True)
class Banner:
    """An emergency message; `severity` is a word of CAP (extreme, severe, moderate, minor, unknown)."""

    severity: str
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class PairingCard:
    """What an operator needs to pair this screen: the code, where to enter it (`uri`), by what to tell this device from
    another (`device`), and the QR code that does both, row by row, `1` for dark; empty where the hub draws none."""

    code: str
    uri: str
    device: str
    qr_code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be seen on the screen: its brightest spot, 0 to 255, and whether it moves; None: it need not."""

    brightest: int
    moves: bool | None


class Player(Protocol):
    """A program that shows content. Every call may raise PlayerError, and none waits for ever."""

    kind: str
    capabilities: frozenset[str]  # names of the commands it can do
    content_types: frozenset[str]  # types of assets that it can show
    sees: bool  # whether `look` is worth a call

    async def start(self) -> None:
        """Return once the program answers."""

    async def stop(self) -> None:
        """End the program and everything this object started; harmless when repeated."""

    async def version(self) -> str: ...

    async def play(self, uri: str, *, duration_s: int | None = None) -> str:
        """Show a file or a stream, given by absolute path or URL, and return what is current once it really plays.

        It stays until the next `play`; with `duration_s` the content before it comes back by itself. On an error the
        content before it is shown again.
        """
        ...

    async def clear(self) -> None:
        """Show nothing, or a card of its own."""

    async def current(self) -> str | None:
        """The path or URL on screen, as it was given to `play`; None when nothing plays."""
        ...

    async def set_volume(self, volume: int) -> int:
        """Set 0..100; returns the value read back."""
        ...

    async def volume(self) -> int | None: ...

    async def show_text(self, text: str, seconds: float) -> None:
        """Lay a few lines of text over the content for a while."""

    async def show_banner(self, banner: Banner | None) -> None:
        """Lay an emergency message over everything else, until another or None takes its place; a program that is
        restarted shows it again."""
        ...

    async def show_pairing(self, card: PairingCard | None) -> None:
        """Lay this over the content, until another or None takes its place; as lasting as a banner, and below it."""
        ...

    async def rename(self, name: str) -> None:
        """The player's name, for the card that it shows when it has no content."""
        ...

    async def screenshot(self, *, max_width: int | None = None, quality: int | None = None) -> Picture:
        """What is really on screen, at most `max_width` pixels wide; `quality` 1..100 where the format has one."""
        ...

    async def look(self) -> Look:
        """A glance at what is really on screen, cheaper than a screenshot is to send."""
        ...

    async def identity(self) -> tuple[int, float]:
        """Process id and start time (Unix seconds) of the program: they change exactly when it was restarted."""
        ...

    async def restart(self) -> tuple[int, float]:
        """End the program and start a new one, which shows the same content; returns the new identity."""
        ...


def check_volume(volume: int) -> int:
    if not 0 <= volume <= 100:
        raise PlayerError("invalid_volume", f"A volume is between 0 and 100, not {volume}.")
    return volume
