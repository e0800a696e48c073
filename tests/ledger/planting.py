"""How corruptions are planted in the small firm's ledger: SQL behind Billhook's back.

What is planted stands in `corruptions.py` (work and its lines), `corruptions_of_invoices.py` and
`refused.py` (what the database does not let happen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.tables import line_item

OTHER_HASH: Final = "0" * 64
LONG_AGO: Final = "'2026-11-01T08:00:00.000000Z'"
IN_AN_HOUR: Final = "'2026-11-02T10:00:00.000000Z'"
NEVER: Final = "'9999-12-31T00:00:00.000000Z'"
OCTOBER, NOVEMBER, YEN = "acme-2026-10", "acme-2026-11", "beta-2026-10"
_COLUMNS: Final = tuple(column.name for column in line_item.columns if column.name != "id")


@dataclass(frozen=True, slots=True)
class Corruption:
    """A change behind the ledger's back, and what the audit says of it."""

    name: str
    invariant: str
    sql: str
    entity: str
    """The row that is named, as it is or as a query for it (`select ...`), which is asked before
    the change, and after it if nothing was there yet."""
    at_risk: tuple[int, str] | None = None
    """The amount that is named with it."""
    also: tuple[str, ...] = ()
    """Other invariants that the same change breaks of necessity."""


def line(subject: str, state: str) -> str:
    """Return a condition for the line item of a subject that takes nothing back."""
    return (
        f"corrects_id is null and state = '{state}' and "
        f"subject_id = (select id from subject where name = '{subject}')"
    )


def line_id(subject: str, state: str) -> str:
    """Return the query for the name of that line item."""
    return f"select 'line_item:' || id from line_item where {line(subject, state)}"


def subject_id(name: str) -> str:
    """Return the query for the name of a subject."""
    return f"select 'subject:' || id from subject where name = '{name}'"


def invoice(reference: str) -> str:
    """Return a condition for what belongs to an invoice."""
    return f"invoice_id = (select id from invoice where reference = '{reference}')"


def copied(which: str, **values: str) -> str:
    """Return the statement that copies a line, with other values in some columns."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    taken = ", ".join(values.get(name, f'"{name}"') for name in _COLUMNS)
    return f"insert into line_item ({names}) select {taken} from line_item where {which}"


OPEN: Final = {"state": "'open'", "invoice_id": "null"}
"""The values of a copied line that nobody has placed."""
CORRECTION: Final = "(select max(id) from line_item where corrects_id is not null)"
"""Which line takes another one back; the last one."""
