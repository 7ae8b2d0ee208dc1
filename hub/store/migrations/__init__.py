"""The schema's history. `upgrade` brings a database to the newest version inside the caller's connection."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.domain.errors import CannotStart


def configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("hub.store.migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """All missing migrations, oldest first. Safe to call at every start. Raises CannotStart for a newer schema."""
    config = configuration(connection)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise CannotStart(f"The database was made by a newer version of the hub ({revision}); install that one.")
    command.upgrade(config, "head")
