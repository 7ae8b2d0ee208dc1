"""The schema's history. `upgrade` brings a database to the newest version inside the caller's connection."""

import sqlite3
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from hub.domain.errors import CannotStart
from hub.store.failures import described
from hub.store.migrations.conformity import difference

_NO_PRIVILEGE = "42501"  # of PostgreSQL's class 42, that of wrong statements
_REMEDY = (
    "It was made or changed by something else than a released version of the hub: go back to a backup that a released "
    "version made, or begin with a new database"
)


def configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("hub.store.migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, place: str) -> None:
    """All missing migrations, oldest first, and then a look at the tables. Safe to call at every start. `place` names
    the database. Raises CannotStart for a newer schema, and for one that is not what its revision says."""
    config = configuration(connection)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    for revision in found:
        if revision not in known:
            raise CannotStart(f"The database was made by a newer version of the hub ({revision}); install that one.")
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        if not _is_of_the_schema(error):
            raise
        raise _unlike(place, ", ".join(found) or "none", described(error)) from error
    if (wrong := difference(connection)) is not None:
        raise _unlike(place, MigrationContext.configure(connection).get_current_heads()[0], wrong)


def _unlike(place: str, revision: str, wrong: str) -> CannotStart:
    return CannotStart(f"The database {place} is not what its revision ({revision}) says: {wrong}. {_REMEDY}.")


def _is_of_the_schema(error: DBAPIError) -> bool:
    """Whether a statement found tables or rows other than it is made for, rather than a database that does not work."""
    cause = error.orig
    if isinstance(cause, sqlite3.IntegrityError):
        return True
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode == sqlite3.SQLITE_ERROR
    state = str(getattr(cause, "sqlstate", None))
    return state[:2] in ("23", "42") and state != _NO_PRIVILEGE
