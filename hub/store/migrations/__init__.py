"""The schema's history. `upgrade` brings a database to the newest version inside the caller's connection."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("hub.store.migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """All missing migrations, oldest first. Safe to call at every start."""
    command.upgrade(configuration(connection), "head")
