"""OAuth 2.0: clients, codes, grants and tokens. Secrets are kept as SHA-256.

Writers take turns (`Database.transaction`), so what is read in a transaction stays true until its end.
"""

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.domain.access import Credential
from hub.domain.errors import NotFound
from hub.store.pairing import void_of
from hub.store.statements import Statement, Unit
from hub.store.tables import OAuthClient, OAuthCode, OAuthGrant, OAuthToken, Team, User

_FORGET_CODES = Statement("DELETE FROM oauth_code WHERE expires_at < :before")
_FORGET_TOKENS = Statement("DELETE FROM oauth_token WHERE expires_at < :now")
_FORGET_GRANTS = Statement("""
    DELETE FROM oauth_grant WHERE NOT EXISTS (SELECT 1 FROM oauth_token WHERE oauth_token.grant_id = oauth_grant.id)""")


async def clients(session: AsyncSession, team_id: int) -> list[OAuthClient]:
    query = select(OAuthClient).where(col(OAuthClient.team_id) == team_id)
    return list((await session.exec(query.order_by(col(OAuthClient.id)))).all())


async def client(session: AsyncSession, team_id: int, number: int) -> OAuthClient:
    query = select(OAuthClient).where(col(OAuthClient.id) == number, col(OAuthClient.team_id) == team_id)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound
    return found


async def client_by_name(session: AsyncSession, client_id: str) -> OAuthClient | None:
    """By the name that the client calls itself by."""
    return (await session.exec(select(OAuthClient).where(col(OAuthClient.client_id) == client_id))).first()


async def code(session: AsyncSession, digest: str) -> OAuthCode | None:
    return await session.get(OAuthCode, digest)


async def token(session: AsyncSession, digest: str, kind: str | None = None) -> tuple[OAuthToken, OAuthGrant] | None:
    """A token with its grant, which is still in force."""
    query = (
        select(OAuthToken, OAuthGrant)
        .join(OAuthGrant, col(OAuthGrant.id) == col(OAuthToken.grant_id))
        .where(col(OAuthToken.digest) == digest, col(OAuthGrant.revoked_at).is_(None))
    )
    if kind is not None:
        query = query.where(col(OAuthToken.kind) == kind)
    return (await session.exec(query)).first()


async def bearer(session: AsyncSession, digest: str) -> tuple[OAuthToken, User, Team] | None:
    """An access token, with whom it stands for."""
    query = (
        select(OAuthToken, User, Team)
        .join(OAuthGrant, col(OAuthGrant.id) == col(OAuthToken.grant_id))
        .join(User, col(User.id) == col(OAuthGrant.user_id))
        .join(Team, col(Team.id) == col(User.team_id))
        .where(col(OAuthToken.digest) == digest, col(OAuthToken.kind) == "access", col(OAuthGrant.revoked_at).is_(None))
    )
    return (await session.exec(query)).first()


async def grants(
    session: AsyncSession,
    team_id: int,
    *,
    client_id: int | None = None,
    grant_id: int | None = None,
    user_id: int | None = None,
) -> list[tuple[OAuthGrant, OAuthClient, User]]:
    """What people of the team have allowed and is in force."""
    query = (
        select(OAuthGrant, OAuthClient, User)
        .join(OAuthClient, col(OAuthClient.id) == col(OAuthGrant.client_id))
        .join(User, col(User.id) == col(OAuthGrant.user_id))
        .where(col(OAuthGrant.team_id) == team_id, col(OAuthGrant.revoked_at).is_(None))
    )
    if client_id is not None:
        query = query.where(col(OAuthGrant.client_id) == client_id)
    if grant_id is not None:
        query = query.where(col(OAuthGrant.id) == grant_id)
    if user_id is not None:
        query = query.where(col(OAuthGrant.user_id) == user_id)
    return list((await session.exec(query.order_by(col(OAuthGrant.id)))).all())


async def grant(session: AsyncSession, grant_id: int) -> OAuthGrant | None:
    """A grant that is still in force."""
    query = select(OAuthGrant).where(col(OAuthGrant.id) == grant_id, col(OAuthGrant.revoked_at).is_(None))
    return (await session.exec(query)).first()


async def ends_at(session: AsyncSession, grant_id: int) -> int | None:
    """When a grant that is in force is over unless its tokens are renewed; None: it is over."""
    query = select(func.max(OAuthToken.expires_at)).join(OAuthGrant, col(OAuthGrant.id) == col(OAuthToken.grant_id))
    return (
        await session.exec(query.where(col(OAuthToken.grant_id) == grant_id, col(OAuthGrant.revoked_at).is_(None)))
    ).first()


async def end(session: AsyncSession, found: OAuthGrant, now: int) -> None:
    """The grant is over; its tokens are gone, and pairing codes that were opened by it are void."""
    found.revoked_at = now
    session.add(found)
    await session.flush()
    await session.exec(delete(OAuthToken).where(col(OAuthToken.grant_id) == found.id))
    await void_of(session, credential=Credential("grant", found.id or 0))


async def drop_codes(session: AsyncSession, user_id: int) -> None:
    """Codes that this person has allowed, and that were not exchanged yet, are good for nothing."""
    await session.exec(delete(OAuthCode).where(col(OAuthCode.user_id) == user_id, col(OAuthCode.grant_id).is_(None)))


def forget(now: int, codes_before: int) -> Unit:
    """Unit: codes that ended before `codes_before`, tokens that have ended, and grants that are left without any."""
    yield _FORGET_CODES(before=codes_before)
    yield _FORGET_TOKENS(now=now)
    yield _FORGET_GRANTS()
