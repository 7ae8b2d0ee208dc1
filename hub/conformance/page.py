"""The sections of the page of the player protocol that a fault can be held against, and what a fault is."""

from dataclasses import dataclass
from enum import StrEnum

PAGE = "player-protocol.md"


class Section(StrEnum):
    """Headings of the page, as they stand there."""

    CONNECTING = "Connecting"
    TOKEN = "Getting a token"
    FRAMES = "Frames"
    VALUES = "Values"
    OPENING = "The opening"
    COMMANDS = "Commands"
    JOURNAL = "The journal"
    UPLOADS = "Uploads"
    UPLOAD_FAILS = "When an upload fails"
    MANIFEST = "The manifest and its files"
    LIVENESS = "Liveness"
    CLOSE_CODES = "Close codes"
    ERROR_CODES = "Error codes"
    LIMITS = "Limits"
    FROM_PLAYER = "From player to hub"
    FROM_HUB = "From hub to player"

    @property
    def link(self) -> str:
        """Where the section is, in the manual."""
        return f"{PAGE}#{self.value.lower().replace(' ', '-')}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What the other end did wrong, in a sentence, and the section that says how it is done right."""

    section: Section
    text: str


class Broken(Exception):
    """A transcript cannot go on: what it waits for did not come, or something came that must not."""

    def __init__(self, section: Section, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(section, text)


class Unreachable(Exception):
    """There is nobody at the other end any more; the text says since when."""
