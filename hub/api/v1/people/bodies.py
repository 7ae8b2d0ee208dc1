"""What callers send about people and credentials."""

from typing import Annotated

from pydantic import Field

from hub.api.v1.bodies import Moment, Name, Strict, example
from hub.domain.times import parse

MAX_SCOPES = 20


class NewKey(Strict):
    model_config = example(
        name="Dashboard", scopes=["read:players", "write:players"], expires_at="2030-01-01T00:00:00Z"
    )

    name: Name
    scopes: list[Annotated[str, Field(max_length=40)]] = Field(
        min_length=1, max_length=MAX_SCOPES, description="Nobody grants what they lack."
    )
    expires_at: Moment | None = Field(None, description="Without it the key lives until it is revoked.")

    @property
    def expires_ms(self) -> int | None:
        return None if self.expires_at is None else parse(self.expires_at)
