"""Counts of a day; settings that players reported are cut where they are too many."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_LARGEST = 65_536  # characters; what is stored from now on is smaller


def upgrade() -> None:
    op.create_table(
        "daily_count",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column(
            "subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("day_at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id"),
    )
    op.create_index("ix_daily_count_day_at", "daily_count", ["day_at"])
    # The player says with its next hello what it has.
    op.execute(f"UPDATE player_status SET reported = '{{}}' WHERE length(reported) > {_LARGEST}")
    # The hub's own notes could be written by players.
    status = sa.table("player_status", sa.column("player_id"), sa.column("reported"))
    noted = sa.select(status.c.player_id, status.c.reported).where(status.c.reported.like('%"~%'))
    for player_id, reported in op.get_bind().execute(noted).all():
        own = {name: value for name, value in json.loads(reported).items() if _is_sound(name, value)}
        op.execute(status.update().where(status.c.player_id == player_id).values(reported=json.dumps(own)))


def _is_sound(name: str, value: object) -> bool:
    """Whether a note has the form that the hub gives it; of other settings nothing is said."""
    if name == "~failed":
        return isinstance(value, dict) and all(isinstance(reason, str) for reason in value.values())
    if name == "~picture":
        return isinstance(value, list) and [type(part) for part in value] == [bool, int]
    return not name.startswith("~")


def downgrade() -> None:
    op.drop_table("daily_count")
