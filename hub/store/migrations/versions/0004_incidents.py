"""Rules that raise alerts by themselves, incidents, their mail; opening hours."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("location", sa.Column("opening_hours", sa.Text(), nullable=True))
    op.create_index("ix_player_status_telemetry_at", "player_status", ["telemetry_at"])
    op.create_index(
        "ix_command_finished",
        "command",
        ["team_id", "finished_at", "state"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_table(
        "alert_rule",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("team_id", _id(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("thresholds", sa.Text(), nullable=False),
        sa.Column("for_minutes", sa.Integer(), nullable=False),
        sa.Column("everyone", sa.Boolean(), nullable=False),
        sa.Column("emails", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("watches_since", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_rule_team_id", "alert_rule", ["team_id"])
    op.create_table(
        "alert_rule_target",
        sa.Column("rule_id", _id(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule_id", "kind", "target_id"),
    )
    op.create_table(
        "incident",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("team_id", _id(), nullable=False),
        sa.Column("rule_id", _id(), nullable=False),
        sa.Column("player_id", _id(), nullable=False),
        sa.Column("rule_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("screen_id", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("measured", sa.Text(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_note", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("resolved_note", sa.Text(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("over_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    for name, columns, where, unique in (
        ("ux_incident_ongoing", ["player_id", "rule_id"], "over_at IS NULL", True),
        ("ix_incident_due", ["due_at"], "due_at IS NOT NULL", False),
        ("ix_incident_over", ["over_at"], "over_at IS NOT NULL", False),
    ):
        condition = sa.text(where)
        op.create_index(name, "incident", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
    op.create_index("ix_incident_team", "incident", ["team_id", "id"])
    op.create_index("ix_incident_player", "incident", ["player_id", "id"])
    op.create_table(
        "incident_mail",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("incident_id", _id(), nullable=False),
        sa.Column("rule_id", _id(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_incident_mail_incident_id", "incident_mail", ["incident_id"])
    op.create_index("ix_mail_rule", "incident_mail", ["rule_id", "created_at"])
    op.create_index(
        "ix_mail_next",
        "incident_mail",
        ["next_at", "id"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )


def downgrade() -> None:
    for table in ("incident_mail", "incident", "alert_rule_target", "alert_rule"):
        op.drop_table(table)
    op.drop_index("ix_command_finished", "command")
    op.drop_index("ix_player_status_telemetry_at", "player_status")
    op.drop_column("location", "opening_hours")
