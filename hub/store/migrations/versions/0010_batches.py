"""A team's batches in the order of their list."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_batch_team", "batch", ["team_id", "id"])
    op.drop_index("ix_batch_team_id", "batch")


def downgrade() -> None:
    op.create_index("ix_batch_team_id", "batch", ["team_id"])
    op.drop_index("ix_batch_team", "batch")
