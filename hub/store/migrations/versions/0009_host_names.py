"""The host name of a device that waits for approval."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pairing", sa.Column("host_name", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("pairing", "host_name")
