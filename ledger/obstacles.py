"""Why a draft must not go out, and why a person should look at it. Called by `assembly.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, select

from .invoices import InvoiceDraft, PrintedLine
from .layouts import Layout
from .money import Money
from .printing import NumberedLine
from .purchase_orders import too_late
from .sums import HELD, HELD_OVER_A_CAP, ROUNDING
from .tables import invoice

if TYPE_CHECKING:
    from .assembly import Terms
    from .homes import Home

VAGUE: Final = (
    "consulting",
    "consulting services",
    "development",
    "miscellaneous",
    "professional services",
    "services",
    "services rendered",
    "various",
    "work",
)
"""Texts that customers send back: a line that says only this blocks its draft."""
_TOO_EARLY: Final = "its period begins on "
_REMAP: Final = "activate the rules, then run `flask events remap --customer {}`"
"""What is priced already keeps its text and its period until a person asks for new ones."""


def reasons_against(
    draft: InvoiceDraft, terms: Terms, lines: Sequence[NumberedLine], *, is_first: bool
) -> list[str]:
    """Return why a draft must not go out, each with what to do; empty if nothing is wrong.

    `is_first` says that nothing was ever billed to the customer.
    """
    reasons = []
    if terms.waits_for_agreement and is_first:
        reasons.append(
            "nobody has agreed to the terms yet - when somebody has, write agreed: {on: ..., "
            "by: ...} with the day and the name in the customer's rule file"
        )
    if terms.purchase_order:
        reasons += too_late(terms.purchase_order, [each.line.on for each in lines])
    reasons += _without_tax(draft, terms, lines)
    if terms.needs_purchase_order and not draft.purchase_order:
        reasons.append(
            "the customer needs a purchase order number - write purchase_order: in its rule file"
        )
    if not draft.customer.email:
        reasons.append("nobody to send it to - write billing_email: in the customer's rule file")
    if draft.days_until_due is None:
        reasons.append('no payment terms - write terms: "net 30" in the customer\'s rule file')
    vague = {_plain(text) for text in (*VAGUE, *terms.vague_texts)}
    reasons += [
        f'line {number} says only "{line.description}" - give its rule a description that names '
        f"the work, {_REMAP.format(draft.customer.key)}"
        for number, line in enumerate(draft.lines, 1)
        if _is_vague(line, vague, draft.layout)
    ]
    if len(draft.lines) > terms.most_lines:
        reasons.append(
            f"{len(draft.lines)} lines, and {terms.send_to} takes {terms.most_lines} - sum entries "
            f"up with one_line_per:, or invoice more often, {_REMAP.format(draft.customer.key)}"
        )
    if draft.total.minor < 0:
        reasons.append(
            f"the total is {Money(draft.total.minor, draft.currency)} - it waits for more work, or "
            "for a credit note that a person writes"
        )
    return reasons


def too_early_for(
    draft: InvoiceDraft, home: Home, lines: Sequence[NumberedLine], terms: Terms
) -> list[str]:
    """Return why a draft of a period to come must wait for it; empty if it need not.

    What is carried over is the period's own only once it has begun: until then work of earlier
    periods may change how much it is.
    """
    is_agreed = any(each.line.kind == "agreement" for each in lines)
    if not is_agreed or not draft.lines:
        return []
    if home.period.first <= terms.current_period(home.period.schedule).first:
        return []
    return [
        f"{_TOO_EARLY}{home.period.first} - what is carried over to it may change until "
        "then; nothing has to be done, it is a draft on that day"
    ]


def no_longer_too_early(connection: Connection, today: Mapping[str, date]) -> list[str]:
    """Return the customers who have a draft that waits for its period, and that has begun.

    `today` is the day where each customer is. They are to be assembled again.
    """
    rows = connection.execute(
        select(invoice.c.customer, invoice.c.reasons, invoice.c.period_from).where(
            invoice.c.state == "blocked", invoice.c.customer.in_(today)
        )
    )
    return sorted(
        {
            row.customer
            for row in rows
            if row.period_from <= today[row.customer]
            and any(reason.startswith(_TOO_EARLY) for reason in row.reasons)
        }
    )


def _without_tax(draft: InvoiceDraft, terms: Terms, lines: Sequence[NumberedLine]) -> Iterator[str]:
    """Yield what is wrong with lines that were priced before there were taxes."""
    count = sum(
        not each.line.tax and each.line.corrects_id is None and each.line.kind in ("entry", "sum")
        for each in lines
    )
    if terms.tax_words and count:
        told = f"{count} of its line items were priced before taxes: was written"
        yield f"{told} - {_REMAP.format(draft.customer.key)}"


def _is_vague(line: PrintedLine, vague: set[str], layout: Layout) -> bool:
    text = line.description
    for label in layout.labels:
        text = text.removeprefix(f"{label.text}: ")
    text = _plain(text)
    return not text or (text in vague and line.description != ROUNDING)


def _plain(text: str) -> str:
    """Return a text in small letters, its words parted by single spaces."""
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def warnings_about(lines: Sequence[NumberedLine], *, takes_back: bool | None = None) -> list[str]:
    """Return why a person should look before it goes out, although nothing is wrong.

    Whether it takes something back may be known already.
    """
    warnings = []
    if takes_back is None:
        takes_back = any(
            each.line.corrects_id is not None
            or (each.line.amount < 0 and each.line.kind not in ("agreement", "discount"))
            for each in lines
        )
    if takes_back:
        warnings.append("it takes back what was billed before")
    if any(each.line.pool.startswith(HELD) for each in lines):
        warnings.append(HELD_OVER_A_CAP)
    return warnings
