"""How migrations make indexes on tables that may have rows: without holding up who writes there.

A build that was cut off leaves an index that is not valid; the next run makes it anew.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from alembic import op

# Of each statement that others may wait for.
LIMITS: Final = {"lock_timeout": "4s", "statement_timeout": "5s"}
# What a caller says whose own transaction the migrations run in: nobody writes beside it.
WITHIN = "within_transaction"


def create_indexes(definitions: Mapping[str, str]) -> None:
    """`definitions` are of the index by its name, from ON on: `"ON sessions (name)"`.

    Those that are there are left. Ends the transaction of what the revision did before.
    """
    with _own_statements() as how:
        execute = op.get_bind().exec_driver_sql
        for name, definition in definitions.items():
            if not _is_valid(name):
                execute(f"DROP INDEX {how} IF EXISTS {name}")
                execute(f"CREATE INDEX {how} {name} {definition}")


def drop_indexes(*names: str) -> None:
    """Without waiting for who reads there, and without making others wait for that."""
    with _own_statements() as how:
        for name in names:
            op.get_bind().exec_driver_sql(f"DROP INDEX {how} IF EXISTS {name}")


@contextmanager
def _own_statements() -> Iterator[str]:
    """The word with which each statement is a transaction of its own; it blocks nobody, so that it
    may wait and take as long as the table needs."""
    context = op.get_context()
    if context.config is not None and context.config.attributes.get(WITHIN):
        yield ""
        return
    with context.autocommit_block():
        execute = op.get_bind().exec_driver_sql
        for name in LIMITS:
            execute(f"SET {name} = 0")
        yield "CONCURRENTLY"
        for name, limit in LIMITS.items():
            execute(f"SET {name} = '{limit}'")


def _is_valid(name: str) -> bool:
    found = op.get_bind().exec_driver_sql(
        f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')"  # noqa: S608
    )
    return bool(found.scalar())
