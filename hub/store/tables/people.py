"""Teams, their people, and every kind of credential."""

from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class Meta(SQLModel, table=True):
    """Facts about this database: `log_id` names its event log in cursors."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str


class Team(SQLModel, table=True):
    """`content_version` rises with every change of what the team's players might show."""

    __tablename__ = "team"
    id: int | None = c.key()
    name: str
    plan: str
    created_at: int = c.time()
    timezone: str = Field(default="UTC", sa_column_kwargs={"server_default": "UTC"})
    content_version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})


class User(SQLModel, table=True):
    __tablename__ = "users"  # `user` is a reserved word in PostgreSQL
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    email: str = Field(unique=True)
    password_hash: str
    role: str
    created_at: int = c.time()
    version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    locked_at: int | None = c.maybe_time()


class ApiKey(SQLModel, table=True):
    """A key is kept as SHA-256. `scopes` are separated by spaces. `parent_id` is the key that it was made with,
    `grant_id` the grant of a program: it ends with them."""

    __tablename__ = "api_key"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    user_id: int | None = c.ref("users.id", nullable=True, cascade=False)
    name: str
    prefix: str
    digest: str = Field(unique=True)
    scopes: str
    created_at: int = c.time()
    expires_at: int | None = c.maybe_time()
    revoked_at: int | None = c.maybe_time()
    last_used_at: int | None = c.maybe_time()
    last_address: str | None = None
    last_agent: str | None = None
    parent_id: int | None = c.maybe_number()
    grant_id: int | None = c.maybe_number()


class ApiKeyUse(SQLModel, table=True):
    """From where and with what a key was used, and when it last was. What a caller does not tell is an empty text."""

    __tablename__ = "api_key_use"
    key_id: int = c.key_of("api_key.id")
    address: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    used_at: int = c.time()


class LoginPlace(SQLModel, table=True):
    """A network from which a person has signed in: who guesses elsewhere does not use up its tries."""

    __tablename__ = "login_place"
    user_id: int = c.key_of("users.id")
    network: str = Field(primary_key=True)
    used_at: int = c.time(index=True)


class AccountToken(SQLModel, table=True):
    """What a login gives: `<id>|<secret>`, kept as the SHA-256 of the whole."""

    __tablename__ = "account_token"
    id: int | None = c.key()
    user_id: int = c.ref("users.id", index=True)
    team_id: int = c.number()
    digest: str = Field(unique=True)
    created_at: int = c.time()
    expires_at: int = c.time(index=True)
    last_used_at: int | None = c.maybe_time()
    last_address: str | None = None
    last_agent: str | None = None


class OAuthClient(SQLModel, table=True):
    """A third party's program, registered by an admin. Without `secret_digest` it is a public client."""

    __tablename__ = "oauth_client"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    client_id: str = Field(unique=True)
    name: str
    redirect_uris: str = c.json("[]")
    scopes: str
    secret_digest: str | None = None
    created_at: int = c.time()
    version: int = 1


class OAuthCode(SQLModel, table=True):
    """An authorization code: one use, one minute. `grant_id` names the grant that its use began, so that a second use
    ends that grant."""

    __tablename__ = "oauth_code"
    digest: str = Field(primary_key=True)
    client_id: int = c.ref("oauth_client.id", index=True)
    user_id: int = c.ref("users.id", index=True)
    team_id: int = c.number()
    redirect_uri: str
    scopes: str
    challenge: str
    created_at: int = c.time()
    expires_at: int = c.time(index=True)
    grant_id: int | None = c.maybe_number()


class OAuthGrant(SQLModel, table=True):
    """What a user allowed a client: the family of all tokens that follow from one code."""

    __tablename__ = "oauth_grant"
    id: int | None = c.key()
    client_id: int = c.ref("oauth_client.id", index=True)
    user_id: int = c.ref("users.id", index=True)
    team_id: int = c.number()
    scopes: str
    created_at: int = c.time()
    revoked_at: int | None = c.maybe_time()


class OAuthToken(SQLModel, table=True):
    """An access or refresh token of a grant. A refresh token that was used stays until it expires: seen again, it ends
    the grant."""

    __tablename__ = "oauth_token"
    digest: str = Field(primary_key=True)
    grant_id: int = c.ref("oauth_grant.id", index=True)
    kind: str
    scopes: str
    created_at: int = c.time()
    expires_at: int = c.time(index=True)
    used_at: int | None = c.maybe_time()
