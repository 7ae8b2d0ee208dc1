"""Run by alembic: the connection comes from the caller, never from a file."""

from alembic import context
from sqlmodel import SQLModel

import hub.store.tables  # noqa: F401  (fills the metadata)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,  # SQLite's is, with transactions that begin where we say: a crash leaves no half schema
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
