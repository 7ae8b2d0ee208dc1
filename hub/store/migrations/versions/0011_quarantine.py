"""Why a player was quarantined, and by whom."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("player", sa.Column("quarantine_reason", sa.String(), nullable=True))
    op.add_column("player", sa.Column("quarantined_by", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("player", "quarantined_by")
    op.drop_column("player", "quarantine_reason")
