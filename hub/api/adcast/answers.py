"""What is answered to AdCast's clients, for the reference."""

from pydantic import BaseModel, Field


class Tenant(BaseModel):
    id: int
    name: str
    plan: str


class User(BaseModel):
    id: int
    name: str
    email: str
    role: str = Field(description="tenant_admin, admin, operator or viewer.")


class UserWithTenant(User):
    tenant: Tenant


class LoggedIn(BaseModel):
    token: str = Field(description="For `Authorization: Bearer`; shown this once.")
    user: User
    tenant: Tenant


class CurrentUser(BaseModel):
    user: UserWithTenant
