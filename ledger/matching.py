"""Matches the entries of a bank statement with invoices: by reference and amount, never by guess.

An entry belongs to an invoice if its text has the invoice's reference, or its number at the
billing system, as a whole word, and no other one's. All else is a question to a person. What is
matched is stored at once; a preview is the same, rolled back by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, true

from .bank import Entry
from .money import Money
from .recording import BY_HAND, Recorder, add, count, obstacle, take_back
from .retold import Retold
from .tables import invoice, payment, recorded_payment

SHORTEST_NUMBER: Final = 6
"""Characters of a number that is looked for: a shorter one may stand in any text by chance."""
_WORD: Final = re.compile(r"\w+(?:[-._]+\w+)*")
_RUN: Final = re.compile(r"\w+(?:[-._/]+\w+)*")
_MOST_SEGMENTS: Final = 8
_TOGETHER: Final = 400
_DONE: Final = ("paid", "overpaid", "refunded", "partially_refunded")

WAYS: Final = ("paid", "partly paid", "overpaid", "taken back", "question", "known", "passed over")
"""What becomes of an entry."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of one entry."""

    entry: Entry
    way: str
    """One of `WAYS`."""
    why: str
    """For a person; of a question also what to do."""
    invoice: str | None = None
    payment: int | None = None
    """The number of the recorded payment."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command tells it."""
        amount = Money(self.entry.amount, self.entry.currency)
        return {
            "way": self.way,
            "invoice": self.invoice,
            "why": self.why,
            "payment": self.payment,
            "amount": amount.as_json(),
            "on": self.entry.on.isoformat(),
            "text": self.entry.text,
            "payer": self.entry.payer,
            "bank_reference": self.entry.entry_reference or None,
        }


def import_entries(connection: Connection, entries: Sequence[Entry], by: Recorder) -> list[Matched]:
    """Store entries and count those that belong to an invoice; return what became of each.

    What undoes an earlier entry comes last, because that may stand in the same file.
    """
    named = _named(connection, entries)
    in_order = sorted(entries, key=lambda entry: entry.is_reversal)
    retold = Retold(connection, entries)
    return [_match(connection, entry, named[entry], by, retold) for entry in in_order]


def words_of(entry: Entry) -> set[str]:
    """Return the whole words of an entry's texts, in lower case.

    A word goes on over "-", "." and "_" inside of it. Banks break long texts anywhere: so they are
    read once with a space and once with nothing between their lines. Numbers may have a "/" too.
    """
    found: set[str] = set()
    for text in (" ".join(entry.texts), "".join(entry.texts)):
        lowered = text.casefold()
        found.update(_WORD.findall(lowered))
        for run in _RUN.findall(lowered):
            parts = [part for part in run.split("/") if part]
            for start in range(len(parts)):
                for end in range(start + 2, min(len(parts), start + _MOST_SEGMENTS) + 1):
                    found.add("/".join(parts[start:end]))
    return found


def _named(connection: Connection, entries: Sequence[Entry]) -> Mapping[Entry, list[str]]:
    """Return for each entry the references of the invoices that its text names."""
    words = {entry: words_of(entry) for entry in entries}
    by_word: dict[str, set[str]] = {}
    wanted = {word for each in words.values() for word in each if any(map(str.isdigit, word))}
    reference, number = func.lower(invoice.c.reference), func.lower(invoice.c.remote_number)
    for some in _chunks(sorted(wanted)):
        rows = connection.execute(
            select(invoice.c.reference, invoice.c.remote_number).where(
                invoice.c.kind == "invoice", or_(reference.in_(some), number.in_(some))
            )
        )
        for row in rows:
            by_word.setdefault(row.reference.casefold(), set()).add(row.reference)
            if row.remote_number and len(row.remote_number) >= SHORTEST_NUMBER:
                by_word.setdefault(row.remote_number.casefold(), set()).add(row.reference)
    return {
        entry: sorted({name for word in each for name in by_word.get(word, ())})
        for entry, each in words.items()
    }


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while some := list(islice(rest, _TOGETHER)):
        yield some


def _match(
    connection: Connection, entry: Entry, named: list[str], by: Recorder, retold: Retold
) -> Matched:
    known = connection.execute(
        select(recorded_payment.c.id, recorded_payment.c.state, invoice.c.reference)
        .outerjoin(invoice, invoice.c.id == recorded_payment.c.invoice_id)
        .where(recorded_payment.c.identity == entry.identity())
    ).first()
    if known is not None:
        why = f"is payment {known.id} already, which is {known.state}"
        return Matched(entry, "known", why, known.reference, known.id)
    if entry.is_reversal and entry.amount < 0:
        return _undo(connection, entry, named, by)
    if entry.is_reversal or entry.amount <= 0:
        what = "money of ours came back" if entry.amount > 0 else "money went out"
        if not named or entry.amount == 0:
            return Matched(entry, "passed over", what)
        why = f"{what}, and it names {', '.join(named)}: is it a refund?"
        return _ask(connection, entry, why, by)
    row = _only(connection, named)
    same = retold.find(entry, None if row is None else row["id"])
    if same is not None:
        why = f"is payment {same['id']}, told by {same['source']} before"
        values = {"state": "same", "reason": why, "about_id": same["id"]}
        add(connection, _values(entry, same["invoice_id"], **values), by)
        return Matched(entry, "known", why, None if row is None else row["reference"], same["id"])
    if row is None:
        several = f"names several invoices: {', '.join(named)}"
        return _ask(connection, entry, several if named else "names no invoice of ours", by)
    return _pay(connection, entry, row, by)


def _pay(connection: Connection, entry: Entry, row: RowMapping, by: Recorder) -> Matched:
    """Count an entry on the one invoice that it names, if nothing is in the way."""
    reference = row["reference"]
    problem = obstacle(connection, row, by.connectors)
    if row["connector"] not in by.connectors and row["payment"] in _DONE:
        why = f"{row['connector']} knows of it already"
        number = add(connection, _values(entry, row["id"], state="set aside", reason=why), by)
        return Matched(entry, "known", why, reference, number)
    if problem is None and entry.currency != row["currency"]:
        problem = f"is in {row['currency']}, and this came in {entry.currency}"
    if problem is None:
        problem = _recorded_by_hand(connection, entry, row)
    if problem is not None:
        return _ask(connection, entry, f"{reference}: {problem}", by, row)
    before = _remaining(connection, row)
    number = add(connection, _values(entry, row["id"], state="counted"), by)
    if number is None:
        return Matched(entry, "known", "is being recorded just now", reference)
    count(connection, number, row, by)
    after = Money(before - entry.amount, row["currency"])
    if after.minor == 0:
        return Matched(entry, "paid", "all that was owed", reference, number)
    if after.minor > 0:
        return Matched(entry, "partly paid", f"{after} are still owed", reference, number)
    return Matched(entry, "overpaid", f"{-after} more than was owed", reference, number)


def _undo(connection: Connection, entry: Entry, named: list[str], by: Recorder) -> Matched:
    """Take back the one payment that a reversal is about."""
    table = recorded_payment
    rows = connection.execute(
        select(table, invoice.c.reference)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(
            table.c.state == "counted",
            table.c.amount == -entry.amount,
            table.c.currency == entry.currency,
            _of_its_account(entry),
            table.c.on <= entry.on,
        )
    ).mappings()
    found = [
        row
        for row in rows
        if row["reference"] in named
        or (entry.entry_reference and row["entry_reference"] == entry.entry_reference)
        or (entry.text and row["text"] == entry.text)
    ]
    if len(found) != 1:
        what = "no payment" if not found else f"{len(found)} payments"
        return _ask(connection, entry, f"takes back a payment, and {what} of ours fits", by)
    (undone,) = found
    values = {"state": "takes back", "reason": f"payment {undone['id']}", "about_id": undone["id"]}
    number = add(connection, _values(entry, undone["invoice_id"], **values), by)
    why = f"the bank took back payment {undone['id']}"
    take_back(connection, undone["id"], by, reason=f"by the bank on {entry.on}")
    return Matched(entry, "taken back", why, undone["reference"], number)


def _of_its_account(entry: Entry) -> ColumnElement[bool]:
    """Return the condition of payments on an entry's account; where one is not told, any fits."""
    if not entry.account:
        return true()
    return recorded_payment.c.account.in_((entry.account, ""))


def _recorded_by_hand(connection: Connection, entry: Entry, row: RowMapping) -> str | None:
    """Return what makes an entry look like a payment that a person has recorded on another day."""
    table, again = recorded_payment, recorded_payment.alias("again")
    is_told = select(again.c.id).where(again.c.about_id == table.c.id, again.c.state == "same")
    found = connection.execute(
        select(table.c.id, table.c.recorded_by, table.c.on)
        .where(
            table.c.invoice_id == row["id"],
            table.c.state == "counted",
            table.c.source.in_(BY_HAND),
            table.c.amount == entry.amount,
            table.c.on != entry.on,
            ~is_told.exists(),
        )
        .limit(1)
    ).first()
    if found is None:
        return None
    return f"may be payment {found.id}, which {found.recorded_by} recorded for {found.on}"


def _ask(
    connection: Connection, entry: Entry, why: str, by: Recorder, row: RowMapping | None = None
) -> Matched:
    """Keep an entry as a question to a person."""
    invoice_id = None if row is None else row["id"]
    number = add(connection, _values(entry, invoice_id, state="waiting", reason=why), by)
    return Matched(entry, "question", why, None if row is None else row["reference"], number)


def _only(connection: Connection, named: list[str]) -> RowMapping | None:
    """Return the only invoice that is named and hold its row, None if there is not just one."""
    if len(named) != 1:
        return None
    query = select(invoice).where(invoice.c.reference == named[0]).with_for_update()
    return connection.execute(query).mappings().one()


def _remaining(connection: Connection, row: RowMapping) -> int:
    left = connection.scalar(
        select(payment.c.remaining)
        .where(payment.c.invoice_id == row["id"])
        .order_by(payment.c.id.desc())
        .limit(1)
    )
    return int(row["total"] if left is None else left)


def _values(entry: Entry, invoice_id: int | None, **more: Any) -> dict[str, Any]:
    return {
        "identity": entry.identity(),
        "source": entry.source,
        "account": entry.account,
        "entry_reference": entry.entry_reference,
        "amount": entry.amount,
        "currency": entry.currency,
        "on": entry.on,
        "text": entry.text,
        "payer": entry.payer,
        "invoice_id": invoice_id,
        **more,
    }
