"""Assets, their folders, and uploads on their way to become assets."""

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class Folder(SQLModel, table=True):
    __tablename__ = "folder"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    parent_id: int | None = c.ref("folder.id", index=True, nullable=True, cascade=False)
    name: str
    created_at: int = c.time()
    version: int = 1


class StoredFile(SQLModel, table=True):
    """Bytes in blob storage, once a team and content. Assets point to it; one that no asset points to is collected."""

    __tablename__ = "stored_file"
    id: int | None = c.key()
    team_id: int = c.ref("team.id")
    sha256: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mime: str
    blob: str
    thumbnail: str | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = c.maybe_time()
    created_at: int = c.time()
    __table_args__ = (UniqueConstraint("team_id", "sha256"),)


class Asset(SQLModel, table=True):
    """One thing to show: a file, or an address (`source_url`). `content_id` is its id on the Hangar.Media face, `key`
    the name that a direct upload was given."""

    __tablename__ = "asset"
    id: int | None = c.key()
    team_id: int = c.ref("team.id")
    content_id: str = Field(unique=True)
    key: str | None = Field(default=None, unique=True)
    name: str
    type: str
    status: str = "active"
    filename: str | None = None
    file_id: int | None = c.ref("stored_file.id", index=True, nullable=True, cascade=False)
    source_url: str | None = c.long_text(nullable=True)
    duration_s: int | None = None
    folder_id: int | None = c.ref("folder.id", index=True, nullable=True, cascade=False)
    created_at: int = c.time()
    updated_at: int = c.time()
    version: int = 1
    __table_args__ = (Index("ix_asset_team", "team_id", "id"),)


class UploadTicket(SQLModel, table=True):
    """A signed permission to PUT one file. `asset_id` once it was used."""

    __tablename__ = "upload_ticket"
    key: str = Field(primary_key=True)
    team_id: int = c.ref("team.id", index=True)
    filename: str
    mime: str
    size: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    sha256: str | None = None
    name: str | None = None
    folder_id: int | None = c.maybe_number()
    actor_kind: str
    actor_id: int
    actor_name: str
    face: str
    created_at: int = c.time()
    expires_at: int = c.time(index=True)
    asset_id: int | None = c.maybe_number()
