"""What is answered about people and credentials."""

from pydantic import BaseModel, Field


class Key(BaseModel):
    id: int
    name: str
    prefix: str
    scopes: list[str]
    user_id: int | None = Field(description="Whom the key acts as; it never holds more than their role gives.")
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    last_address: str | None
    last_agent: str | None


class NewSecret(Key):
    key: str = Field(description="Shown this once.")
