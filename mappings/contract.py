"""What one customer's file says, once checked: plain frozen data. Built by `checking.py` alone.

The chapters of a contract (rates, sums, agreements, fees, taxes, parties, form) have a file each in
`clauses/`, with their words, their data and what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from ledger.corrections import LineItem
from ledger.crediting import NEXT_INVOICE
from ledger.invoices import Coding
from ledger.reopening import CREDIT

from .clauses.agreements import Agreements
from .clauses.books import Books
from .clauses.exchange import ExchangeRates
from .clauses.factors import Factors
from .clauses.fees import Fees
from .clauses.forms import Form
from .clauses.parties import Parties
from .clauses.rates import Rates
from .clauses.shares import ContractSum, Split
from .clauses.sums import Count, Sums
from .clauses.taxes import Taxes
from .descriptions import Description
from .model import Condition, Rounding, TextCondition
from .reading import Place


@dataclass(frozen=True, slots=True)
class Bill:
    """What a rule makes of an event that it fits."""

    description: Description
    quantity: Decimal | str
    """A number; or "hours" of the entry, or "units" of what was used."""
    unit_price: Decimal | str
    """Major units; or "rate" of the work, or "cost" of the expense."""
    rounding: Rounding | None = None
    markup: Decimal | None = None
    """The share that is added to a cost: 0.10 is 10 %."""
    discount: Decimal | None = None
    """The share that is taken off the unit price: 0.05 is 5 %."""
    minimum: Decimal | None = None
    """The least that an entry comes to, in major units."""
    count: Count | None = None
    """What its entries are counted for; None: each entry has its own price."""
    one_line_per: tuple[str, ...] = ()
    contract_sum: ContractSum | None = None
    """Of which a share is billed, once, in place of quantity and unit price."""
    tax: str | None = None
    """The code of its tax: the rule's own, or else the customer's."""
    coding: Coding = field(default_factory=Coding)
    """Where its lines stand in the books: the rule's own words alone."""

    @property
    def names_person(self) -> bool:
        """Return whether the line says who worked, or in which role."""
        named = {*self.description.words, *self.one_line_per}
        return not named.isdisjoint(("person", "role"))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: if all conditions fit an event, the bill is made. `bill` None: nothing to bill."""

    name: str
    at: Place
    when: tuple[Condition, ...]
    bill: Bill | None
    invoice: str
    """The schedule: the rule's own, or else the customer's."""
    currency: str
    """ISO 4217: the rule's own, or else the customer's."""
    split: Split | None = None
    """Who pays which share; None: the customer pays all of it."""
    late: str | None = None
    """Where its late work goes: its own, or else the customer's; see `ledger.homes`."""
    reopened: str = CREDIT
    """What happens when what it billed is opened again; see `ledger.subjects`."""


@dataclass(frozen=True, slots=True)
class Given:
    """The event of a test."""

    kind: str
    on: date
    source: str = ""
    endpoint: str = ""
    project: str | None = None
    item: str | None = None
    title: str | None = None
    person: str | None = None
    """A person's name; one that is not among the people is an unknown person."""
    seconds: int | None = None
    billable: bool | None = None
    labels: tuple[str, ...] = ()
    fields: Mapping[str, str | Decimal] = field(default_factory=dict)
    fee: str | None = None
    """Of a `fee.due`: the fee whose period holds the day."""


@dataclass(frozen=True, slots=True)
class ExpectedLine:
    """What a printed line must say; None: it may say anything."""

    description: str | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExpectedInvoice:
    """What an invoice, or all of them together, must say."""

    period: str = ""
    """As in its number: "2026-10"; empty: all invoices together."""
    total: Decimal | None = None
    lines: tuple[ExpectedLine, ...] | None = None
    """All lines, in order."""
    has_lines: tuple[ExpectedLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a test expects: an outcome, and of a priced one what is not None here."""

    outcome: str
    """"hold", "nothing" or "priced"."""
    customer: str
    rule: str | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    amount: Decimal | None = None
    description: str | None = None
    currency: str | None = None
    together: ExpectedInvoice | None = None
    """What the printed lines of all invoices must say."""
    invoices: tuple[ExpectedInvoice, ...] = ()
    """All invoices, where a test says what is on each."""

    @property
    def is_invoiced(self) -> bool:
        """Return whether it is about printed lines, rather than about what one event is worth."""
        return self.together is not None or bool(self.invoices)

    tax: str | None = None
    """The code of the tax."""
    reopened: str | None = None
    """What happens when it is opened again after it was billed."""
    coding: Coding = field(default_factory=Coding)
    """Where it stands in the books."""


@dataclass(frozen=True, slots=True)
class Example:
    """One entry of `tests:`."""

    name: str
    at: Place
    given: tuple[Given, ...]
    expected: Expected


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer: what its file says."""

    key: str
    name: str
    currency: str
    send_to: str
    at: Place
    takes: tuple[TextCondition, ...]
    rules: tuple[Rule, ...]
    invoice: str
    """One of `periods.SCHEDULES`."""
    time_zone: str
    """IANA name: its own, or else the workspace's."""
    billing_email: str | None = None
    terms: str | None = None
    days_until_due: int | None = None
    """None where no terms are agreed."""
    purchase_order_required: bool = False
    approval: str = "by hand"
    after_push: str = "leave as draft"
    corrections: str = NEXT_INVOICE
    """Where corrections of open and paid invoices go; see `ledger.crediting`."""
    memo: str | None = None
    footer: str | None = None
    rates: Rates = field(default_factory=Rates)
    factors: Factors = field(default_factory=Factors)
    exchange: ExchangeRates = field(default_factory=ExchangeRates)
    sums: Sums = field(default_factory=Sums)
    agreements: Agreements = field(default_factory=Agreements)
    fees: Fees = field(default_factory=Fees)
    taxes: Taxes = field(default_factory=Taxes)
    parties: Parties = field(default_factory=Parties)
    form: Form = field(default_factory=Form)
    books: Books = field(default_factory=Books)
    vague_texts: tuple[str, ...] = ()
    """The workspace's and its own."""
    tests: tuple[Example, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the value of each word of its file stands."""

    def sum_lines(self, pool: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what the entries of a pool come to; see `ledger.sums.SumUp`."""
        bills = {rule.name: rule.bill for rule in self.rules if rule.bill}
        if pool[0].kind != "counted":
            due = self.sums.overtime.lines(pool)
        else:
            bill = bills.get(pool[0].rule)
            due = bill.count.lines(pool) if bill and bill.count else ()
        # What is due of a pool stands in the books as the rules say now.
        return [replace(line, coding=self.coding_of(bills.get(line.rule)).key) for line in due]

    def coding_of(self, bill: Bill | None) -> Coding:
        """Return where what a rule bills stands in the books; None: what no rule bills."""
        return bill.coding.over(self.books.coding) if bill else self.books.coding
