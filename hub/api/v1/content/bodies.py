"""What callers send about assets, folders and uploads."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, AliasChoices, Field

from hub.api.v1.bodies import Changes, Id, Name, QueryId, Strict, Tolerant, Trimmed, Unescaped, example, seen_line
from hub.domain.content import MAX_ADDRESS, MAX_FILENAME, MAX_GIVEN_FILENAME, AssetStatus, AssetType

MAX_DURATION_S = 86_400  # a day; what plays longer is a livestream


Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(seen_line), Trimmed]


def _duration() -> Any:
    return Field(
        None,
        ge=1,
        le=MAX_DURATION_S,
        validation_alias=AliasChoices("duration_s", "duration"),
        description="Seconds it is shown where a playlist says nothing else; `duration` is understood too.",
    )


# Assets --------------------------------------------------------------------------------------------------------------


class AssetFilter(Tolerant):
    type: AssetType | None = None
    status: AssetStatus | None = None
    folder_id: QueryId | None = Field(None, description="Assets right in this folder only.")
    search: str | None = Field(None, max_length=100, description="Part of the name or file name, in any case.")
    page: int | None = Field(None, ge=1, le=1_000_000, description="Which page; without page and per_page: all.")
    per_page: int | None = Field(None, ge=1, le=1_000, description="Assets a page; 50 when only page is given.")


class NewAsset(Strict):
    """An address, or the name for what was uploaded under a key."""

    model_config = example(name="News", type="web", source_url="https://example.com/news", duration_s=30)

    name: Title | None = None
    type: AssetType | None = None
    source_url: str | None = Field(None, max_length=MAX_ADDRESS, description="Of youtube, web and livestream.")
    duration_s: int | None = _duration()
    folder_id: QueryId | None = None
    asset_key: str | None = Field(None, max_length=64, description="Instead: what a direct upload was given.")


class AssetForm(Strict):
    """The texts beside the file. Without a name the asset is called by its file."""

    name: Title | None = None
    type: AssetType | None = Field(None, description="Refused unless the content is of this type.")
    source_url: str | None = Field(None, max_length=MAX_ADDRESS, description="Instead of a file.")
    duration_s: int | None = _duration()
    folder_id: QueryId | None = None


class AssetChanges(Changes):
    model_config = example(name="Summer Promo", duration_s=15)
    clears: ClassVar[frozenset[str]] = frozenset({"folder_id", "duration_s"})

    name: Title | None = None
    duration_s: int | None = Field(
        None, ge=1, le=MAX_DURATION_S, description="Seconds; null: as long as it takes by itself."
    )
    folder_id: Id | None = Field(None, description="null: out of its folder.")


class NewUpload(Tolerant):
    model_config = example(filename="promo-banner.jpg", mime_type="image/jpeg")

    filename: Annotated[str, Field(min_length=1, max_length=MAX_GIVEN_FILENAME)] = Field(
        description=f"Offered when the asset is saved; of a path the last part, cut at {MAX_FILENAME} characters."
    )
    mime_type: Annotated[Unescaped, Field(min_length=1, max_length=100)] = Field(
        description="What the file is; the upload is refused when its content is something else."
    )
    size: int | None = Field(None, ge=1, le=2**50, description="Bytes; then exactly so many are taken.")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="Then exactly these bytes are taken.")
    name: Title | None = Field(None, description="The asset's; without one its file name.")
    folder_id: QueryId | None = None


class Link(Tolerant):
    """The query of a signed link."""

    expires: str = Field("", max_length=20, description="As the link has it.")
    signature: str = Field("", max_length=128, description="As the link has it.")


# Folders -------------------------------------------------------------------------------------------------------------


class NewFolder(Strict):
    model_config = example(name="Summer", parent_id=1)

    name: Name
    parent_id: Id | None = None


class FolderChanges(Changes):
    model_config = example(name="Summer 2027")
    clears: ClassVar[frozenset[str]] = frozenset({"parent_id"})

    name: Name | None = None
    parent_id: Id | None = Field(None, description="The folder that it is to be in; null: none.")


class FolderDeletion(Strict):
    recursive: bool = Field(False, description="Delete what is in it as well: folders and assets.")


def given(body: Any, *names: str) -> dict[str, Any]:
    """Those of the fields that hold something."""
    return {name: value for name in names if (value := getattr(body, name)) is not None}
