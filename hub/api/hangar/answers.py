"""What is answered to Hangar's clients, for the reference."""

from pydantic import BaseModel, Field, RootModel


class Session(BaseModel):
    token: str = Field(description="A JWT, for the Authorization header.")
    expiresIn: int = Field(description="Milliseconds until it ends.")


class Key(BaseModel):
    createdAt: str
    name: str
    tokenIdentifier: str
    permissions: list[str]
    lastUsed: str | None


class Keys(RootModel[list[Key]]):
    pass


class Permissions(BaseModel):
    type: str
    permissionBinString: str
    permissions: list[str]


class Check(BaseModel):
    type: str
    result: bool


class NameChange(BaseModel):
    oldName: str
    newName: str
    date: str


class User(BaseModel):
    createdAt: str
    name: str
    tagline: str | None
    roles: list[int]
    projectCount: int
    locked: bool
    nameHistory: list[NameChange]
    avatarUrl: str | None
    isOrganization: bool


class Pagination(BaseModel):
    limit: int
    offset: int
    count: int


class Users(BaseModel):
    pagination: Pagination
    result: list[User]
