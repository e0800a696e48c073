"""Money and quantities: exact, and rounded in this file alone.

Amounts are integer minor units (cents, yen, fils) of an ISO 4217 currency; quantities
and unit prices are `Decimal`. Rounding is half up (away from zero), once per line item.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache

from iso4217 import Currency

# Wide enough that a product of two bounded decimals is always exact before it is rounded.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
HOURS_PLACES = 4
"""Decimal places of a quantity of hours; 0.0001 h is 0.36 s, so two seconds never look equal."""


@lru_cache(maxsize=256)
def exponent(currency: str) -> int:
    """Return the decimal places of a currency by ISO 4217: EUR 2, JPY 0, KWD 3.

    Raise ValueError for a code that ISO 4217 does not list or gives no minor unit.
    """
    try:
        places = Currency(currency).exponent
    except ValueError:
        raise ValueError(f'"{currency}" is not an ISO 4217 currency code') from None
    if places is None:
        raise ValueError(f'"{currency}" has no minor unit in ISO 4217')
    return int(places)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount: `minor` units of `currency`. Two currencies never mix."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}")

    def decimal(self) -> Decimal:
        """Return the amount in major units, with the currency's own decimal places.

        >>> Money(12050, "EUR").decimal(), Money(1500, "JPY").decimal()
        (Decimal('120.50'), Decimal('1500'))
        """
        return Decimal(self.minor).scaleb(-exponent(self.currency), _EXACT)

    def __str__(self) -> str:
        return f"{self.decimal():,f} {self.currency}"


def line_amount(quantity: Decimal, unit_price: Decimal, currency: str) -> Money:
    """Return quantity x unit price, rounded half up to the currency's minor unit.

    >>> str(line_amount(Decimal("0.3333"), Decimal("100.00"), "EUR"))
    '33.33 EUR'
    """
    product = _EXACT.multiply(quantity, unit_price).scaleb(exponent(currency), _EXACT)
    return Money(int(product.quantize(Decimal(1), context=_EXACT)), currency)


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in major units as minor units; raise ValueError unless it is exact."""
    minor = amount.scaleb(exponent(currency), _EXACT)
    if minor != minor.to_integral_value():
        raise ValueError(f"{amount} has more decimal places than {currency} allows")
    return int(minor)


def hours(seconds: int) -> Decimal:
    """Return a duration as hours, rounded half up to `HOURS_PLACES`.

    >>> hours(3600), hours(3000)
    (Decimal('1.0000'), Decimal('0.8333'))
    """
    exact = _EXACT.divide(Decimal(seconds), Decimal(3600))
    return exact.quantize(Decimal(1).scaleb(-HOURS_PLACES), context=_EXACT)


def days(seconds: int, seconds_in_a_day: int) -> Decimal:
    """Return a duration as days of so many seconds, rounded half up to `HOURS_PLACES`.

    >>> days(6 * 3600, 8 * 3600)
    Decimal('0.7500')
    """
    exact = _EXACT.divide(Decimal(seconds), Decimal(seconds_in_a_day))
    return exact.quantize(Decimal(1).scaleb(-HOURS_PLACES), context=_EXACT)


def seconds_of(hours: Decimal) -> int:
    """Return decimal hours as whole seconds, rounded half up.

    Tools that only know decimal hours write 20 minutes as 0.3333, which is 1199.88 s.

    >>> seconds_of(Decimal("5.5")), seconds_of(Decimal("0.3333"))
    (19800, 1200)
    """
    return int(_EXACT.multiply(hours, Decimal(3600)).quantize(Decimal(1), context=_EXACT))


def round_seconds(seconds: int, step: int, direction: str) -> int:
    """Round a duration to a multiple of `step` seconds: direction is "up", "down" or "nearest".

    Half a step goes up. A negative duration mirrors the positive one, so that a
    correction undoes exactly what it corrects.
    """
    if seconds < 0:
        return -round_seconds(-seconds, step, direction)
    rounding = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "nearest": ROUND_HALF_UP}[direction]
    with localcontext(_EXACT):
        steps = (Decimal(seconds) / step).quantize(Decimal(1), rounding=rounding)
    return int(steps) * step


def printed(quantity: Decimal) -> str:
    """Return a quantity as it stands on the invoice: at least two decimals, no idle zeros.

    >>> printed(Decimal("1.0000")), printed(Decimal("0.8333"))
    ('1.00', '0.8333')
    """
    whole, _, decimals = f"{quantity:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
