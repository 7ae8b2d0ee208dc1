from tests.api.v1.conftest import hub, nobody, owner, player, stranger

__all__ = ["hub", "nobody", "owner", "player", "stranger"]
