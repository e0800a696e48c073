"""Work that is opened again after it was billed: taken back, left to a person, or told of.

Which of these, says the rule under which it was billed. Called by `subjects.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from .auditlog import note
from .corrections import KnownLine, LineItem, standing
from .tables import invoice, line_item
from .verdicts import GONE, Verdict

CREDIT, HOLD, FLAG = "credit", "hold", "flag"
REOPENED: Final = {
    CREDIT: "it is taken back",
    HOLD: "it stays billed, and a person decides",
    FLAG: "it stays billed, and a note says so",
}
"""What happens to work that is opened again after it was billed: the rule says that billed it."""
OPENED_AGAIN: Final = ("milestone.reopened", "work.reopened")
TAKE_BACK, KEEP = "take back", "keep"
"""What a person may decide about it, see `settling.py`."""

Reopened = Callable[[LineItem], str]
"""Says what happens to a billed line whose work is opened again: of `REOPENED`."""


def taken_back(line: LineItem) -> str:  # noqa: ARG001
    """Return what happens where the rules do not say: what was billed is taken back."""
    return CREDIT


def opened_again(
    connection: Connection,
    row: Mapping[str, Any],
    known: Sequence[KnownLine],
    reopened: Reopened,
    now: datetime,
) -> Verdict:
    """Return what becomes of work that was opened again: what was billed of it by its rule's word.

    What is not billed is off its draft in any case.
    """
    billed = standing(known)
    words = {reopened(each.line) for each in billed}
    word = row["settled"] or next((each for each in (HOLD, FLAG) if each in words), CREDIT)
    if not billed or word in (CREDIT, TAKE_BACK):
        return GONE
    references = connection.scalars(
        select(invoice.c.reference)
        .join(line_item, line_item.c.invoice_id == invoice.c.id)
        .where(line_item.c.id.in_([each.id for each in billed]))
        .distinct()
    )
    what = f"it was opened again after it was billed on {', '.join(sorted(references))}"
    if word == HOLD:
        todo = f"decide: `flask events settle {row['subject']}` with --take-back or --keep"
        what = f"{what} - {todo}"
    else:
        what = f"{what}; it stays billed ({'a person decided so' if word == KEEP else FLAG})"
    if what != row["was_for"]:
        entity, detail = f"subject:{row['subject_id']}", {"subject": row["subject"], "told": what}
        note(connection, now, actor="billhook", action="subject.reopened", entity=entity, **detail)
    payers = tuple(dict.fromkeys(each.line.customer for each in billed))
    return Verdict(
        "held" if word == HOLD else "priced",
        customer=payers[0],
        rule=billed[0].line.rule,
        reason=what,
        payers=payers if len(payers) > 1 else (),
        keeps=True,
    )
