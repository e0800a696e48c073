"""Numbers as accounting systems keep them: what goes out multiplies there as it does here.

Each system keeps only so many decimal places and rounds in its own way. `Digits.priced` brings a
line into numbers that survive; `minor` and `number` read what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ledger.errors import ConfigurationError
from ledger.invoices import Coding, PrintedLine
from ledger.money import Money, exponent, line_amount, places_of, printed


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line in numbers that a system keeps and multiplies as we do."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: int
    coding: Coding
    tax: str = ""
    """Of our line, as `Tax.key` writes it."""


@dataclass(frozen=True, slots=True)
class Digits:
    """How many decimal places a system keeps."""

    quantity: int
    price: int | None
    """None: as many as the currency has."""

    def priced(
        self, line: PrintedLine, currency: str, *, net: int | None = None, is_whole: bool = False
    ) -> PricedLine | None:
        """Return a line in such numbers; None if even its amount has too many decimals.

        What does not fit goes out as one piece at the line's amount, with the arithmetic in the
        text. So does a product that falls just between two cents: systems round that half up, down
        or to even. With `is_whole` so does any product that has to be rounded; with `net` the
        amount is that one, without the tax that is in the price.
        """
        is_net = net is not None and net != line.amount
        if not is_net and self._fits(line, currency, is_whole=is_whole):
            return PricedLine(
                line.description, line.quantity, line.unit_price, line.amount, line.coding, line.tax
            )
        rate = f"{printed(line.quantity)} x {line.unit_price:f} {currency}"
        rate += " with tax" if is_net else ""
        minor_units = line.amount if net is None else net
        amount = Money(minor_units, currency).decimal()
        if places_of(amount) > self._price(currency):
            return None
        return PricedLine(
            *(f"{line.description} ({rate})", Decimal(1), amount, minor_units),
            *(line.coding, line.tax),
        )

    def _price(self, currency: str) -> int:
        return exponent(currency) if self.price is None else self.price

    def _fits(self, line: PrintedLine, currency: str, *, is_whole: bool) -> bool:
        places = exponent(currency)
        product = Fraction(line.quantity) * Fraction(line.unit_price) * 10**places
        return (
            places_of(line.quantity) <= self.quantity
            and places_of(line.unit_price) <= self._price(currency)
            # How many decimals other currencies have is not the same everywhere.
            and (
                product.denominator == 1
                or (not is_whole and places == 2 and (2 * product) % 2 != 1)
            )
            and line_amount(line.quantity, line.unit_price, currency).minor == line.amount
        )


def minor(value: object, currency: str) -> int:
    """Return an amount of an answer, a number or its text, in minor units.

    Binary fractions on the way may have left it a hair beside its cent. Raise ValueError for what
    is no amount.

    >>> minor(Decimal("213.33"), "EUR"), minor("1500", "JPY"), minor(None, "EUR")
    (21333, 1500, 0)
    """
    return line_amount(Decimal(1), number(value), currency).minor


def number(value: object) -> Decimal:
    """Return a number of an answer; nothing is zero. Raise ValueError for what is none."""
    if value is None or value is False or value == "":
        return Decimal(0)
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError("not a number")
    try:
        found = Decimal(value)
    except ArithmeticError:
        raise ValueError("not a number") from None
    if not found.is_finite():
        raise ValueError("not a number")
    return found


def places_setting(key: str, settings: Mapping[str, str], name: str, usual: int) -> int:
    """Return a setting that is a number of decimal places; raise ConfigurationError."""
    told = settings.get(name) or str(usual)
    if not told.isdecimal():
        raise ConfigurationError([f"{key}: {name}: is a number: {usual}"])
    return int(told)
