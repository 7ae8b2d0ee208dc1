"""RFC 3339 on the wire, integer Unix milliseconds inside."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def read_time(text: str) -> int:
    """Unix milliseconds of a validated wire time; finer digits are cut off."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def write_time(at: int) -> str:
    """`2026-03-29T14:30:00.000Z` of Unix milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=at)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
