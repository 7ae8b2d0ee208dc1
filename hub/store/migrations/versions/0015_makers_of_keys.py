"""Which key, or which grant of a program, an API key was made with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("parent_id", "grant_id"):
        number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
        op.add_column("api_key", sa.Column(name, number, nullable=True))


def downgrade() -> None:
    for name in ("grant_id", "parent_id"):
        op.drop_column("api_key", name)
