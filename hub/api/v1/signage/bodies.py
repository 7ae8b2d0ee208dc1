"""What callers send about alerts, releases and licences."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hub.api.v1.bodies import (
    Changes,
    Id,
    Moment,
    Name,
    QueryId,
    Strict,
    Trimmed,
    changes_of,
    example,
    prose,
    seen_prose,
)
from hub.domain import alerts
from hub.domain.alerts import SEVERITIES, State
from hub.domain.targets import KINDS
from hub.domain.times import parse

MAX_TARGETS = 1_000  # ids of one kind; more players than that are a group
MAX_QUERY_TARGETS = 200  # ids of one kind in an address, which has room for 64 KiB in all
MAX_MESSAGE = 1_000  # characters; what can be read from across a room is far shorter
MAX_RELEASE_BYTES = 2**40


def targets_of(fields: dict[str, Any]) -> dict[str, list[int]]:
    """Takes `player_ids`, `group_ids` and `location_ids` out of the fields, as far as they are there: ids by kind."""
    return {kind: fields.pop(f"{kind}_ids") for kind in KINDS if f"{kind}_ids" in fields}


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Severity = Annotated[
    Literal["extreme", "severe", "moderate", "minor", "unknown"],
    BeforeValidator(_lower),
    Field(description="A word of the Common Alerting Protocol, in any case."),
]
assert alerts.Severity.__args__ == SEVERITIES  # type: ignore[attr-defined]

Message = Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE), AfterValidator(seen_prose), Trimmed]
Text = Annotated[str, Field(max_length=MAX_MESSAGE), AfterValidator(prose)]
Ids = Annotated[list[Id], Field(max_length=MAX_TARGETS)]


class AlertFilter(Strict):
    status: State | None = None
    page: int | None = Field(None, ge=1, le=1_000_000, description="Which page; without page and per_page: all.")
    per_page: int | None = Field(None, ge=1, le=1_000, description="Alerts a page; 50 when only page is given.")


class CapQuery(Strict):
    """Whom a message is for; without any of these, the locations in its area."""

    everyone: bool = False
    player_ids: list[QueryId] = Field([], max_length=MAX_QUERY_TARGETS)
    group_ids: list[QueryId] = Field([], max_length=MAX_QUERY_TARGETS)
    location_ids: list[QueryId] = Field([], max_length=MAX_QUERY_TARGETS)
    language: str | None = Field(None, max_length=35, description="Which of its languages to show, such as `de`.")


class NewAlert(Strict):
    model_config = example(title="Fire alarm", message="Leave the building.", severity="extreme", everyone=True)

    title: Name
    message: Message
    severity: Severity = "unknown"
    everyone: bool = Field(False, strict=True, description="All players of the team, later ones too.")
    player_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    group_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    location_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    starts_at: Moment | None = Field(None, description="Without it the alert is live at once.")
    ends_at: Moment | None = Field(None, description="Without it the alert is live until somebody clears it.")

    def fields(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "message": self.message,
            "severity": self.severity,
            "everyone": self.everyone,
            "targets": {"player": self.player_ids, "group": self.group_ids, "location": self.location_ids},
            "starts_at": _ms(self.starts_at),
            "ends_at": _ms(self.ends_at),
        }


class AlertChanges(Changes):
    model_config = example(message="Leave the building by the stairs.")

    title: Name | None = None
    message: Message | None = None
    severity: Severity | None = None
    everyone: bool | None = Field(None, strict=True)
    player_ids: Ids | None = Field(None, description="All players that it names from now on; so for the next two.")
    group_ids: Ids | None = None
    location_ids: Ids | None = None
    starts_at: Moment | None = Field(None, description="Only before the alert has begun.")
    ends_at: Moment | None = None

    def fields(self) -> dict[str, Any]:
        """What is given, in the service's words."""
        given = changes_of(self)
        targets = targets_of(given)
        given |= {name: _ms(given[name]) for name in ("starts_at", "ends_at") if name in given}
        return given | ({"targets": targets} if targets else {})


def _ms(moment: str | None) -> int | None:
    return None if moment is None else parse(moment)


Version = Annotated[str, Field(max_length=50, pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$")]
Url = Annotated[str, Field(min_length=1, max_length=2_000, description="https only.")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")]
Bytes = Annotated[int, Field(ge=1, le=MAX_RELEASE_BYTES, strict=True)]
Notes = Annotated[str, Field(max_length=10_000), AfterValidator(prose)]


class NewRelease(Strict):
    model_config = example(
        version_name="2.1.0",
        url="https://example.com/player-2.1.0.apk",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        notes="Smoother transitions.",
    )

    version_name: Version
    url: Url
    sha256: Sha256
    size: Bytes | None = None
    notes: Notes = ""
    mandatory: bool = Field(False, strict=True)
    active: bool = Field(True, strict=True, description="Only active releases are offered to devices.")


class ReleaseChanges(Changes):
    model_config = example(active=False)

    version_name: Version | None = None
    url: Url | None = None
    sha256: Sha256 | None = None
    size: Bytes | None = None
    notes: Notes | None = None
    mandatory: bool | None = Field(None, strict=True)
    active: bool | None = Field(None, strict=True)


class NewLicence(Strict):
    model_config = example(note="Lobby")

    key: str | None = Field(
        None, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{7,63}$", description="Without it one is made."
    )
    note: Text | None = None


class LicenceChanges(Changes):
    model_config = example(player_id=1)

    note: Text | None = None
    player_id: Id | None = Field(None, description="The player that holds it from now on.")
