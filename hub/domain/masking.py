"""Secrets that are told to a device come back in its own words; nobody who reads those is to learn them."""

import re
from collections.abc import Iterable, Mapping, Sequence

MASK = "****"
SECRET_NAMES = frozenset({"pin"})
"""Names of values that are secret wherever they stand."""


def secrets_in(value: object) -> frozenset[str]:
    """What stands under such a name in JSON data, at any depth."""
    if isinstance(value, Mapping):
        own = {str(each) for name, each in value.items() if name in SECRET_NAMES and isinstance(each, str | int)}
        return frozenset(own.union(*map(secrets_in, value.values())))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return frozenset().union(*map(secrets_in, value))
    return frozenset()


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets. Digits between other digits are another number."""
    known = "|".join(re.escape(secret) for secret in sorted(filter(None, secrets), key=len, reverse=True))
    return re.sub(rf"(?<!\d)(?:{known})(?!\d)", MASK, text) if known else text


def masked(value: object, secrets: Iterable[str] = ()) -> object:
    """JSON data without these secrets, and without what stands under a secret's name."""
    known = tuple(secrets)
    if isinstance(value, Mapping):
        return {
            masked_text(name, known): MASK if name in SECRET_NAMES and each is not None else masked(each, known)
            for name, each in value.items()
        }
    if isinstance(value, str):
        return masked_text(value, known)
    if isinstance(value, Sequence):
        return [masked(each, known) for each in value]
    return MASK if type(value) in (int, float) and str(value) in known else value
