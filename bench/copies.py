"""A large ledger, made by copying in SQL what the product itself has written. For `growing.py`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Connection, Table, func, select, text

from ledger.tables import delivery, event, fact, invoice, line_item, subject

from .firm import Firm

COPIED: Final = (delivery, fact, event, subject, invoice, line_item)
"""Each after those that it refers to."""
NAMES: Final = {
    "delivery": ("delivery_id",),
    "fact": ("about",),
    "event": ("subject", "about"),
    "subject": ("name", "about"),
    "invoice": ("reference",),
}
"""What tells one row from another, and so tells a copy from its original."""
_COPIES_TOGETHER: Final = 20


def multiply(firm: Firm, times: int) -> None:
    """Make a firm's ledger so many times as large; every copy refers to copies only."""
    with firm.line.database.read() as connection:
        stride = max(connection.scalar(select(func.max(table.c.id))) or 0 for table in COPIED)
    for first in range(1, times, _COPIES_TOGETHER):
        last = min(first + _COPIES_TOGETHER, times) - 1

        def copy(connection: Connection, first: int = first, last: int = last) -> None:
            for table in COPIED:
                _copy(connection, table, stride, first, last)

        firm.line.database.write(copy)
    if not firm.line.database.is_sqlite:
        _go_on_counting(firm)


def _copy(connection: Connection, table: Table, stride: int, first: int, last: int) -> None:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_copied(table, column) for column in table.columns)
    connection.execute(
        text(
            "WITH RECURSIVE copies(n) AS (SELECT CAST(:first AS BIGINT) "
            "UNION ALL SELECT n + 1 FROM copies WHERE n < :last) "
            f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM copies, {table.name} t "
            "WHERE t.id <= :stride"
        ),
        {"first": first, "last": last, "stride": stride},
    )


def _copied(table: Table, column: Column[Any]) -> str:
    """Return the SQL of a column's value in copy number n."""
    refers_to_copied = any(key.column.table in COPIED for key in column.foreign_keys)
    if column.primary_key or refers_to_copied:
        return f't."{column.name}" + n * :stride'
    if column.name in NAMES.get(table.name, ()):
        return f"""t."{column.name}" || '+' || n"""
    if (table.name, column.name) == ("invoice", "sequence"):
        return 't."sequence" + n * 100'
    return f't."{column.name}"'


def _go_on_counting(firm: Firm) -> None:
    """Do what PostgreSQL does while it grows row by row: count on, and look at its tables."""
    engine = firm.line.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in COPIED:
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "
                    f"(SELECT max(id) FROM {table.name}))"
                )
            )
            connection.execute(text(f"VACUUM ANALYZE {table.name}"))
