"""Which journal a player had when it was last welcomed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("player", sa.Column("journal_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("player", "journal_id")
