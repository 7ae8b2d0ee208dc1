"""What Hangar.Media's clients send. Its document describes no bodies: what is not listed is ignored."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hub.api.v1.bodies import Id, Name, Tolerant, example
from hub.api.v1.content.bodies import MAX_DURATION_S, Title
from hub.api.v1.playback.bodies import Clock, Conditions, Day, Days, PageNumber, PageSize, Priority, ScreenId, Yes
from hub.domain.content import MAX_ADDRESS, AssetType
from hub.domain.playback import MAX_TARGETS


class Pages(Tolerant):
    page: PageNumber = None
    per_page: PageSize = None


class NewScreen(Tolerant):
    model_config = example(name="Lobby Display")

    name: Name


class ScreenChanges(Tolerant):
    model_config = example(name="Lobby Display")

    name: Name | None = None


def _blank_is_absent(value: Any) -> Any:
    return None if value == "" else value


class NewContent(Tolerant):
    """The texts beside a file, or all of an address."""

    model_config = example(name="News", type="web", source_url="https://example.com/news", duration=30)

    name: Title
    type: AssetType | None = Field(None, description="Of an address; of a file its content decides.")
    source_url: Annotated[str | None, Field(max_length=MAX_ADDRESS), BeforeValidator(_blank_is_absent)] = Field(
        None, description="Of youtube, web and livestream."
    )
    duration: int | None = Field(None, ge=1, le=MAX_DURATION_S, description="Seconds.")


class NewSchedule(Tolerant):
    model_config = example(
        name="Morning", playlist_id=1, days_of_week=[1, 2, 3, 4, 5], start_time="09:00", end_time="17:00"
    )

    name: Name | None = Field(None, description="Without one it is called as its playlist.")
    playlist_id: Id
    days_of_week: Days | None = None
    start_time: Clock | None = None
    end_time: Clock | None = Field(None, description="Not after the start: until then on the next day.")
    start_date: Day | None = None
    end_date: Day | None = Field(None, description="The last day.")
    priority: Priority | None = Field(None, description="The highest wins.")
    is_active: Yes | None = None
    conditions: Conditions | None = Field(None, description="All must hold.")


class Assignment(Tolerant):
    model_config = example(screen_ids=["scr_01JARW8K9BXYZ"])

    screen_ids: list[ScreenId] = Field(
        max_length=MAX_TARGETS, description="All screens from now on; scr_ ids and numbers alike."
    )
