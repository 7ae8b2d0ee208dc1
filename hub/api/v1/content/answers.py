"""What is answered about assets, folders and uploads."""

from pydantic import BaseModel, Field

from hub.domain.content import AssetStatus, AssetType


class Asset(BaseModel):
    id: int
    content_id: str
    key: str | None = Field(description="What its direct upload was given.")
    name: str
    type: AssetType
    mime_type: str | None
    filename: str | None
    status: AssetStatus
    size: int | None = Field(description="Bytes.")
    sha256: str | None
    width: int | None = Field(description="Pixels, as it is shown.")
    height: int | None
    duration_s: int | None = Field(description="Seconds it is shown; null: a playlist says, or it does not end.")
    folder_id: int | None
    source_url: str | None
    url: str = Field(description="The address, or a link to the file that needs no credential, good for an hour.")
    thumbnail_url: str | None = Field(description="Such a link to a small picture.")
    created_at: str
    updated_at: str
    version: int


class UploadUrl(BaseModel):
    upload_url: str = Field(description="PUT the file there, without any other credential.")
    asset_key: str = Field(description="The asset has it as its key once the upload is complete.")
    expires_at: str


class Folder(BaseModel):
    id: int
    name: str
    parent_id: int | None
    assets_count: int = Field(description="Assets right in it.")
    created_at: str
    version: int
