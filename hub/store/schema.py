"""The schema at a start: brought up to date and compared with the tables of this version, unless a mark in the database
says that exactly this schema was found right by exactly this version. Both looks take a second, the mark milliseconds.
"""

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

_NAME = "schema"  # in the table `meta`

_OF_SQLITE = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"

_OF_POSTGRES = """
    SELECT 'column', c.relname, a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
            pg_get_expr(d.adbin, d.adrelid))
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    ORDER BY 1, 2, 3, 4"""

_MARK = text("""
    INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value""")


def bring_up_to_date(connection: Connection, place: str) -> None:
    """All missing migrations, and then a look at the tables. Safe to call at every start. `place` names the database.
    Raises CannotStart for a newer schema, and for one that is not what its revision says."""
    if _is_marked(connection):
        return
    from hub.store.migrations import upgrade  # with alembic, which most starts do not need

    upgrade(connection, place)
    connection.execute(_MARK, {"name": _NAME, "value": _fingerprint(connection)})


def _is_marked(connection: Connection) -> bool:
    try:
        with connection.begin_nested():
            mark = connection.scalar(text("SELECT value FROM meta WHERE name = :name"), {"name": _NAME})
            return mark is not None and mark == _fingerprint(connection)
    except DBAPIError:  # no such table yet, or not the one that we know; whoever looks closer tells why
        return False


def _fingerprint(connection: Connection) -> str:
    """Of the schema that is there and of the code that says what it should be."""
    said = hashlib.sha256()
    for folder in ("migrations", "migrations/versions", "tables"):
        for file in sorted(files("hub.store").joinpath(folder).iterdir(), key=_name):
            if file.name.endswith(".py"):
                said.update(f"{file.name}\n".encode() + file.read_bytes())
    for statement in (
        "SELECT version_num FROM alembic_version ORDER BY 1",
        _OF_SQLITE if connection.dialect.name == "sqlite" else _OF_POSTGRES,
    ):
        for row in connection.execute(text(statement)):
            said.update(f"{tuple(row)!r}\n".encode())
    return said.hexdigest()


def _name(file: Traversable) -> str:
    return file.name
