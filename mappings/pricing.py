"""What an event is worth: finds customer and rule, and explains every number on the way.

Pure: the same event under the same rules gives the same outcome. Called by `book.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ledger import calendar
from ledger.events import Event
from ledger.money import Money, hours, line_amount, printed

from .clauses import pools, prices
from .clauses.factors import Factor
from .clauses.minimums import RULE, MinimumFee
from .clauses.shares import ContractSum, Split
from .clauses.sums import Count
from .contract import Bill, Customer, Rule
from .holding import Hold, unknown_person, why_unknown
from .languages import ENGLISH, month_text, period_text
from .matching import Index, Seen, activity_of, asked, compiled, unknown_word
from .model import BillableCondition, Person
from .periods import Period, period_of
from .phrases import TIME_KINDS
from .reading import quoted
from .texts import PricedAt, Texts, fee_values, group_of

MOST_SECONDS: Final = 24 * 3600
"""The longest single time entry that is believed."""
MOST_MINOR: Final = 10**14
"""The most that one line may come to, in minor units: sums of lines must fit into the ledger."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What an event is billed as."""

    customer: str
    rule: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    currency: str
    amount: int
    """Minor units: quantity x unit price, rounded once."""
    seconds: int | None
    """The event's own time, unrounded."""
    group: tuple[str, ...]
    """The values of `one_line_per`, in its order; () without it: a line of its own."""
    period: Period
    steps: tuple[str, ...]
    """Every number on the way, in words."""
    kind: str = "entry"
    """"entry", or "counted": it counts into its pool, and has no amount of its own."""
    pool: str = ""
    tax: str = ""
    """Its tax, as `ledger.taxes.Tax.key` writes it; empty: none is agreed."""
    coding: str = ""
    """Where it stands in the books, as `ledger.invoices.Coding.key` writes it."""
    split: Split | None = None
    """Who pays which share of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """The event waits for a person: the reason says for what, and what to do."""

    customer: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A rule says that there is nothing to bill."""

    customer: str
    rule: str
    reason: str


Outcome = Priced | Held | Nothing


class Pricing:
    """The rules of all customers, ready to be asked."""

    def __init__(self, customers: Sequence[Customer], *, billable_when_not_said: str) -> None:
        self._billable_when_not_said = billable_when_not_said
        self._customers = [_Ready(customer) for customer in customers]
        self._takers = Index([ready.takes for ready in self._customers])
        self._by_key = {customer.key: customer for customer in customers}

    def outcome(self, event: Event, person: Person | None) -> Outcome:
        """Return what an event is worth that `person` worked, None if unknown."""
        if event.endpoint == calendar.NAME:
            return self._of_the_calendar(event)
        if event.project is None:
            return Held(None, "which project is not known - it is filled in when the tool tells it")
        seen = Seen(event, person, self._billable_when_not_said)
        takers = [
            ready
            for ready in (self._customers[position] for position in self._takers.candidates(seen))
            if all(test(seen) for test in ready.takes)
        ]
        if len(takers) == 1:
            return takers[0].outcome(seen)
        where = event.endpoint or event.source
        project = f"project {quoted(event.project)}" + (f" of {where}" if where else "")
        if not takers:
            return Held(None, f"no customer takes {project} - add it under takes:")
        names = " and ".join(ready.customer.key for ready in takers)
        return Held(None, f"{project} is taken by {names} - leave it under takes: of one of them")

    def _of_the_calendar(self, event: Event) -> Outcome:
        """Return what is due of a fee for the days that the event names."""
        fields = event.fields
        key, name = fields["customer"], fields["fee"]
        first, last = date.fromisoformat(fields["from"]), date.fromisoformat(fields["to"])
        customer = self._by_key.get(key)
        if customer is None:
            return Held(None, f"no rule file is about {key} any more - add it, or leave it so")
        minimum = customer.agreements.minimum_fee
        if name == RULE and minimum is not None and minimum.owes(first, last):
            return _without_work(customer, minimum, event)
        fee = customer.fees.by_name.get(name)
        charge = fee.charge(first, last) if fee else None
        if fee is None or charge is None:
            gone = f"the rules have no fee {quoted(name)} for {first} to {last} any more"
            return Held(key, f"{gone} - the clock takes it off the list")
        if not charge.quantity:
            reason = f"fee {quoted(name)} ({fee.at}): there are none from {first} to {last}"
            return Nothing(key, name, reason)
        steps = [f"fee {quoted(name)} ({fee.at})", *charge.steps]
        try:
            tax = _tax(customer, fee.tax, event, steps)
        except Hold as hold:
            return Held(key, f"fee {quoted(name)}: {hold}")
        values = fee_values(customer.form.language, name, first, last)
        return Priced(
            customer=key,
            rule=name,
            description=fee.description.filled_in(values),
            quantity=charge.quantity,
            unit_price=charge.unit_price,
            currency=fee.currency,
            amount=charge.amount,
            seconds=None,
            group=(),
            period=period_of(fee.schedule, event.on),
            steps=tuple(steps),
            tax=tax,
            coding=customer.books.coding.key,
        )


class _Ready:
    """One customer, compiled."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.takes = [compiled(condition) for condition in customer.takes]
        self._texts = Texts(customer)
        self._tests = [asked(rule.when) for rule in customer.rules]
        self._index = Index([[test for _, test in tests] for tests in self._tests])
        self._codings = {rule.name: customer.coding_of(rule.bill).key for rule in customer.rules}
        self._asks_billable = [
            any(isinstance(condition, BillableCondition) for condition in rule.when)
            for rule in customer.rules
        ]

    def outcome(self, seen: Seen) -> Outcome:
        """Return what the first rule that fits makes of an event."""
        for position in self._index.candidates(seen):
            rule = self.customer.rules[position]
            unknown = unknown_word(self._tests[position], seen)
            if unknown is None:
                continue
            if unknown:
                asks = f"rule {quoted(rule.name)}"
                return self._held(why_unknown(unknown, asks, seen.event))
            if rule.bill is None:
                reason = f"rule {quoted(rule.name)} ({rule.at}) says that there is nothing to bill"
                return Nothing(self.customer.key, rule.name, reason)
            try:
                asks_billable = self._asks_billable[position]
                return self._priced(rule, rule.bill, seen, asks_billable=asks_billable)
            except Hold as hold:
                return self._held(f"rule {quoted(rule.name)}: {hold}")
        event = seen.event
        what = f"{event.kind} in project {quoted(event.project or '')}"
        return self._held(f"no rule of {self.customer.key} fits {what} - add one under rules:")

    def _held(self, reason: str) -> Held:
        return Held(self.customer.key, reason)

    def _priced(self, rule: Rule, bill: Bill, seen: Seen, *, asks_billable: bool) -> Priced:
        """Return what a rule makes of an event that it fits; raise Hold with the reason if not."""
        event, currency = seen.event, rule.currency
        steps = [f"rule {quoted(rule.name)} ({rule.at})"]
        if asks_billable and event.billable is None:
            word = seen.billable_when_not_said
            steps.append(f"{event.source} does not say whether this is billable: counted as {word}")
        quantity = _quantity(bill, event, steps)
        unit_price, factor = self._unit_price(rule, bill, seen, steps)
        if bill.count is not None:
            _amount(quantity, unit_price, currency, [])  # What it counts for must be bearable too.
            amount = Money(0, currency)
            steps.append(f"counted {bill.count.words}: what it comes to is a line of its own")
        else:
            amount = _amount(quantity, unit_price, currency, steps)
            if bill.minimum is not None and (
                least := prices.at_least(bill.minimum, quantity, amount, steps)
            ):
                quantity, unit_price = least
                amount = _amount(quantity, unit_price, currency, steps)
        tax = _tax(self.customer, bill.tax, event, steps)
        period = period_of(rule.invoice, event.on)
        values = _values(rule, bill, seen, factor)
        values |= self._texts.values(
            rule.name, seen, PricedAt(period, quantity, unit_price, amount)
        )
        description = bill.description.filled_in(values)
        if not description:
            raise Hold("nothing that its description names is known - add a text of its own")
        group = group_of(bill, values, seen)
        return Priced(
            customer=self.customer.key,
            rule=rule.name,
            description=description,
            quantity=quantity,
            unit_price=unit_price,
            currency=currency,
            amount=amount.minor,
            seconds=event.seconds,
            group=group,
            period=period,
            steps=tuple(steps),
            kind="counted" if bill.count else "entry",
            pool=self._pool(rule, bill, seen, unit_price, group, period),
            tax=tax,
            coding=self._codings[rule.name],
            split=rule.split,
        )

    def _pool(
        self,
        rule: Rule,
        bill: Bill,
        seen: Seen,
        unit_price: Decimal,
        group: tuple[str, ...],
        period: Period,
    ) -> str:
        """Return the pool that an entry counts into, "" if there is none; raise Hold if unclear."""
        if bill.count is not None:
            return _pool(rule, bill.count, seen, unit_price, group, period)
        overtime = self.customer.sums.overtime
        if bill.quantity != "hours" or not overtime.covers(rule.name):
            return ""
        on = _day(seen, "overtime", "name only the other rules under overtime:")
        return overtime.pool(rule.currency, _known_person(seen).name, on)

    def _unit_price(
        self, rule: Rule, bill: Bill, seen: Seen, steps: list[str]
    ) -> tuple[Decimal, Factor | None]:
        """Return the price of a unit, and the factor in it; raise Hold if there is none."""
        factor = None
        if bill.contract_sum is not None:
            return _share(bill.contract_sum, seen.event, steps), None
        if isinstance(bill.unit_price, Decimal):
            price = bill.unit_price
        elif bill.unit_price == "cost":
            price = prices.cost_of(seen.event, rule.currency, self.customer.exchange, steps)
            if bill.markup is not None:
                price = prices.marked_up(price, bill.markup, steps)
        else:
            per = "day" if bill.quantity == "days" else "hour"
            price = self._rate(rule.currency, per, seen, steps)
            factor = self.customer.factors.of(seen)
            if factor is not None:
                price = factor.applied(price, steps)
        if bill.discount is not None:
            price = prices.discounted(price, bill.discount, steps)
        return price, factor

    def _rate(self, currency: str, per: str, seen: Seen, steps: list[str]) -> Decimal:
        rate = self.customer.rates.of(seen, per, currency)
        if rate is None:
            person, on = seen.person, seen.event.on
            who = "this work"
            if person is not None:
                who = person.name + (f" ({person.role})" if person.role else ", who has no role")
            if currency != self.customer.currency:
                who += f" in {currency}"
            raise Hold(f"no rate for {who} holds on {on} - add one under rates:")
        price = f"rate {rate.price:f} {currency} per {rate.per}"
        steps.append(f"{price}: {rate.words}, from {rate.from_on} ({rate.at})")
        return rate.price


def _without_work(customer: Customer, minimum: MinimumFee, event: Event) -> Outcome:
    """Return a line of nothing: with it, a period without work has a line that owes the minimum.

    What is missing to the minimum stands on a line of its own, as ever.
    """
    steps = [f"minimum fee ({minimum.at}): due also without any work"]
    try:
        tax = _tax(customer, minimum.tax, event, steps)
    except Hold as hold:
        return Held(customer.key, f"minimum_fee: {hold}")
    period = period_of(minimum.schedule, event.on)
    return Priced(
        customer=customer.key,
        rule=RULE,
        description=f"{RULE}, {period_text(customer.form.language, period)}",
        quantity=Decimal(0),
        unit_price=Decimal(0),
        currency=customer.currency,
        amount=0,
        seconds=None,
        group=(RULE,),
        period=period,
        steps=tuple(steps),
        tax=tax,
        coding=customer.books.coding.key,
    )


def _tax(customer: Customer, code: str | None, event: Event, steps: list[str]) -> str:
    """Return the tax on work of a day, "" where none is agreed; raise Hold if none holds yet."""
    if code is None:
        return ""
    entry = customer.taxes.on(code, event.on)
    if entry is None:
        raise Hold(f"no tax {code} holds on {event.on} - add one under taxes:")
    steps.append(entry.step)
    return entry.key


def _amount(quantity: Decimal, unit_price: Decimal, currency: str, steps: list[str]) -> Money:
    """Return quantity x unit price; raise Hold if it is more than any work can cost."""
    amount = line_amount(quantity, unit_price, currency)
    if abs(amount.minor) > MOST_MINOR:
        told = f"{printed(quantity)} x {unit_price:f} {currency}"
        most = Money(MOST_MINOR, currency)
        raise Hold(f"{told} is more than {most} in one line - correct the number in the tool")
    steps.append(f"{printed(quantity)} x {unit_price:f} = {amount}")
    return amount


def _quantity(bill: Bill, event: Event, steps: list[str]) -> Decimal:
    if bill.quantity in ("hours", "days"):
        return _hours(bill, event, steps)
    if bill.quantity == "units":
        return prices.units_of(event, steps)
    return Decimal(bill.quantity)


def _share(contract_sum: ContractSum, event: Event, steps: list[str]) -> Decimal:
    """Return the share of a contract sum that an event bills; raise Hold if that is not clear."""
    try:
        share = contract_sum.share(event.title)
    except ValueError as error:
        raise Hold(str(error)) from None
    of = f"{contract_sum.total:f} ({contract_sum.at})"
    steps.append(f"{share.percent:f} % of the contract sum {of} = {share.amount:f}")
    return share.amount


def _pool(
    rule: Rule,
    count: Count,
    seen: Seen,
    unit_price: Decimal,
    group: tuple[str, ...],
    period: Period,
) -> str:
    """Return the name of the pool that an entry counts into; raise Hold if that is not known."""
    person = _known_person(seen).name if "person" in count.per else None
    day = None
    if "day" in count.per:
        day = _day(seen, "it", "bill its hours, rounded per line").isoformat()
    price = f"{unit_price.normalize():f}"
    of_period = (period.kind, period.start.isoformat())
    of_line = (rule.name, seen.event.project, group, rule.currency, price)
    return pools.name_of(count.words, *of_line, *of_period, person, day)


def _known_person(seen: Seen) -> Person:
    """Return who worked; raise Hold if hours that count for a person are nobody's of ours."""
    if seen.person is None:
        raise Hold(unknown_person(seen.event))
    return seen.person


def _day(seen: Seen, asks: str, advice: str) -> date:
    """Return the day of the work; raise _Hold for a cumulative time, which has no day."""
    if seen.event.kind != "time.logged":
        problem = f"{asks} counts by day, and a {seen.event.kind} does not say which days"
        raise Hold(f"{problem} - send single entries, or {advice}")
    return seen.event.on


def _hours(bill: Bill, event: Event, steps: list[str]) -> Decimal:
    """Return the hours of an entry, rounded as the bill says; raise Hold if they are not sound."""
    seconds = event.seconds
    if event.kind not in TIME_KINDS:
        raise Hold(f"bills hours, but a {event.kind} has none - name its events under when:")
    if seconds is None:
        raise Hold("the tool does not say how long it took - log the time there")
    if seconds < 0:
        raise Hold(f"{seconds} s is less than no time - correct the entry in the tool")
    if event.kind == "time.logged" and seconds > MOST_SECONDS:
        raise Hold(f"{seconds} s in one entry is more than 24 hours - split it in the tool")
    if bill.rounding is None:
        quantity = hours(seconds)
        steps.append(f"{seconds} s as logged = {printed(quantity)} h")
        return quantity
    rounded = bill.rounding.rounded(seconds)
    quantity = hours(rounded)
    steps.append(f"{seconds} s as logged")
    steps.append(f"rounded {bill.rounding.words}: {rounded} s = {printed(quantity)} h")
    return quantity


def _values(rule: Rule, bill: Bill, seen: Seen, factor: Factor | None) -> dict[str, str]:
    """Return what stands for the words of descriptions and of `one_line_per`.

    Raise Hold if they name the person, and an account that nobody has is at work.
    """
    event, person = seen.event, seen.person
    if person is None and event.person is not None and bill.names_person:
        raise Hold(unknown_person(event))
    on = event.on.isoformat()
    return {
        "title": event.title or "",
        "item": event.item or "",
        "project": event.project or "",
        "person": person.name if person else "",
        "role": (person.role or "") if person else "",
        "activity": activity_of(event),
        "factor": factor.name if factor else "",
        "date": on,
        "day": on,
        "month": month_text(ENGLISH, event.on),
        "labels": ", ".join(event.labels),
        "rule": rule.name,
    }
