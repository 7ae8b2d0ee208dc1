"""A message may be done by several alerts, and be settled without any."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cap_message",
        sa.Column("team_id", _id(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "source"),
    )
    op.create_index("ix_cap_message_settled_at", "cap_message", ["settled_at"])
    op.execute(
        "INSERT INTO cap_message (team_id, source, settled_at) SELECT alert_source.team_id, source, alert.created_at "
        "FROM alert_source JOIN alert ON alert.id = alert_source.alert_id"
    )
    op.create_table(
        "alert_part",
        sa.Column("team_id", _id(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("alert_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "source", "part"),
    )
    op.create_index("ix_alert_part_alert_id", "alert_part", ["alert_id"])
    op.execute(
        "INSERT INTO alert_part (team_id, source, part, alert_id) "
        "SELECT team_id, source, '', alert_id FROM alert_source"
    )
    op.drop_table("alert_source")


def downgrade() -> None:
    op.create_table(
        "alert_source",
        sa.Column("team_id", _id(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("alert_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "source"),
    )
    op.create_index("ix_alert_source_alert_id", "alert_source", ["alert_id"], unique=False)
    op.execute(
        "INSERT INTO alert_source (team_id, source, alert_id) "
        "SELECT team_id, source, MIN(alert_id) FROM alert_part GROUP BY team_id, source"
    )
    op.drop_index("ix_alert_part_alert_id", "alert_part")
    op.drop_table("alert_part")
    op.drop_index("ix_cap_message_settled_at", "cap_message")
    op.drop_table("cap_message")
