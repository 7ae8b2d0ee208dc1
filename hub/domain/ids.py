"""Identifiers and secrets: how they look, how they are made, how they are kept.

A secret is shown once and kept as its SHA-256: it carries 190 bits of chance, so a slow hash would add nothing.
"""

import hashlib
import random
import secrets
import time
import uuid

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: nothing to misread
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

API_KEY_PREFIX = "sbk_"
ACCESS_TOKEN_PREFIX = "sbo_"  # of OAuth 2.0, as is the next
REFRESH_TOKEN_PREFIX = "sbr_"
CLIENT_SECRET_PREFIX = "sbs_"
PLAYER_TOKEN_PREFIX = "sbp_"
WEBHOOK_SECRET_PREFIX = "whsec_"


class _Sortable:
    """Crockford identifiers that sort in the order in which this process made them: 10 characters of time in
    milliseconds, the rest chance, and never smaller than the one before."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._last = 0
        # Unique, not secret: the system's own source would let other threads run at each draw.
        self._chance = random.Random(secrets.randbits(256))

    def next(self) -> str:
        chance = 5 * (self._length - 10)
        value = time.time_ns() // 1_000_000 << chance | self._chance.getrandbits(chance)
        self._last = value if value > self._last else self._last + 1
        return "".join(CROCKFORD[self._last >> shift & 31] for shift in range(5 * (self._length - 1), -1, -5))


_sortable = _Sortable(26)


def earliest(prefix: str, at: int) -> str:
    """What no identifier of this kind made at `at` (Unix ms) or later is smaller than."""
    value = max(0, at)
    return prefix + "".join(CROCKFORD[value >> shift & 31] for shift in range(45, -1, -5))


def number_of(identifier: str) -> int:
    """A number for clients that know ids as integers: the milliseconds of a sortable identifier and its last 12 bits,
    53 in all, so that JavaScript keeps each of them."""
    value = 0
    for character in identifier.partition("_")[2]:
        value = value << 5 | CROCKFORD.index(character)
    return (value >> 80 & (1 << 41) - 1) << 12 | value & 0xFFF


def command_id() -> str:
    return "cmd_" + _sortable.next()


def batch_id() -> str:
    return "bat_" + _sortable.next()


def screen_id() -> str:
    """The player's id on the Hangar.Media face: `scr_` and 13 characters."""
    return "scr_" + _crockford(13)


def schedule_id() -> str:
    """The schedule's, likewise."""
    return "sch_" + _crockford(13)


def content_id() -> str:
    """An asset's, likewise."""
    return "cnt_" + _crockford(13)


def _crockford(length: int) -> str:
    return "".join(secrets.choice(CROCKFORD) for _ in range(length))


def upload_id() -> str:
    return "upl_" + _sortable.next()


def asset_key() -> str:
    """What a direct upload is asked for by, before there is an asset."""
    return "key_" + _sortable.next()


def export_id() -> str:
    return "exp_" + _sortable.next()


def session_id() -> str:
    return "ses_" + _sortable.next()


def _chance(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def new_secret(prefix: str) -> str:
    """A credential: prefix, 8 visible characters to recognise it by, `_`, and 32 secret ones."""
    return f"{prefix}{_chance(8)}_{_chance(32)}"


def visible_part(secret: str) -> str:
    """What lists show of a credential: everything before the secret part."""
    return secret.rpartition("_")[0] or secret.partition(".")[0]


def digest(secret: str) -> str:
    """What is stored in place of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def client_id() -> str:
    """What a third party's program calls itself; no secret."""
    return "app_" + _chance(20)


def login_secret() -> str:
    """The secret part of an account token, `<id>|<secret>`."""
    return _chance(40)


def one_time_password() -> str:
    """Sixteen characters to pass on once; whoever gets it chooses another."""
    return _chance(16)


def identified_key() -> str:
    """An API key as Hangar's clients know them, `<identifier>.<secret>`: two random UUIDs, 122 bits of chance each."""
    return f"{uuid.uuid4()}.{uuid.uuid4()}"


TYPED = "23456789BCDFGHJKMNPQRSTVWXZ"  # no 0 and O, 1 and I, and no vowels that make words


def user_code() -> str:
    """Six characters to read off a screen and type."""
    return "".join(secrets.choice(TYPED) for _ in range(6))


def invitation_code() -> str:
    """Fourteen characters to paste or type at a device, in two halves: it opens a player to whoever has it."""
    return "-".join("".join(secrets.choice(TYPED) for _ in range(7)) for _ in range(2))


def licence_key() -> str:
    """`ADCAST-XXXX-YYYY`, as the devices that send one know it."""
    return "ADCAST-" + "-".join("".join(secrets.choice(TYPED) for _ in range(4)) for _ in range(2))


def device_code() -> str:
    return _chance(40)
