"""What the rule files say, once checked: plain frozen data. Built by `checking.py` alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from .descriptions import Description
from .reading import Place


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works, with the accounts by which the tools know them."""

    name: str
    role: str | None = None
    accounts: tuple[tuple[str, str], ...] = ()
    """(endpoint or tool, account id there)."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One configured endpoint: `POST /webhooks/<endpoint>`."""

    endpoint: str
    tool: str
    secrets: tuple[str, ...]
    """Names of the live secrets in the environment: two while one is being rotated, and one for
    each webhook of a tool that makes the secrets itself."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The other words as written; `${NAME}` in them is resolved by the caller."""
    where: str = ""
    """File and line: `workspace.yaml:12`."""

    @property
    def is_unsigned(self) -> bool:
        """Return whether unsigned deliveries are accepted, on a URL with a random token."""
        return self.settings.get("unsigned") == "yes"

    @property
    def is_only_polled(self) -> bool:
        """Return whether nothing is posted here: the tool is asked, it has no webhooks."""
        return self.settings.get("only_polled") == "yes"

    @property
    def is_written_back(self) -> bool:
        """Return whether the tool is told what became of the work."""
        return self.settings.get("write_back") == "yes"


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """One configured connector, named in `send_to:`."""

    name: str
    system: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """As written; `${NAME}` in them is resolved by the caller."""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The firm: what `workspace.yaml` says."""

    name: str
    time_zone: str
    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorConfig] = field(default_factory=dict)
    people: tuple[Person, ...] = ()
    vague_texts: tuple[str, ...] = ()
    billable_when_not_said: str = "yes"
    """What `billable:` takes a silent tool to mean: yes, no or hold."""


@dataclass(frozen=True, slots=True)
class TextCondition:
    """One of the patterns must fit; `*` stands for any characters, case does not matter."""

    key: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A comparison in words: `at least 900`, `between 900 and 3600`."""

    words: str
    low: Decimal | None = None
    high: Decimal | None = None
    is_low_included: bool = True
    is_high_included: bool = True


@dataclass(frozen=True, slots=True)
class RangeCondition:
    """A number must lie in a range."""

    key: str
    range: Range


@dataclass(frozen=True, slots=True)
class BillableCondition:
    """What the tool says about being billable must be this."""

    is_billable: bool


@dataclass(frozen=True, slots=True)
class DayCondition:
    """The day of the work must lie between two days, both included."""

    first: date | None
    last: date | None


Condition = TextCondition | RangeCondition | BillableCondition | DayCondition


@dataclass(frozen=True, slots=True)
class Rounding:
    """How hours are rounded, entry by entry."""

    words: str
    """As written: "up to 15 minutes per entry"."""
    direction: str
    """"up", "down" or "nearest"."""
    step: int
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a rule makes of an event that it fits."""

    description: Description
    quantity: Decimal | None
    """None: the hours of the entry."""
    unit_price: Decimal | None
    """Major units; None: the rate of the person who worked."""
    rounding: Rounding | None = None
    one_line_per: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Rate:
    """An hourly price of a role or a person from a day on, until a newer one holds."""

    role: str | None
    person: str | None
    from_on: date
    hourly: Decimal
    at: Place


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


@dataclass(frozen=True, slots=True)
class Example:
    """One entry of `tests:`."""

    name: str
    at: Place
    given: Given
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
    purchase_order: str | None = None
    purchase_order_required: bool = False
    approval: str = "by hand"
    after_push: str = "leave as draft"
    memo: str | None = None
    footer: str | None = None
    rates: tuple[Rate, ...] = ()
    vague_texts: tuple[str, ...] = ()
    """The workspace's and its own."""
    tests: tuple[Example, ...] = ()
