"""Which messages from outside were done by which alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "alert_source",
        sa.Column("team_id", number, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("alert_id", number, nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "source"),
    )
    op.create_index("ix_alert_source_alert_id", "alert_source", ["alert_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_alert_source_alert_id", "alert_source")
    op.drop_table("alert_source")
