"""What the hello of each connection said of the device, for judging evidence by it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_session_epoch", "player_session", ["player_id", "epoch"])
    op.add_column("player_session", sa.Column("boot_id", sa.String(), nullable=True))
    op.add_column("player_session", sa.Column("agent_version", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_index("ix_session_epoch", "player_session")
    op.drop_column("player_session", "agent_version")
    op.drop_column("player_session", "boot_id")
