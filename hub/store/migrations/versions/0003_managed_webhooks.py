"""Webhooks that are paused, rotated and replayed; what the last attempt of a delivery was."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FAILED = sa.text("state = 'failed'")
_TAKEN = sa.text("taken_by IS NOT NULL")


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("old_secret", sa.String(), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("replay_after", _number(), nullable=True),
        sa.Column("replay_upto", _number(), nullable=True),
        sa.Column("replay_all", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("webhook", column)
    op.add_column("delivery", sa.Column("last_url", sa.String(), nullable=True))
    op.add_column("delivery", sa.Column("last_ms", sa.Integer(), nullable=True))
    op.add_column("delivery", sa.Column("taken_by", sa.String(), nullable=True))
    op.create_index(
        "ix_delivery_taken", "delivery", ["taken_by"], unique=False, sqlite_where=_TAKEN, postgresql_where=_TAKEN
    )
    op.create_index(
        "ix_delivery_failed",
        "delivery",
        ["webhook_id", "event_id"],
        unique=False,
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_failed", "delivery", sqlite_where=_FAILED, postgresql_where=_FAILED)
    op.drop_index("ix_delivery_taken", "delivery", sqlite_where=_TAKEN, postgresql_where=_TAKEN)
    for name in ("taken_by", "last_ms", "last_url"):
        op.drop_column("delivery", name)
    for name in ("replay_all", "replay_upto", "replay_after", "old_secret_until", "old_secret", "version", "paused_at"):
        op.drop_column("webhook", name)
