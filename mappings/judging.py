"""Where the rules meet the ledger: a price becomes a verdict, a customer's file becomes terms.

Called by the map and assemble stages of `worker.py`, and by everything that prices again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ledger.assembly import Period, Terms
from ledger.corrections import LineItem
from ledger.events import Event
from ledger.invoices import BilledCustomer
from ledger.subjects import Verdict

from .book import Book
from .periods import period_of
from .pricing import Held, Nothing

NO_RULES: Final = "no rules are active yet - run `flask rules activate`"
_AFTER_PUSH: Final = {"leave as draft": "draft", "finalize": "finalize", "send": "send"}


def judge(book: Book | None, event: Event) -> Verdict:
    """Return what an event is worth by the rules of a book; without rules everything is held."""
    if book is None:
        return Verdict("held", reason=NO_RULES)
    outcome = book.price(event)
    if isinstance(outcome, Held):
        return Verdict("held", customer=outcome.customer, reason=outcome.reason)
    if isinstance(outcome, Nothing):
        return Verdict("nothing", outcome.customer, outcome.rule, outcome.reason)
    line = LineItem(
        customer=outcome.customer,
        project=event.project,
        item=event.item,
        person=book.person_name(event),
        on=event.on,
        description=outcome.description,
        quantity=outcome.quantity,
        unit_price=outcome.unit_price,
        currency=outcome.currency,
        amount=outcome.amount,
        seconds=outcome.seconds or 0,
        rule=outcome.rule,
        mapping_version=book.version,
        grouping=outcome.group,
        schedule=outcome.period.kind,
        period_from=outcome.period.start,
        period_to=outcome.period.end,
        steps=outcome.steps,
        event_id=None,
        kind=outcome.kind,
        # What has a price of its own may be in a pool with work of another tax.
        pool=outcome.pool + outcome.tax if outcome.kind == "counted" else outcome.pool,
        tax=outcome.tax,
    )
    return Verdict("priced", outcome.customer, outcome.rule, lines=(line,))


def sum_up(book: Book, key: str, counted: Sequence[LineItem]) -> Sequence[LineItem]:
    """Return what the lines of a pool come to; raise KeyError for an unknown customer."""
    lines = book.customers[key].sum_lines(counted)
    return [replace(line, mapping_version=book.version) for line in lines]


def terms_of(
    book: Book | None,
    key: str,
    *,
    most_lines: int,
    now: datetime,
    book_of: Callable[[str], Book],
) -> Terms | None:
    """Return how a customer is billed, None if the book does not know the customer.

    `most_lines` is what its billing system takes; `book_of` gives the rules of a version.
    """
    customer = book.customers.get(key) if book else None
    if book is None or customer is None:
        return None
    zone = ZoneInfo(customer.time_zone)

    def current_period(schedule: str) -> Period:
        period = period_of(schedule, now.astimezone(zone).date())
        return Period(period.kind, period.start, period.end)

    def due_at(last: date) -> datetime:
        midnight = datetime.combine(last + timedelta(days=1), time(), zone)
        return midnight.astimezone(UTC)

    return Terms(
        customer=BilledCustomer(customer.key, customer.name, customer.billing_email),
        currency=customer.currency,
        send_to=customer.send_to,
        days_until_due=customer.days_until_due,
        purchase_order=customer.purchase_order,
        needs_purchase_order=customer.purchase_order_required,
        memo=customer.memo,
        footer=customer.footer,
        approval=customer.approval,
        after_push=_AFTER_PUSH[customer.after_push],
        vague_texts=customer.vague_texts,
        most_lines=most_lines,
        current_period=current_period,
        due_at=due_at,
        sum_up=lambda version, counted: sum_up(book_of(version), key, counted),
        agreements=customer.agreements.of_version(book.version),
    )
