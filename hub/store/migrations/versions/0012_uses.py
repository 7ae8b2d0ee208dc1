"""From where API keys are used, and what screenshots show."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_key_use",
        sa.Column("key_id", Id, sa.ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("agent", sa.String(), primary_key=True),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
    )
    op.add_column("screenshot", sa.Column("asset_id", Id, nullable=True))
    op.add_column("screenshot", sa.Column("asset_name", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("screenshot", "asset_name")
    op.drop_column("screenshot", "asset_id")
    op.drop_table("api_key_use")
