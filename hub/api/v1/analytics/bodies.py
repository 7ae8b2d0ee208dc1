"""What analytics take. Both ends of a range belong to it; a date alone is its whole day, a time without a zone UTC."""

from typing import Literal

from pydantic import Field

from hub.api.v1.bodies import Id, Moment, QueryId, Strict, Tolerant, example
from hub.domain.analytics import Range, Showing, checked_range
from hub.domain.times import DAY, now_ms, parse

FROM, TO = "First instant, such as 2026-01-01T00:00:00Z.", "Last second, such as 2026-01-31T23:59:59Z or 2026-01-31."
ZONE = "IANA name, such as Europe/Berlin; without one the team's own."


class Span(Tolerant):
    from_: Moment = Field(alias="from", description=FROM)
    to: Moment = Field(description=TO)

    def span(self) -> Range:
        """Raises Invalid."""
        return checked_range(parse(self.from_), parse(self.to, end_of_day=True))


class SummaryFilter(Tolerant):
    timezone: str | None = Field(None, max_length=64, description=f"Where it is today. {ZONE}")


class PlaybackFilter(Span):
    player_id: QueryId | None = None
    layout_id: QueryId | None = None
    granularity: Literal["hour", "day", "week"] = "day"
    timezone: str | None = Field(None, max_length=64, description=f"Whose hours, days and weeks. {ZONE}")


class ImpressionsFilter(Span):
    campaign_id: QueryId | None = None


class ExportLink(Tolerant):
    expires: str = Field("", max_length=20, description="As the link has it.")
    signature: str = Field("", max_length=128, description="As the link has it.")


class PlayFilter(Strict):
    from_: Moment | None = Field(None, alias="from", description="Without it the oldest play that is kept.")
    to: Moment | None = Field(None, description="Without it a day from now: some clocks are fast.")
    player_id: QueryId | None = None
    asset_id: QueryId | None = None
    layout_id: QueryId | None = None
    campaign_id: QueryId | None = None
    before: str | None = Field(
        None, pattern=r"^[0-9]{1,15}-[0-9]{1,18}$", description="`meta.next` of the page before."
    )
    limit: int = Field(100, ge=1, le=1_000)

    def span(self) -> Range:
        """Raises Invalid."""
        until = now_ms() + DAY if self.to is None else parse(self.to, end_of_day=True)
        return checked_range(0 if self.from_ is None else parse(self.from_), until)

    def cursor(self) -> tuple[int, int] | None:
        if self.before is None:
            return None
        at, _, number = self.before.partition("-")
        return int(at), int(number)


class NewPlay(Strict):
    """As in the player protocol."""

    id: str = Field(pattern=r"^[!-~]{1,64}$", description="Unique for the player; told twice, it counts once.")
    asset_id: Id
    playlist_id: Id | None = None
    layout_id: Id | None = None
    schedule_id: Id | None = None
    campaign_id: Id | None = None
    started_at: Moment
    duration_s: int = Field(ge=0, le=366 * 86_400, strict=True)
    completed: bool = Field(strict=True, description="False when it was cut short.")

    def showing(self) -> Showing:
        return Showing(
            entry=self.id,
            asset_id=self.asset_id,
            playlist_id=self.playlist_id,
            layout_id=self.layout_id,
            schedule_id=self.schedule_id,
            campaign_id=self.campaign_id,
            started_at=parse(self.started_at),
            duration_ms=self.duration_s * 1_000,
            completed=self.completed,
        )


class Plays(Strict):
    model_config = example(
        entries=[
            {
                "id": "01JARW8K9BXYZ",
                "asset_id": 7,
                "playlist_id": 2,
                "layout_id": 1,
                "campaign_id": 3,
                "started_at": "2026-03-29T14:30:00Z",
                "duration_s": 10,
                "completed": True,
            }
        ]
    )

    entries: list[NewPlay] = Field(min_length=1, max_length=500)
