"""Changes that constraints of the schema make impossible: the audit need not look for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.tables import metadata
from tests.ledger.planting import CORRECTION, NOVEMBER


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that the database does not let happen."""

    name: str
    invariant: str
    """What it would break."""
    sql: str


def _again(table: str, which: str, **values: str) -> str:
    """Return the statement that copies a row of a table, without its number."""
    names = [column.name for column in metadata.tables[table].columns if column.name != "id"]
    quoted = ", ".join(f'"{name}"' for name in names)
    taken = ", ".join(values.get(name, f'"{name}"') for name in names)
    return f"insert into {table} ({quoted}) select {taken} from {table} where {which}"


REFUSED: Final = (
    Refused("the same delivery twice", "deliveries", _again("delivery", "id = 1")),
    Refused("the same event twice", "billed once", _again("event", "subject = 'worklog:7'")),
    Refused("two subjects for one thing", "billed once", _again("subject", "name = 'worklog:7'")),
    Refused(
        "a line that is taken back by two lines",
        "corrections",
        _again("line_item", f"id = {CORRECTION}"),
    ),
    Refused(
        "two drafts of one period",
        "places",
        _again("invoice", f"reference = '{NOVEMBER}'", reference="'acme-2026-11-b'"),
    ),
    Refused(
        "two invoices of one reference",
        "contents",
        _again("invoice", f"reference = '{NOVEMBER}'", sequence="77"),
    ),
    Refused("two changes with one key", "intents", _again("intent", "operation = 'create:1'")),
    Refused(
        "one entry of a bank twice",
        "recorded payments",
        "insert into recorded_payment (identity, source, account, entry_reference, amount, "
        'currency, "on", text, state, recorded_by, recorded_at) '
        "select 'x', 'hand', '', '', amount, 'EUR', '2026-11-01', '', 'waiting', 'eve', created_at "
        "from (select 1 as amount union all select 2) as twice "
        "join invoice on reference = 'acme-2026-11'",
    ),
    Refused(
        "two entries at one place of the log",
        "audit log",
        "update audit_entry set position = 1 where position = 2",
    ),
    Refused(
        "a line whose event was deleted",
        "origins",
        "delete from event where subject = 'worklog:7'",
    ),
    Refused(
        "a line without rules",
        "origins",
        "update line_item set mapping_version = null where id = 1",
    ),
    Refused(
        "rules that are deleted from under their lines", "rules", "delete from mapping_version"
    ),
)
"""What constraints of the schema make impossible."""
