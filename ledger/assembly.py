"""Assemble: the open line items of one customer become drafts, one for each billing period.

One worker at a time assembles a customer. A draft follows its lines until it is pushed;
whenever its content changes, an approval that it had is void.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select, update

from . import amending, crediting, releasing
from .claims import Claim, hold_one, needing, released
from .drafts import NOTHING_LEFT, Checked, back_to_pushed, change, contents, save
from .errors import StaleClaimError
from .handwork import Arranged, Handwork, corrected_references, seen
from .homes import (
    NEXT_INVOICE,
    Billed,
    Home,
    LatePolicy,
    OpenLine,
    Period,
    homes_of,
    is_held,
    no_policy,
    reference_of,
)
from .invoices import BilledCustomer, InvoiceDraft, Particulars, draft_from_json
from .layouts import Label, Layout
from .obstacles import reasons_against, too_early_for, warnings_about
from .printing import NumberedLine, numbered, print_lines, settled
from .purchase_orders import PurchaseOrder, Use, not_counted, use_of
from .subjects import line_from_row, withdraw_lines
from .sums import Agreement, SumUp, bring_in_line, nothing_counts
from .tables import customer, invoice, line_item
from .taxes import TaxWords
from .timesheets import BilledHours, TimesheetRow, timesheet_of
from .under_way import awaited, reasons_to_wait


def as_it_is(draft: InvoiceDraft, schedule: str) -> InvoiceDraft:  # noqa: ARG001
    """Return a draft whose memo and footer have no words to fill in."""
    return draft


@dataclass(frozen=True, slots=True)
class Terms:
    """How a customer is billed: everything that assembling needs to know of the rules."""

    customer: BilledCustomer
    currency: str
    send_to: str
    days_until_due: int | None
    purchase_order: PurchaseOrder | None
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
    tax_words: Mapping[str, TaxWords] = field(default_factory=dict)
    """How each tax is called, by its code; empty: nothing was said of taxes."""
    particulars: Particulars = field(default_factory=Particulars)
    waits_for_agreement: bool = False
    """Nobody has agreed to the terms: the first draft is blocked."""
    approvers: tuple[str, ...] = ()
    """Who approves each draft, in this order; empty: anybody who may."""

    order: tuple[str, ...] = ()
    """What lines are ordered by: of `layouts.ORDERS`."""
    rules: tuple[str, ...] = ()
    """The names of the rules as they stand in the file."""
    corrections: str = crediting.NEXT_INVOICE
    """Where corrections of what was billed go: of `crediting.POLICIES`."""
    take_credit_notes: frozenset[str] = frozenset()
    """The connectors that take credit notes."""
    late: LatePolicy = no_policy
    """Says where work of a rule goes whose period was billed already; see `homes.py`."""
    period_name: Callable[[Period], str] = str
    """Gives the name of a period in the customer's language: "October 2026"."""
    billed_hours: BilledHours | None = None
    """Gives the hours that a line bills; None: no timesheet goes with the invoices."""
    worded: Callable[[InvoiceDraft, str], InvoiceDraft] = as_it_is
    """Fills in the words of memo and footer; takes the period's schedule too."""


def assemble(connection: Connection, claimed: Claim, terms: Terms | None, now: datetime) -> None:
    """Bring the claimed customer's drafts in line with its open line items; end the claim.

    `terms` is None if the rules no longer know the customer: its drafts stay as they are, but for
    those of which nothing is left, and the reason is shown.
    """
    customer_id = hold_one(connection, claimed)
    row = connection.execute(select(customer).where(customer.c.id == customer_id)).one()
    if terms is not None:
        _assemble(connection, row.key, terms, now)
    else:
        _cancel_emptied(connection, row.key, now)
    seen(connection, row.key)
    reason = None if terms else "no rule file is about this customer any more"
    connection.execute(
        update(customer)
        .where(customer.c.id == customer_id)
        .values(
            state="settled",
            reason=reason,
            **needing(customer, now, is_needed=reason is not None),
            **released(),
        )
    )


def _assemble(connection: Connection, key: str, terms: Terms, now: datetime) -> None:
    hand = Handwork.of(connection, key)
    bring_in_line(
        connection,
        key,
        terms.sum_up,
        terms.agreements,
        now,
        hold_back=lambda: hand.hold_back(connection, key),
    )
    drafts = _drafts(connection, key)
    frozen, void = _frozen(connection, key)
    released = releasing.released_work(connection, key)
    lines: dict[Home, list[NumberedLine]] = {home: [] for home in drafts}
    rows = (
        connection.execute(
            select(line_item)
            .where(
                line_item.c.customer == key,
                line_item.c.state == "open",
                # What is held back, and what takes its place from the draft that it is given on.
                line_item.c.edit_id.is_(None),
            )
            .order_by(line_item.c.id)
        )
        .mappings()
        .all()
    )
    found = _open_lines(rows, drafts, released)
    on_pushed, pushed = amending.changed_there(connection, [each.line for each in found])
    notes = crediting.notes_for(connection, key, found, terms.corrections)
    homes = notes.homes(
        found,
        lambda on_notes: homes_of(
            found, frozen, terms.late, terms.current_period, void, {**on_notes, **on_pushed}
        ),
    )
    drafts |= {home: pushed[home] for home in homes.values() if home in pushed} | notes.drafts
    lines |= {home: [] for home in notes.drafts}
    subject_of = {each.id: each.subject_id for each in found}
    waits_for = awaited(connection, key, found)
    stood = {each.id: released.of(each.subject_id, each.line) for each in found}
    moves: dict[Home, list[int]] = {}
    for row, each in zip(rows, found, strict=True):
        home = homes[each.id]
        lines.setdefault(home, []).append(numbered(row))
        if home not in drafts or drafts[home]["id"] != row["invoice_id"]:
            moves.setdefault(home, []).append(each.id)
    every = {
        home: [*amending.billed_lines(connection, drafts[home]), *some]
        if home in drafts and drafts[home]["pushed_content"] is not None
        else some
        for home, some in lines.items()
    }
    corrected = corrected_references(connection, [each for some in every.values() for each in some])
    arranged = hand.arrange(connection, every, drafts, corrected, now)
    places: dict[Home, int] = {}
    for home, work in sorted(lines.items(), key=lambda pair: _sort_key(pair[0])):
        known, by_hand = drafts.get(home), arranged[home]
        amended = known if known and known["pushed_content"] is not None else None
        some = [*work, *by_hand.discounts]
        if amended and not some and not amending.has_tried(connection, amended):
            back_to_pushed(connection, amended, now)
            continue
        all_lines = [*every[home], *by_hand.discounts]
        draft = _draft(connection, key, home, known, all_lines, corrected, terms, by_hand, notes)
        if known is None and not draft.lines:
            # Late entries that change nothing: they wait for an invoice that goes out anyway.
            continue
        use = None if home.credits else _use_of_order(connection, home, known, draft, terms)
        takes_back = amending.takes_back(work, subject_of) if amended else None
        checked = Checked(
            reasons_to_wait(work, waits_for)
            + (
                crediting.reasons_against_note(draft.send_to, terms.take_credit_notes)
                if home.credits
                else reasons_against(draft, terms, all_lines, is_first=not frozen)
                + too_early_for(draft, home, all_lines, terms)
            )
            + (use.reasons() if use else [])
            + ([amending.reason_of(amended)] if amended and amending.is_undecided(amended) else []),
            warnings_about(some, takes_back=takes_back)
            + releasing.warnings(one for each in work for one in stood[each.id])
            + ([] if amended or home.key in void else _late_warnings(home, work, terms))
            + by_hand.warnings
            + _other_currency(home, terms)
            + (use.warnings() if use else []),
            use,
        )
        places[home] = invoice_id = save(connection, home, known, draft, checked, terms, now)
        if known is None:
            moves.setdefault(home, []).extend(each.id for each in by_hand.discounts)
        if home in moves:
            _move(connection, moves[home], invoice_id)
    hand.keep(connection, places)


def _move(connection: Connection, ids: Sequence[int], invoice_id: int) -> None:
    """Put open lines onto a draft; raise StaleClaimError if one was billed since it was read."""
    is_open = and_(line_item.c.id.in_(ids), line_item.c.state == "open")
    moved = connection.execute(update(line_item).where(is_open).values(invoice_id=invoice_id))
    if moved.rowcount != len(ids):
        # The push of the draft that it was on has begun: the next try sees it.
        raise StaleClaimError("a push has just begun of what was on another draft")


def _cancel_emptied(connection: Connection, key: str, now: datetime) -> None:
    """Cancel the drafts whose lines have all gone, say to another customer."""
    for known in _drafts(connection, key).values():
        is_on = and_(line_item.c.invoice_id == known["id"], line_item.c.state == "open")
        kinds = dict(
            connection.execute(select(line_item.c.id, line_item.c.kind).where(is_on)).all()
        )
        # A discount that a person gave goes with what it is taken off.
        if known["state"] == "canceled" or set(kinds.values()) - {"discount"}:
            continue
        withdraw_lines(connection, list(kinds))
        if amending.is_amended(known):
            if not amending.has_tried(connection, known):
                back_to_pushed(connection, known, now)
            continue
        draft = replace(draft_from_json(known["content"]), lines=(), timesheet=None)
        emptied = contents(draft, [NOTHING_LEFT])
        nothing = {"warnings": [], "order_use": None, **emptied}
        change(connection, known, draft, "canceled", nothing, now)


def _open_lines(
    rows: Sequence[Mapping[Any, Any]],
    drafts: Mapping[Home, Mapping[str, Any]],
    released: releasing.ReleasedWork,
) -> list[OpenLine]:
    # A canceled draft holds nothing that should wait there; an amended one only what corrects it.
    placed = {
        draft["id"]: home
        for home, draft in drafts.items()
        if draft["state"] != "canceled" and not amending.is_amended(draft)
    }
    of_pool = {
        row["pool"]: placed[row["invoice_id"]]
        for row in rows
        if row["pool"] and row["invoice_id"] in placed
    }
    # A late entry waits where the others of its pool wait, for what they come to together.
    return [
        OpenLine(
            row["id"],
            row["subject_id"],
            line_from_row(row),
            placed.get(row["invoice_id"]) or of_pool.get(row["pool"]),
            is_released=row["subject_id"] in released.subjects,
        )
        for row in rows
    ]


def _drafts(connection: Connection, key: str) -> dict[Home, Mapping[str, Any]]:
    rows = connection.execute(
        select(invoice).where(invoice.c.customer == key, invoice.c.is_frozen.is_(False))
    ).mappings()
    return {amending.home_of(row): dict(row) for row in rows if row["kind"] == "invoice"}


def _frozen(connection: Connection, key: str) -> tuple[dict[Billed, int], set[Billed]]:
    """Return the highest sequence number that was billed for each period, and which are void.

    In those no invoice stands any more.
    """
    stands = and_(invoice.c.released_at.is_(None), invoice.c.state != "canceled")
    rows = connection.execute(
        select(
            invoice.c.currency,
            invoice.c.schedule,
            invoice.c.period_from,
            func.max(invoice.c.sequence).label("highest"),
            func.max(case((stands, 1), else_=0)).label("stands"),
        )
        .where(
            invoice.c.customer == key,
            invoice.c.kind == "invoice",
            or_(invoice.c.is_frozen.is_(True), invoice.c.pushed_content.is_not(None)),
        )
        .group_by(invoice.c.currency, invoice.c.schedule, invoice.c.period_from)
    ).all()
    highest = {(row.currency, row.schedule, row.period_from): row.highest for row in rows}
    void = {(row.currency, row.schedule, row.period_from) for row in rows if not row.stands}
    return highest, void


def _draft(
    connection: Connection,
    key: str,
    home: Home,
    known: Mapping[str, Any] | None,
    lines: Sequence[NumberedLine],
    corrected: Mapping[int, str],
    terms: Terms,
    hand: Arranged,
    notes: crediting.Notes,
) -> InvoiceDraft:
    layout = replace(layout_of(home, lines, terms), texts=hand.texts, first=hand.first)
    if known:
        reference = known["reference"]
    elif home.credits:
        reference = notes.reference(connection, home)
    else:
        reference = _free_reference(connection, key, home, terms.currency)
    if home.credits:
        send_to = notes.credits[home]["connector"]
    else:
        # What stands at one system is changed there, wherever new invoices go.
        send_to = known["connector"] if known and known["pushed_content"] else terms.send_to
    draft = InvoiceDraft(
        reference=reference,
        customer=terms.customer,
        currency=home.currency,
        lines=print_lines(lines, corrected, layout),
        period_from=home.period.first,
        period_to=home.period.last,
        days_until_due=terms.days_until_due,
        purchase_order=terms.purchase_order.number if terms.purchase_order else None,
        memo=terms.memo,
        footer=terms.footer,
        send_to=send_to,
        credits=home.credits or None,
        tax_words=terms.tax_words,
        particulars=terms.particulars,
        layout=layout,
        timesheet=_timesheet(lines, corrected, terms),
    )
    return terms.worded(draft, home.period.schedule)


def _use_of_order(
    connection: Connection,
    home: Home,
    known: Mapping[str, Any] | None,
    draft: InvoiceDraft,
    terms: Terms,
) -> Use | None:
    if terms.purchase_order is None or home.currency != terms.currency:
        return None
    place = (home.period.first, home.period.schedule, home.sequence)
    own_id = known["id"] if known else None
    return use_of(connection, terms.purchase_order, draft.customer.key, draft.net, place, own_id)


def _other_currency(home: Home, terms: Terms) -> list[str]:
    order = terms.purchase_order
    return not_counted(order, home.currency, terms.currency) if order else []


def layout_of(home: Home, lines: Sequence[NumberedLine], terms: Terms) -> Layout:
    """Return how the lines of a draft are arranged by the terms."""
    here = {each.line.rule for each in lines}
    late = {
        (each.line.rule, OpenLine(each.id, None, each.line, None).period)
        for each in lines
        if terms.late(each.line.rule) == NEXT_INVOICE
    }
    labels = (
        Label(rule, period.first, terms.period_name(period))
        for rule, period in late
        if period != home.period
    )
    return Layout(
        order=terms.order,
        rules=tuple(rule for rule in terms.rules if rule in here) if "rule" in terms.order else (),
        labels=tuple(sorted(labels, key=lambda label: (label.rule, label.period_from))),
    )


def _timesheet(
    lines: Sequence[NumberedLine], corrected: Mapping[int, str], terms: Terms
) -> tuple[TimesheetRow, ...] | None:
    if terms.billed_hours is None:
        return None
    every = [each.line for each in settled(lines)]
    return timesheet_of(every, corrected, terms.billed_hours)


def _late_warnings(home: Home, lines: Sequence[NumberedLine], terms: Terms) -> list[str]:
    if not is_held(home, [each.line for each in lines], terms.late):
        return []
    period = terms.period_name(home.period)
    return [f"work of {period} that came after its invoice - late: hold leaves it to a person"]


def _free_reference(connection: Connection, key: str, home: Home, usual_currency: str) -> str:
    """Return the number of a new draft.

    A customer whose usual currency has changed may have an invoice of the same number in the old
    one; then the new one's number names its currency.
    """
    usual = reference_of(key, home.currency, home.period, home.sequence, usual_currency)
    taken = select(invoice.c.id).where(invoice.c.reference == usual)
    if connection.execute(taken).first() is None:
        return usual
    return reference_of(key, home.currency, home.period, home.sequence, "")


def _sort_key(home: Home) -> tuple[object, ...]:
    period = home.period
    return (home.currency, period.schedule, period.first, home.sequence, home.credits)
