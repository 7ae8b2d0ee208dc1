"""What callers send about alert rules and incidents."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from hub.api.v1.bodies import Changes, Email, Id, Name, QueryId, Strict, Trimmed, changes_of, example, prose
from hub.api.v1.signage.bodies import MAX_TARGETS, Ids, Severity, targets_of
from hub.domain.alert_rules import MAX_EMAILS, MAX_MINUTES, NAMES
from hub.domain.incidents import Kind, Status

MAX_NOTE = 1_000  # characters

OfflineMinutes = Annotated[int, Field(ge=1, le=MAX_MINUTES, strict=True)]
FreeMb = Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]
FreePercent = Annotated[float, Field(ge=0.1, le=99, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=-50, le=200, allow_inf_nan=False)]
Skew = Annotated[int, Field(ge=5, le=86_400, strict=True)]
WindowMinutes = Annotated[int, Field(ge=1, le=1_440, strict=True)]
MinCommands = Annotated[int, Field(ge=1, le=100_000, strict=True)]
FailedPercent = Annotated[float, Field(ge=0.1, le=100, allow_inf_nan=False)]
ForMinutes = Annotated[int, Field(ge=0, le=1_440, strict=True)]
Emails = Annotated[list[Email], Field(max_length=MAX_EMAILS)]


class RuleFilter(Strict):
    page: int | None = Field(None, ge=1, le=1_000_000, description="Which page; without page and per_page: all.")
    per_page: int | None = Field(None, ge=1, le=1_000, description="Rules a page; 50 when only page is given.")


class NewRule(Strict):
    model_config = example(
        name="Screens in shops", kind="player_offline", severity="severe", offline_minutes=15, everyone=True
    )

    name: Name
    kind: Kind
    severity: Severity = "moderate"
    offline_minutes: OfflineMinutes | None = Field(
        None, description="player_offline: for longer than that, counted in the opening hours of its location."
    )
    free_mb: FreeMb | None = Field(None, description="storage_low: less than that; or:")
    free_percent: FreePercent | None = Field(None, description="storage_low: less than that of the whole.")
    celsius: Celsius | None = Field(None, description="temperature_high: more than that.")
    seconds: Skew | None = Field(None, description="clock_skewed: more than that, ahead or behind.")
    window_minutes: WindowMinutes | None = Field(None, description="command_failures: of the last so many minutes.")
    min_commands: MinCommands | None = Field(None, description="command_failures: at least so many have ended.")
    failed_percent: FailedPercent | None = Field(
        None, description="command_failures: at least so many of them failed, were rejected, timed out or expired."
    )
    for_minutes: ForMinutes = Field(0, description="How long it must last; not for player_offline.")
    everyone: bool = Field(False, strict=True, description="All players of the team, later ones too.")
    player_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    group_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    location_ids: list[Id] = Field([], max_length=MAX_TARGETS)
    emails: list[Email] = Field([], max_length=MAX_EMAILS, description="Who gets mail; needs smtp.host.")
    enabled: bool = Field(True, strict=True)

    def fields(self) -> dict[str, Any]:
        """In the service's words."""
        given = self.model_dump()
        thresholds = {name: value for name in NAMES if (value := given.pop(name)) is not None}
        return given | {"thresholds": thresholds, "targets": targets_of(given)}


class RuleChanges(Changes):
    model_config = example(severity="severe")

    name: Name | None = None
    severity: Severity | None = None
    offline_minutes: OfflineMinutes | None = None
    free_mb: FreeMb | None = Field(None, description="From now on this, and not free_percent.")
    free_percent: FreePercent | None = Field(None, description="From now on this, and not free_mb.")
    celsius: Celsius | None = None
    seconds: Skew | None = None
    window_minutes: WindowMinutes | None = None
    min_commands: MinCommands | None = None
    failed_percent: FailedPercent | None = None
    for_minutes: ForMinutes | None = None
    everyone: bool | None = Field(None, strict=True)
    player_ids: Ids | None = Field(None, description="All players that it names from now on; so for the next two.")
    group_ids: Ids | None = None
    location_ids: Ids | None = None
    emails: Emails | None = Field(None, description="All of them from now on.")
    enabled: bool | None = Field(None, strict=True)

    def fields(self) -> dict[str, Any]:
        """What is given, in the service's words."""
        given = changes_of(self)
        targets = targets_of(given)
        thresholds = {name: given.pop(name) for name in NAMES if name in given}
        return given | ({"targets": targets} if targets else {}) | ({"thresholds": thresholds} if thresholds else {})


class IncidentFilter(Strict):
    status: Status | None = None
    player_id: QueryId | None = None
    rule_id: QueryId | None = None
    page: int = Field(1, ge=1, le=1_000_000)
    per_page: int = Field(50, ge=1, le=1_000)


class Remark(Strict):
    model_config = example(note="A technician is on the way.")

    note: Annotated[str, Field(max_length=MAX_NOTE), AfterValidator(prose), Trimmed] | None = None
