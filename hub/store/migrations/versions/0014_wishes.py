"""Numbers of what operators want players to be set to, so that the last word stands; who has opened a pairing code."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("player", sa.Column("wishes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("player", sa.Column("wished", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("command", sa.Column("wish", sa.BigInteger(), nullable=True))
    op.add_column("pairing", sa.Column("user_id", NUMBER, nullable=True))
    op.add_column("pairing", sa.Column("credential", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("pairing", "credential")
    op.drop_column("pairing", "user_id")
    op.drop_column("command", "wish")
    op.drop_column("player", "wished")
    op.drop_column("player", "wishes")
