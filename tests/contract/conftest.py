"""The documents' calls are tried on the same running hub, by the same people, as the API's own tests."""

from tests.api.v1.conftest import hub, nobody, owner, player, stranger

__all__ = ["hub", "nobody", "owner", "player", "stranger"]
