"""What an event is worth: finds customer and rule, and explains every number on the way.

Pure: the same event under the same rules gives the same outcome. Called by `book.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.events import Event
from ledger.money import Money, hours, line_amount, printed

from .clauses import pools
from .clauses.sums import Count
from .contract import Bill, Customer, Rule
from .matching import Index, Seen, Test, compiled, field_at
from .model import BillableCondition, Person, TextCondition
from .periods import Period, period_of
from .phrases import TIME_KINDS, UNIT_KINDS, number
from .reading import quoted

MOST_SECONDS: Final = 24 * 3600
"""The longest single time entry that is believed."""

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


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
    """The code of its tax."""


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


class _Hold(Exception):
    """A rule fits, but the event cannot be priced; the reason says why."""


class Pricing:
    """The rules of all customers, ready to be asked."""

    def __init__(self, customers: Sequence[Customer], *, billable_when_not_said: str) -> None:
        self._billable_when_not_said = billable_when_not_said
        self._customers = [_Ready(customer) for customer in customers]
        self._takers = Index([ready.takes for ready in self._customers])

    def outcome(self, event: Event, person: Person | None) -> Outcome:
        """Return what an event is worth that `person` worked, None if unknown."""
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
        project = f"project {quoted(event.project)} of {event.endpoint or event.source}"
        if not takers:
            return Held(None, f"no customer takes {project} - add it under takes:")
        names = " and ".join(ready.customer.key for ready in takers)
        return Held(None, f"{project} is taken by {names} - leave it under takes: of one of them")


class _Ready:
    """One customer, compiled."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.takes = [compiled(condition) for condition in customer.takes]
        self._tests = [_tests_of(rule) for rule in customer.rules]
        self._index = Index([[test for _, test in tests] for tests in self._tests])
        self._asks_billable = [
            any(isinstance(condition, BillableCondition) for condition in rule.when)
            for rule in customer.rules
        ]

    def outcome(self, seen: Seen) -> Outcome:
        """Return what the first rule that fits makes of an event."""
        for position in self._index.candidates(seen):
            rule = self.customer.rules[position]
            unknown = _unknown(self._tests[position], seen)
            if unknown is None:
                continue
            if unknown:
                return self._held(_why_unknown(unknown, rule, seen))
            if rule.bill is None:
                reason = f"rule {quoted(rule.name)} ({rule.at}) says that there is nothing to bill"
                return Nothing(self.customer.key, rule.name, reason)
            try:
                asks_billable = self._asks_billable[position]
                return self._priced(rule, rule.bill, seen, asks_billable=asks_billable)
            except _Hold as hold:
                return self._held(f"rule {quoted(rule.name)}: {hold}")
        event = seen.event
        what = f"{event.kind} in project {quoted(event.project or '')}"
        return self._held(f"no rule of {self.customer.key} fits {what} - add one under rules:")

    def _held(self, reason: str) -> Held:
        return Held(self.customer.key, reason)

    def _priced(self, rule: Rule, bill: Bill, seen: Seen, *, asks_billable: bool) -> Priced:
        """Return what a rule makes of an event that it fits; raise _Hold with the reason if not."""
        event, currency = seen.event, self.customer.currency
        steps = [f"rule {quoted(rule.name)} ({rule.at})"]
        if asks_billable and event.billable is None:
            word = seen.billable_when_not_said
            steps.append(f"{event.source} does not say whether this is billable: counted as {word}")
        quantity = _quantity(bill, event, steps)
        unit_price = bill.unit_price
        if isinstance(unit_price, str):
            unit_price = self._rate(seen, "day" if bill.quantity == "days" else "hour", steps)
        values = _values(rule, bill, seen)
        description = bill.description.filled_in(values)
        if not description:
            raise _Hold("nothing that its description names is known - add a text of its own")
        group = tuple(values[key] for key in bill.one_line_per)
        period = period_of(rule.invoice, event.on)
        pool = ""
        amount = line_amount(quantity, unit_price, currency)
        if bill.count is not None:
            amount = Money(0, currency)
            pool = _pool(rule, bill.count, seen, currency, unit_price, group, period)
            steps.append(f"counted {bill.count.words}: what it comes to is a line of its own")
        else:
            steps.append(f"{printed(quantity)} x {unit_price:f} = {amount}")
            overtime = self.customer.sums.overtime
            if bill.quantity == "hours" and overtime.covers(rule.name):
                on = _day(seen, "overtime", "name only the other rules under overtime:")
                pool = overtime.pool(currency, _known_person(seen).name, on)
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
            pool=pool,
        )

    def _rate(self, seen: Seen, per: str, steps: list[str]) -> Decimal:
        person, on = seen.person, seen.event.on
        if person is None:
            raise _Hold(_unknown_person(seen.event))
        rate = self.customer.rates.on(person, on, per)
        if rate is None:
            who = person.name + (f" ({person.role})" if person.role else ", who has no role")
            raise _Hold(f"no rate for {who} holds on {on} - add one under rates:")
        owner = f"person {rate.person}" if rate.person else f"role {rate.role}"
        price = f"rate {rate.price:f} {self.customer.currency} per {per}"
        steps.append(f"{price}: {owner}, from {rate.from_on} ({rate.at})")
        return rate.price


def _tests_of(rule: Rule) -> list[tuple[str, Test]]:
    return [
        (condition.key if isinstance(condition, TextCondition) else "billable", compiled(condition))
        for condition in rule.when
    ]


def _unknown(tests: Sequence[tuple[str, Test]], seen: Seen) -> str | None:
    """Return None if a rule does not fit, "" if it does, else the word that cannot be decided."""
    unknown = ""
    for key, test in tests:
        fits = test(seen)
        if fits is False:
            return None
        if fits is None:
            unknown = unknown or key
    return unknown


def _why_unknown(key: str, rule: Rule, seen: Seen) -> str:
    asks = f"rule {quoted(rule.name)} asks for it"
    if key in ("person", "role"):
        return f"{_unknown_person(seen.event)} ({asks})"
    if key == "billable":
        tool = seen.event.source or "the tool"
        return f"{tool} does not say whether this is billable, and {asks} - decide it in the tool"
    return f"its {key} is not known yet, and {asks} - it is filled in when the tool tells it"


def _unknown_person(event: Event) -> str:
    if event.person is None:
        return "the tool does not say who worked - name a person there, or bill without a rate"
    shown = quoted(event.person)
    if event.person_name and event.person_name != event.person:
        shown += f" ({quoted(event.person_name)})"
    where = event.endpoint or event.source
    who = f"unknown person {shown}" + (f" of {where}" if where else "")
    return f"{who} - add the account under people: in workspace.yaml"


def _pool(
    rule: Rule,
    count: Count,
    seen: Seen,
    currency: str,
    unit_price: Decimal,
    group: tuple[str, ...],
    period: Period,
) -> str:
    """Return the name of the pool that an entry counts into; raise _Hold if that is not known."""
    person = _known_person(seen).name if "person" in count.per else None
    day = None
    if "day" in count.per:
        day = _day(seen, "it", "bill its hours, rounded per line").isoformat()
    price = f"{unit_price.normalize():f}"
    of_period = (period.kind, period.start.isoformat())
    of_line = (rule.name, seen.event.project, group, currency, price)
    return pools.name_of(count.words, *of_line, *of_period, person, day)


def _known_person(seen: Seen) -> Person:
    """Return who worked; raise _Hold if hours that count for a person are nobody's of ours."""
    if seen.person is None:
        raise _Hold(_unknown_person(seen.event))
    return seen.person


def _day(seen: Seen, asks: str, advice: str) -> date:
    """Return the day of the work; raise _Hold for a cumulative time, which has no day."""
    if seen.event.kind != "time.logged":
        problem = f"{asks} counts by day, and a {seen.event.kind} does not say which days"
        raise _Hold(f"{problem} - send single entries, or {advice}")
    return seen.event.on


def _quantity(bill: Bill, event: Event, steps: list[str]) -> Decimal:
    """Return what is billed of an event; raise _Hold if that is not sound."""
    if isinstance(bill.quantity, Decimal):
        return bill.quantity
    return (_units if bill.quantity == "units" else _hours)(bill, event, steps)


def _units(bill: Bill, event: Event, steps: list[str]) -> Decimal:  # noqa: ARG001
    """Return the units that an event tells of; raise _Hold if they are not sound."""
    if event.kind not in UNIT_KINDS:
        raise _Hold(f"bills units, but a {event.kind} has none - name its events under when:")
    told = field_at(event.fields, "quantity")
    try:
        units = number(str(told)) if isinstance(told, str | int | Decimal) else None
    except ValueError:
        units = None
    if units is None or isinstance(told, bool):
        said = "nothing" if told is None else quoted(str(told)[:40])
        problem = f"{event.source} says {said} for how many units were used (fields.quantity)"
        raise _Hold(f"{problem} - correct it there, or bill a number of your own")
    steps.append(f"{printed(units)} units as told")
    return units


def _hours(bill: Bill, event: Event, steps: list[str]) -> Decimal:
    """Return the hours of an entry, rounded as the bill says; raise _Hold if they are not sound."""
    seconds = event.seconds
    if event.kind not in TIME_KINDS:
        raise _Hold(f"bills hours, but a {event.kind} has none - name its events under when:")
    if seconds is None:
        raise _Hold("the tool does not say how long it took - log the time there")
    if seconds < 0:
        raise _Hold(f"{seconds} s is less than no time - correct the entry in the tool")
    if event.kind == "time.logged" and seconds > MOST_SECONDS:
        raise _Hold(f"{seconds} s in one entry is more than 24 hours - split it in the tool")
    if bill.rounding is None:
        quantity = hours(seconds)
        steps.append(f"{seconds} s as logged = {printed(quantity)} h")
        return quantity
    rounded = bill.rounding.rounded(seconds)
    quantity = hours(rounded)
    steps.append(f"{seconds} s as logged")
    steps.append(f"rounded {bill.rounding.words}: {rounded} s = {printed(quantity)} h")
    return quantity


def _values(rule: Rule, bill: Bill, seen: Seen) -> dict[str, str]:
    """Return what stands for the words of descriptions and of `one_line_per`.

    Raise _Hold if they name the person, and an account that nobody has is at work.
    """
    event, person = seen.event, seen.person
    if person is None and event.person is not None and bill.names_person:
        raise _Hold(_unknown_person(event))
    on = event.on.isoformat()
    return {
        "title": event.title or "",
        "item": event.item or "",
        "project": event.project or "",
        "person": person.name if person else "",
        "role": (person.role or "") if person else "",
        "date": on,
        "day": on,
        "month": f"{_MONTHS[event.on.month - 1]} {event.on.year}",
        "labels": ", ".join(event.labels),
        "rule": rule.name,
    }
