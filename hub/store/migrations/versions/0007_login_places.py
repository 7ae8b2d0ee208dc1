"""Networks from which people have signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "login_place",
        sa.Column("user_id", number, nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "network"),
    )
    op.create_index("ix_login_place_used_at", "login_place", ["used_at"])


def downgrade() -> None:
    op.drop_table("login_place")
