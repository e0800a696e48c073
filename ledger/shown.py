"""An invoice as its billing system shows it, and in words what makes it another one than ours.

Pure data. Each connector says how one of our drafts looks there (`BillingConnector.shown`), and
what it sees there (`RemoteInvoice`); both are held against each other before a push counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from .money import Money, printed


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as a billing system shows it."""

    description: str
    amount: int
    """Minor units, without the taxes that come on top."""
    quantity: Decimal | None = None
    """None where the system shows only the amount; then the unit price is None too."""
    unit_price: Decimal | None = None
    """Major units."""

    def as_json(self) -> dict[str, Any]:
        """Return the line as JSON, decimals as text."""
        return {
            "description": self.description,
            "quantity": None if self.quantity is None else printed(self.quantity),
            "unit_price": None if self.unit_price is None else f"{self.unit_price:f}",
            "amount": self.amount,
        }

    def is_like(self, other: ShownLine) -> bool:
        """Return whether both say the same, as far as both say it."""
        pairs = ((self.quantity, other.quantity), (self.unit_price, other.unit_price))
        return (
            _plain(self.description) == _plain(other.description)
            and self.amount == other.amount
            and all(one is None or two is None or one == two for one, two in pairs)
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands on an invoice at a billing system."""

    total: Money
    """With taxes."""
    lines: tuple[ShownLine, ...]
    header: Mapping[str, str] = field(default_factory=dict)
    """What stands above and below the lines, by the name of its field."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "total": self.total.minor,
            "currency": self.total.currency,
            "lines": [line.as_json() for line in self.lines],
            "header": dict(self.header),
        }


def shown_from_json(content: Mapping[str, Any]) -> Shown:
    """Return what `as_json` wrote down."""
    return Shown(
        Money(content["total"], content["currency"]),
        tuple(
            ShownLine(
                line["description"],
                line["amount"],
                None if line["quantity"] is None else Decimal(line["quantity"]),
                None if line["unit_price"] is None else Decimal(line["unit_price"]),
            )
            for line in content["lines"]
        ),
        content["header"],
    )


def differences(ours: Shown, theirs: Shown, *, in_order: bool = True) -> Iterator[str]:
    """Yield in words what makes `theirs` another invoice than `ours`, one difference each.

    Where a system does not keep the order of lines, `in_order` is false.
    """
    if theirs.total != ours.total:
        yield f"the total is {theirs.total} where we sent {ours.total}"
    if len(theirs.lines) != len(ours.lines):
        yield f"there are {len(theirs.lines)} lines where we sent {len(ours.lines)}"
    if in_order:
        yield from _line_by_line(ours.lines, theirs.lines, ours.total.currency)
    else:
        yield from _line_for_line(ours.lines, theirs.lines, ours.total.currency)
    for name in sorted({*ours.header, *theirs.header}):
        mine, other = ours.header.get(name, ""), theirs.header.get(name, "")
        if _plain(mine) != _plain(other):
            yield f'{name} is "{other}" where we sent "{mine}"'


def _line_by_line(
    ours: Sequence[ShownLine], theirs: Sequence[ShownLine], currency: str
) -> Iterator[str]:
    for number, (mine, other) in enumerate(zip_longest(ours, theirs), 1):
        if mine is None or other is None or not mine.is_like(other):
            yield f"line {number} is {_told(other, currency)} where we sent {_told(mine, currency)}"


def _line_for_line(
    ours: Sequence[ShownLine], theirs: Sequence[ShownLine], currency: str
) -> Iterator[str]:
    left = Counter(theirs)
    for number, mine in enumerate(ours, 1):
        other = next((line for line in left if mine.is_like(line)), None)
        if other is None:
            yield f"line {number}, {_told(mine, currency)}, is not there"
        else:
            left -= Counter([other])
    for line in left.elements():
        yield f"{_told(line, currency)} is there, which we have not sent"


def _plain(text: str) -> str:
    """Return a text without idle white space, which no system need keep."""
    return " ".join(text.split())


def _told(line: ShownLine | None, currency: str) -> str:
    if line is None:
        return "nothing"
    amount = f"{Money(line.amount, currency)}"
    if line.quantity is None or line.unit_price is None:
        return f'"{line.description}" of {amount}'
    return f'"{line.description}" of {printed(line.quantity)} x {line.unit_price:f} = {amount}'
