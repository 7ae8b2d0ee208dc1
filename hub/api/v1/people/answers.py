"""What is answered about people and credentials."""

from pydantic import BaseModel, Field


class Key(BaseModel):
    id: int
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    last_address: str | None
    last_agent: str | None


class NewSecret(Key):
    key: str = Field(description="Shown this once.")
