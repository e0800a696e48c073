"""Assemble: the open line items of one customer become drafts, one for each billing period.

One worker at a time assembles a customer. A draft follows its lines until it is pushed;
whenever its content changes, an approval that it had is void.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, select, update

from .auditlog import note
from .claims import Claim, hold_one, released
from .errors import StaleClaimError
from .invoices import BilledCustomer, InvoiceDraft, PrintedLine
from .money import Money
from .printing import NumberedLine, print_lines
from .subjects import line_from_row
from .sums import ROUNDING, Agreement, SumUp, bring_in_line, nothing_counts
from .tables import customer, invoice, line_item

QUIET: Final = timedelta(seconds=5)
"""How long a draft must have stayed as it is before it is approved by rule: deliveries come in
bursts, and one that is a moment late belongs on the same invoice."""
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
_REMAP: Final = "activate the rules, then run `flask events remap --customer {}`"
"""What is priced already keeps its text and its period until a person asks for new ones."""


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period: its schedule's word and its first and last day."""

    schedule: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Terms:
    """How a customer is billed: everything that assembling needs to know of the rules."""

    customer: BilledCustomer
    currency: str
    send_to: str
    days_until_due: int | None
    purchase_order: str | None
    needs_purchase_order: bool
    memo: str | None
    footer: str | None
    approval: str
    """by hand or automatic."""
    after_push: str
    """draft, finalize or send: what is done with the remote draft."""
    vague_texts: tuple[str, ...]
    most_lines: int
    """The most lines that the customer's billing system takes."""
    current_period: Callable[[str], Period]
    """Gives the period of a schedule that today belongs to, in the customer's time zone."""
    due_at: Callable[[date], datetime]
    """Gives the moment, in UTC, at which a last day is over in the customer's time zone."""
    sum_up: SumUp = nothing_counts
    """Gives what the counted lines of a pool come to."""
    agreements: tuple[Agreement, ...] = ()
    """What looks at priced lines together, in the order in which it is applied."""


@dataclass(frozen=True, slots=True)
class _Home:
    """The draft that a line belongs on: there is one for each of these."""

    currency: str
    period: Period
    sequence: int


def assemble(connection: Connection, claimed: Claim, terms: Terms | None, now: datetime) -> None:
    """Bring the claimed customer's drafts in line with its open line items; end the claim.

    `terms` is None if the rules no longer know the customer: its drafts stay as they are and
    the reason is shown.
    """
    customer_id = hold_one(connection, claimed)
    row = connection.execute(select(customer).where(customer.c.id == customer_id)).one()
    if terms is not None:
        _assemble(connection, row.key, terms, now)
    reason = None if terms else "no rule file is about this customer any more"
    connection.execute(
        update(customer)
        .where(customer.c.id == customer_id)
        .values(state="settled", reason=reason, **released())
    )


def _assemble(connection: Connection, key: str, terms: Terms, now: datetime) -> None:
    bring_in_line(connection, key, terms.sum_up, terms.agreements, now)
    drafts = _drafts(connection, key)
    frozen = _frozen(connection, key)
    lines: dict[_Home, list[NumberedLine]] = {home: [] for home in drafts}
    rows = connection.execute(
        select(line_item).where(line_item.c.customer == key, line_item.c.state == "open")
    ).mappings()
    placed = {draft["id"]: home for home, draft in drafts.items()}
    moves: dict[_Home, list[int]] = {}
    for row in rows:
        line = line_from_row(row)
        period = Period(line.schedule, line.period_from, line.period_to)
        home = _home(line.currency, period, frozen, placed.get(row["invoice_id"]), terms)
        lines.setdefault(home, []).append(NumberedLine(row["id"], line))
        if home not in drafts or drafts[home]["id"] != row["invoice_id"]:
            moves.setdefault(home, []).append(row["id"])
    corrected = _corrected(connection, [each for some in lines.values() for each in some])
    for home, some in sorted(lines.items(), key=lambda pair: _sort_key(pair[0])):
        invoice_id = _save(connection, key, home, drafts.get(home), some, corrected, terms, now)
        if invoice_id is not None and home in moves:
            connection.execute(
                update(line_item)
                .where(line_item.c.id.in_(moves[home]))
                .values(invoice_id=invoice_id)
            )


def _home(
    currency: str,
    period: Period,
    frozen: Mapping[tuple[str, str, date], int],
    placed: _Home | None,
    terms: Terms,
) -> _Home:
    """Return the draft for a line: its own period's, or today's if that was billed already."""
    billed = frozen.get((currency, period.schedule, period.first), 0)
    if not billed:
        return _Home(currency, period, 1)
    if placed is not None and placed.currency == currency:
        # It came late, and waits on a draft already: it does not wander on as days go by.
        return placed
    current = terms.current_period(period.schedule)
    later = frozen.get((currency, current.schedule, current.first), 0)
    return _Home(currency, current, later + 1)


def _drafts(connection: Connection, key: str) -> dict[_Home, Mapping[str, Any]]:
    rows = connection.execute(
        select(invoice).where(invoice.c.customer == key, invoice.c.is_frozen.is_(False))
    ).mappings()
    return {
        _Home(
            row["currency"],
            Period(row["schedule"], row["period_from"], row["period_to"]),
            row["sequence"],
        ): dict(row)
        for row in rows
    }


def _frozen(connection: Connection, key: str) -> dict[tuple[str, str, date], int]:
    """Return the highest sequence number that was billed, for each period."""
    rows = connection.execute(
        select(
            invoice.c.currency,
            invoice.c.schedule,
            invoice.c.period_from,
            func.max(invoice.c.sequence).label("highest"),
        )
        .where(invoice.c.customer == key, invoice.c.is_frozen.is_(True))
        .group_by(invoice.c.currency, invoice.c.schedule, invoice.c.period_from)
    )
    return {(row.currency, row.schedule, row.period_from): row.highest for row in rows}


def _corrected(connection: Connection, lines: Iterable[NumberedLine]) -> dict[int, str]:
    ids = {each.line.corrects_id for each in lines if each.line.corrects_id is not None}
    if not ids:
        return {}
    rows = connection.execute(
        select(line_item.c.id, invoice.c.reference)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.id.in_(ids))
    )
    return {row.id: row.reference for row in rows}


def _save(
    connection: Connection,
    key: str,
    home: _Home,
    known: Mapping[str, Any] | None,
    lines: Sequence[NumberedLine],
    corrected: Mapping[int, str],
    terms: Terms,
    now: datetime,
) -> int | None:
    printed = print_lines(lines, corrected)
    draft = InvoiceDraft(
        reference=known["reference"]
        if known
        else _free_reference(connection, key, home, terms.currency),
        customer=terms.customer,
        currency=home.currency,
        lines=printed,
        period_from=home.period.first,
        period_to=home.period.last,
        days_until_due=terms.days_until_due,
        purchase_order=terms.purchase_order,
        memo=terms.memo,
        footer=terms.footer,
        send_to=terms.send_to,
    )
    blocks = reasons_against(draft, terms)
    state = "canceled" if not printed else "blocked" if blocks else "draft"
    values = {
        "reasons": blocks if printed else ["nothing is left to bill"],
        "warnings": warnings_about(lines),
        "content": draft.as_json(),
        "content_hash": draft.content_hash(),
        "total": draft.total.minor,
        "approval": terms.approval,
        "after_push": terms.after_push,
        "due_at": terms.due_at(home.period.last),
        "connector": terms.send_to,
    }
    if known is None:
        created = connection.execute(
            insert(invoice)
            .values(
                reference=draft.reference,
                customer=key,
                currency=home.currency,
                schedule=home.period.schedule,
                period_from=home.period.first,
                period_to=home.period.last,
                sequence=home.sequence,
                state=state,
                is_frozen=False,
                revision=1,
                created_at=now,
                next_at=now + QUIET,
                attempts=0,
                is_overdue=False,
                **values,
            )
            .returning(invoice.c.id)
        ).scalar_one()
        _tell(connection, draft, None, state, 1, now)
        return int(created)
    is_same = known["state"] == state == "canceled" or (
        known["content_hash"] == values["content_hash"]
        and (known["state"] == state or (known["state"] == "approved" and state == "draft"))
    )
    if is_same:
        unchanged = {
            name: values[name]
            for name in ("reasons", "warnings", "approval", "after_push", "due_at")
        }
        connection.execute(update(invoice).where(invoice.c.id == known["id"]).values(unchanged))
        return int(known["id"])
    revision = known["revision"] + 1
    changed = connection.execute(
        update(invoice)
        .where(
            and_(
                invoice.c.id == known["id"],
                invoice.c.state == known["state"],
                invoice.c.is_frozen.is_(False),
            )
        )
        .values(
            state=state, revision=revision, problem=None, attempts=0, next_at=now + QUIET, **values
        )
    )
    if changed.rowcount != 1:
        # It was approved, or its push has begun, since the drafts were read: the next try sees it.
        raise StaleClaimError(f"{draft.reference} has just been approved or pushed")
    _tell(connection, draft, known["state"], state, revision, now)
    return int(known["id"])


def _tell(
    connection: Connection,
    draft: InvoiceDraft,
    before: str | None,
    state: str,
    revision: int,
    now: datetime,
) -> None:
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.assembled",
        entity=f"invoice:{draft.reference}",
        before=before,
        state=state,
        revision=revision,
        content_hash=draft.content_hash(),
        total=draft.total.minor,
        currency=draft.currency,
    )


def _free_reference(connection: Connection, key: str, home: _Home, usual_currency: str) -> str:
    """Return the number of a new draft.

    A customer whose usual currency has changed may have an invoice of the same number in the old
    one; then the new one's number names its currency.
    """
    usual = reference_of(key, home.currency, home.period, home.sequence, usual_currency)
    taken = select(invoice.c.id).where(invoice.c.reference == usual)
    if connection.execute(taken).first() is None:
        return usual
    return reference_of(key, home.currency, home.period, home.sequence, "")


def reference_of(
    key: str, currency: str, period: Period, sequence: int, usual_currency: str
) -> str:
    """Return our number of a draft: customer, period and, from the second on, a count.

    >>> october = Period("monthly", date(2026, 10, 1), date(2026, 10, 31))
    >>> reference_of("acme", "EUR", october, 1, "EUR")
    'acme-2026-10'
    """
    if period.schedule == "monthly":
        label = f"{period.first:%Y-%m}"
    elif period.schedule == "at once":
        label = f"{period.first:%Y-%m-%d}"
    else:
        label = f"{period.first:%G-W%V}"
        if period.schedule != "weekly":
            label += f"-{period.last:%V}"
    parts = [key, label]
    if currency != usual_currency:
        parts.append(currency)
    if sequence > 1:
        parts.append(str(sequence))
    return "-".join(parts)


def reasons_against(draft: InvoiceDraft, terms: Terms) -> list[str]:
    """Return why a draft must not go out, each with what to do; empty if nothing is wrong."""
    reasons = []
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
        if _is_vague(line, vague)
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


def _is_vague(line: PrintedLine, vague: set[str]) -> bool:
    text = _plain(line.description)
    return not text or (text in vague and line.description != ROUNDING)


def _plain(text: str) -> str:
    """Return a text in small letters, its words parted by single spaces."""
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def warnings_about(lines: Sequence[NumberedLine]) -> list[str]:
    """Return why a person should look before it goes out, although nothing is wrong."""
    if any(
        each.line.corrects_id is not None
        or (each.line.amount < 0 and each.line.kind != "agreement")
        for each in lines
    ):
        return ["it takes back what was billed before"]
    return []


def _sort_key(home: _Home) -> tuple[object, ...]:
    return (home.currency, home.period.schedule, home.period.first, home.sequence)
