"""Passwords: argon2id, in threads, two at a time, so that a flood of logins leaves the machine to the players."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.domain.errors import Unavailable
from hub.services.threads import in_thread

PASSWORD_LENGTH: Final = (8, 200)  # characters
AT_ONCE: Final = 2  # each takes 64 MiB and about 50 ms of a core
WAITING: Final = 100  # strangers, and as many who are known: five seconds of work; whoever comes then is to come back


class Passwords:
    """`hasher` decides what a new hash costs; a hash says itself how it was made."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[bool] = Counter()  # by whether they are known

    async def hash(self, password: str) -> str:
        async with self._place(known=False):
            return await in_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str, *, known: bool = False) -> bool:
        """Whether the password is the one of this hash. Without a hash it never is, and takes as long. Who is `known`
        finds room to wait whatever strangers do."""
        async with self._place(known):
            right = await in_thread(self._verified, password_hash, password)
        return right and password_hash is not None

    @asynccontextmanager
    async def _place(self, known: bool) -> AsyncIterator[None]:
        """One of the places at work, after a wait in a queue of bounded length. Raises Unavailable when it is full."""
        if self._waiting[known] >= WAITING:
            raise busy()
        self._waiting[known] += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting[known] -= 1
        try:
            yield
        finally:
            self._turn.release()

    def _verified(self, password_hash: str | None, password: str) -> bool:
        if self._nobodys is None:  # made with the first login of anybody: it must not tell that there is no account
            self._nobodys = self._hasher.hash(secrets.token_hex(16))
        try:
            return self._hasher.verify(password_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False


def busy() -> Unavailable:
    return Unavailable("Too many people log in at this moment.", code="busy", retry_after=5)
