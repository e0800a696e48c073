"""Where the rules meet the ledger: a price becomes a verdict, a customer's file becomes terms.

Called by the map and assemble stages of `worker.py`, and by everything that prices again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from ledger.assembly import Terms
from ledger.calendar import Due
from ledger.corrections import LineItem
from ledger.errors import ConfigurationError
from ledger.events import Event
from ledger.homes import Period
from ledger.reopening import CREDIT, HOLD
from ledger.verdicts import Verdict

from .clauses.overtime import is_surcharge
from .holding import Hold
from .languages import period_text
from .periods import Period as BillingPeriod
from .periods import period_of
from .pricing import Held, Nothing, Outcome
from .reading import quoted
from .texts import worded

if TYPE_CHECKING:
    # A book runs the tests of its files, and these ask for verdicts.
    from .book import Book

NO_RULES: Final = "no rules are active yet - run `flask rules activate`"
_AFTER_PUSH: Final = {"leave as draft": "draft", "finalize": "finalize", "send": "send"}


def judge(book: Book | None, event: Event) -> Verdict:
    """Return what an event is worth by the rules of a book; without rules everything is held."""
    if book is None:
        return Verdict("held", reason=NO_RULES)
    return verdict(book, event, book.price(event), book.person_name(event))


def verdict(book: Book, event: Event, outcome: Outcome, person_name: str | None) -> Verdict:
    """Return what the ledger keeps of an event that was priced by a book."""
    if isinstance(outcome, Held):
        return Verdict("held", customer=outcome.customer, reason=outcome.reason)
    if isinstance(outcome, Nothing):
        return Verdict("nothing", outcome.customer, outcome.rule, outcome.reason)
    line = LineItem(
        customer=outcome.customer,
        project=event.project,
        item=event.item,
        person=person_name,
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
        coding=outcome.coding,
    )
    if outcome.split is None:
        return Verdict("priced", outcome.customer, outcome.rule, lines=(line,))
    try:
        lines = outcome.split.divided(line, book.customers)
    except Hold as hold:
        reason = f"rule {quoted(outcome.rule)}: {hold}"
        return Verdict("held", customer=outcome.customer, reason=reason)
    return Verdict(
        "priced",
        outcome.customer,
        outcome.rule,
        lines=lines,
        payers=tuple(payer.customer for payer in outcome.split.payers),
    )


def reopened_word(book_of: Callable[[str], Book], line: LineItem) -> str:
    """Return what the rule that billed a line says of work that is opened again.

    It is the rule as it was then. Where that cannot be read any more, a person decides.
    """
    try:
        customers = book_of(line.mapping_version).customers
    except (KeyError, ConfigurationError):
        return HOLD
    own = customers.get(line.customer)
    named = [rule for rule in (own.rules if own else ()) if rule.name == line.rule]
    # Who pays a share may have it by a rule of another customer's file.
    named += [
        rule
        for customer in customers.values()
        for rule in customer.rules
        if rule.name == line.rule and rule.split is not None
    ]
    return named[0].reopened if named else CREDIT


def days_of(book: Book, now: datetime) -> dict[str, date]:
    """Return which day it is where each customer is."""
    return {
        key: now.astimezone(ZoneInfo(customer.time_zone)).date()
        for key, customer in book.customers.items()
    }


def due_by(book: Book, now: datetime) -> Iterator[Due]:
    """Yield everything that has ever come due by the calendar under the rules of a book."""
    days = days_of(book, now)
    for customer in book.customers.values():
        today = days[customer.key]
        for fee in customer.fees.by_name.values():
            yield from fee.due(customer.key, customer.time_zone, today)
        if minimum := customer.agreements.minimum_fee:
            yield from minimum.due(customer.key, customer.time_zone, today)


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
    take_credit_notes: Collection[str] = (),
) -> Terms | None:
    """Return how a customer is billed, None if the book does not know the customer.

    `most_lines` is what its billing system takes; `book_of` gives the rules of a version;
    `take_credit_notes` are the connectors that do.
    """
    customer = book.customers.get(key) if book else None
    if book is None or customer is None:
        return None
    parties = customer.parties
    is_agreed = parties.is_agreed
    if is_agreed is None:
        is_agreed = not book.workspace.agreed_terms_required
    zone = ZoneInfo(customer.time_zone)
    language = customer.form.language
    early = customer.agreements.early_payment

    def current_period(schedule: str) -> Period:
        period = period_of(schedule, now.astimezone(zone).date())
        return Period(period.kind, period.start, period.end)

    def due_at(last: date) -> datetime:
        midnight = datetime.combine(last + timedelta(days=1), time(), zone)
        return midnight.astimezone(UTC)

    late = {rule.name: rule.late for rule in customer.rules}

    def period_name(period: Period) -> str:
        billing = BillingPeriod(period.schedule, period.first, period.last)
        return period_text(language, billing)

    def billed_hours(line: LineItem) -> Decimal | None:
        """Return the hours that a line bills, None if it bills something else."""
        if is_surcharge(line):
            # Its hours are billed by the lines of the work itself.
            return None
        rules = book_of(line.mapping_version).customers[key].rules
        bills = (rule.bill for rule in rules if rule.name == line.rule)
        is_hours = any(bill is not None and bill.quantity == "hours" for bill in bills)
        return line.quantity if is_hours else None

    return Terms(
        customer=parties.customer(customer.key, customer.name, customer.billing_email),
        currency=customer.currency,
        send_to=customer.send_to,
        days_until_due=customer.days_until_due,
        purchase_order=parties.purchase_order,
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
        agreements=customer.agreements.of_version(book.version, language),
        tax_words=customer.taxes.words,
        particulars=replace(
            parties.particulars, early_payment=early.sentence(language) if early else None
        ),
        waits_for_agreement=not is_agreed,
        approvers=parties.approvers,
        corrections=customer.corrections,
        take_credit_notes=frozenset(take_credit_notes),
        order=customer.form.order,
        rules=tuple(rule.name for rule in customer.rules),
        late=lambda rule: late.get(rule, customer.form.late),
        period_name=period_name,
        billed_hours=billed_hours if customer.form.has_timesheet else None,
        worded=lambda draft, schedule: worded(draft, schedule, customer.form),
    )
