"""What the rule files say of the firm and of conditions: plain frozen data, once checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ledger.money import round_seconds


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
    agreed_terms_required: bool = False
    """A customer's first draft waits until somebody has agreed to its terms."""


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


@dataclass(frozen=True, slots=True)
class HolidayCondition:
    """The day of the work must be a holiday, or must not be one."""

    is_holiday: bool
    days: frozenset[date]
    """The customer's holidays."""


Condition = TextCondition | RangeCondition | BillableCondition | DayCondition | HolidayCondition


@dataclass(frozen=True, slots=True)
class Rounding:
    """How hours are rounded: those of an entry, or those that are added up first."""

    words: str
    """As written: "up to 15 minutes per entry"."""
    direction: str
    """"up", "down" or "nearest"."""
    step: int
    """Seconds."""
    least: int = 0
    """The seconds that are billed at least, of what took any time."""
    per: str = "entry"
    """entry, day, person and day, or line: what is added up before it is rounded."""

    def rounded(self, seconds: int) -> int:
        """Return the seconds that are billed. What takes time back mirrors what was billed."""
        if seconds < 0:
            return -self.rounded(-seconds)
        if not seconds:
            return 0
        return max(round_seconds(seconds, self.step, self.direction), self.least)
