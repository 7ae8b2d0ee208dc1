"""What is answered about people and credentials."""

from pydantic import BaseModel, Field


class Key(BaseModel):
    id: int
    name: str
    prefix: str
    scopes: list[str]
    user_id: int | None = Field(description="Whom the key acts as; it never holds more than their role gives.")
    parent_id: int | None = Field(description="The key that it was made with, and ends with.")
    grant_id: int | None = Field(description="What a person allowed to the program that made it; it ends with that.")
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    last_address: str | None
    last_agent: str | None


class KeyUse(BaseModel):
    used_at: str = Field(description="The last time.")
    address: str | None
    agent: str | None = Field(description="The User-Agent.")


class KeyDetail(Key):
    uses: list[KeyUse] = Field(
        description="From where and with what the key was used, newest first: the latest ten addresses and programs."
    )


class NewSecret(Key):
    key: str = Field(description="Shown this once.")


class Member(BaseModel):
    id: int
    name: str
    email: str
    role: str
    locked: bool
    created_at: str
    version: int


class MemberPassword(Member):
    password: str | None = Field(None, description="Only when the hub made it; shown this once.")


class Team(BaseModel):
    id: int
    name: str
    plan: str
    timezone: str


class TeamDetail(Team):
    created_at: str


class TeamPlan(BaseModel):
    id: int
    name: str
    plan: str
    created_at: str


class Quota(BaseModel):
    name: str
    limit: int
    used: int | None
    unit: str | None = Field(description="bytes; null for what is counted.")
    description: str = Field(description="What is counted.")


class TeamQuotas(BaseModel):
    plan: str
    quotas: list[Quota]


class Person(BaseModel):
    id: int
    name: str
    email: str
    role: str
    locked: bool
    created_at: str


class Me(BaseModel):
    kind: str = Field(description="key or user.")
    id: int = Field(description="Of the key or the person.")
    name: str
    credential: str | None = Field(description="key, login or grant.")
    role: str | None = Field(description="Of the person behind it.")
    scopes: list[str]
    user: Person | None = Field(description="The person that the caller acts as.")
    team: Team


class OAuthClient(BaseModel):
    id: int
    client_id: str = Field(description="What the program calls itself.")
    name: str
    redirect_uris: list[str]
    scopes: list[str] = Field(description="What it may ask for.")
    confidential: bool
    created_at: str
    version: int


class OAuthClientSecret(OAuthClient):
    client_secret: str | None = Field(description="Of a confidential client, shown this once.")


class OAuthGrant(BaseModel):
    id: int
    client_id: str
    client: str
    user_id: int
    user: str
    scopes: list[str] = Field(description="What was allowed; never more than the person's role gives.")
    created_at: str
