"""Passwords: argon2id, in threads, two at a time, so that a flood of logins leaves the machine to the players."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.domain.errors import Unavailable

PASSWORD_LENGTH: Final = (8, 200)  # characters
AT_ONCE: Final = 2  # each takes 64 MiB and about 50 ms of a core
WAITING: Final = 100  # five seconds of work; whoever comes then is asked to come back

_HASHER: Final = PasswordHasher()
# What is verified when there is no such account: an unknown address takes as long as a wrong password.
_NOBODYS: Final = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"


class Passwords:
    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        async with _Place(self):
            return await asyncio.to_thread(_HASHER.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one of this hash. Without a hash it never is, and takes as long."""
        async with _Place(self):
            right = await asyncio.to_thread(_verified, password_hash or _NOBODYS, password)
        return right and password_hash is not None


class _Place:
    """One of the places at work, after a wait in a queue of bounded length. Raises Unavailable when that is full."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def __aenter__(self) -> None:
        passwords = self._passwords
        if passwords._waiting >= WAITING:
            raise Unavailable("Too many people log in at this moment.", code="busy", retry_after=5)
        passwords._waiting += 1
        try:
            await passwords._turn.acquire()
        finally:
            passwords._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._passwords._turn.release()


def _verified(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
