"""Small quotas for tests."""

from hub.domain.quotas import Limits, Quotas


def all_plans(**limits: int) -> Quotas:
    """These limits on every plan, and those of the product for all other quotas."""
    return Quotas({name: Limits(limit, limit, limit, limit) for name, limit in limits.items()})


def settings_of(**limits: int) -> dict[str, dict[str, int]]:
    """The same as a group of settings."""
    return {name: dict.fromkeys(Limits._fields, limit) for name, limit in limits.items()}
