"""Money and quantities: exact, and rounded in this file alone.

Amounts are integer minor units (cents, yen, fils) of an ISO 4217 currency; quantities
and unit prices are `Decimal`. Rounding is half up (away from zero), once per line item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from iso4217 import Currency

# Wide enough that a product of some bounded decimals is always exact before it is rounded.
_EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
HOURS_PLACES = 4
"""Decimal places of a quantity of hours; 0.0001 h is 0.36 s, so two seconds never look equal."""
_MOST_PLACES = 8
"""Decimal places that a quantity has at most, as rule files may have."""


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

    def as_json(self) -> dict[str, int | str]:
        """Return it in minor units, together with its decimal text.

        >>> Money(12050, "EUR").as_json()
        {'minor': 12050, 'text': '120.50', 'currency': 'EUR'}
        """
        text = f"{self.decimal():f}"
        return {"minor": self.minor, "text": text, "currency": self.currency}

    def __str__(self) -> str:
        return f"{self.decimal():,f} {self.currency}"


def line_amount(quantity: Decimal, unit_price: Decimal, currency: str) -> Money:
    """Return quantity x unit price, rounded half up to the currency's minor unit.

    >>> str(line_amount(Decimal("0.3333"), Decimal("100.00"), "EUR"))
    '33.33 EUR'
    """
    product = _EXACT.multiply(quantity, unit_price).scaleb(exponent(currency), _EXACT)
    return Money(int(product.quantize(Decimal(1), context=_EXACT)), currency)


def product(price: Decimal, *factors: Decimal) -> Decimal:
    """Return a price times some factors: exact, with at least the decimals of the price.

    >>> product(Decimal("120.00"), Decimal("1.5")), product(Decimal("95"), Decimal("1.05"))
    (Decimal('180.00'), Decimal('99.75'))
    """
    exact = price
    for factor in factors:
        exact = _EXACT.multiply(exact, factor)
    whole, _, decimals = f"{exact:f}".partition(".")
    _, _, kept = f"{price:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(len(kept), "0")
    return Decimal(f"{whole}.{decimals}" if decimals else whole)


_MOST_CUT_PLACES = 12
"""Decimal places that the part of a quantity has at most that fills a cap."""


def quantity_for(minor: int, unit_price: Decimal, currency: str, *, of: Decimal) -> Decimal:
    """Return the part of a quantity that costs just so much, with the fewest decimal places.

    What is left of it costs what is left of the amount, wherever rounding allows that.

    >>> str(quantity_for(1000000, Decimal("120.00"), "EUR", of=Decimal("100.00")))
    '83.3333'
    """
    rest = line_amount(of, unit_price, currency).minor - minor
    exact = _EXACT.divide(Money(minor, currency).decimal(), unit_price)
    found = None
    for places in range(_MOST_CUT_PLACES + 1):
        part = exact.quantize(Decimal(1).scaleb(-places), context=_EXACT)
        if line_amount(part, unit_price, currency).minor != minor:
            continue
        found = part if found is None else found
        if line_amount(of - part, unit_price, currency).minor == rest:
            return part
    return exact.quantize(Decimal(1).scaleb(-_MOST_CUT_PLACES)) if found is None else found


def exact_amount(exact: Fraction, currency: str) -> Money:
    """Return an exact amount in major units, rounded half up to the currency's minor unit.

    >>> str(exact_amount(Fraction(500 * 17, 31), "EUR"))
    '274.19 EUR'
    """
    return Money(_half_up(exact * 10 ** exponent(currency)), currency)


def allocate(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Divide minor units or seconds by shares, none of them negative: the parts add up to `total`.

    See `apportioned`. A negative total mirrors the positive one. Raise ValueError if the shares
    come to nothing.

    >>> allocate(100, [Fraction(1), Fraction(1), Fraction(1)])
    [34, 33, 33]
    """
    if total < 0:
        return [-part for part in allocate(-total, shares)]
    whole = sum(shares)
    if not whole:
        raise ValueError("nothing can be divided by shares of nothing")
    return apportioned(total, [total * share / whole for share in shares])


def billed_as(quantity: Fraction, unit_price: Decimal, amount: Money) -> tuple[Decimal, Decimal]:
    """Return quantity and unit price of a line whose amount is settled, so that they give it.

    The quantity gets the fewest decimal places, from 4 to 8, that give just this amount; where
    none do, the line says 1 x the amount.

    >>> billed_as(Fraction(17, 31), Decimal("500.00"), Money(27419, "EUR"))
    (Decimal('0.548387'), Decimal('500.00'))
    """
    for places in range(HOURS_PLACES, _MOST_PLACES + 1):
        rounded = Decimal(_half_up(quantity * 10**places)).scaleb(-places, _EXACT)
        if line_amount(rounded, unit_price, amount.currency) == amount:
            return rounded, unit_price
    return Decimal("1.0000"), amount.decimal()


def _half_up(exact: Fraction) -> int:
    """Return a fraction as a whole number, half of one away from zero."""
    if exact < 0:
        return -_half_up(-exact)
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in major units as minor units; raise ValueError unless it is exact."""
    minor = amount.scaleb(exponent(currency), _EXACT)
    if minor != minor.to_integral_value():
        raise ValueError(f"{amount} has more decimal places than {currency} allows")
    return int(minor)


def tax_on(net: int, percent: Decimal) -> int:
    """Return the tax on a net amount, in the same minor units, rounded half up.

    >>> tax_on(10_050, Decimal(19))
    1910
    """
    return _half_up(net * Fraction(percent) / 100)


def net_within(gross: int, percent: Decimal) -> int:
    """Return what is left of a gross amount without the tax in it, rounded half up.

    >>> net_within(11_900, Decimal(19))
    10000
    """
    return _half_up(gross * 100 / (100 + Fraction(percent)))


def apportioned(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Return whole numbers that sum to `total`, each beside its share: by largest remainder.

    Of equal remainders the first comes first. Raise ValueError if the shares do not sum to about
    the total.

    >>> apportioned(100, [Fraction(100, 3)] * 3)
    [34, 33, 33]
    """
    whole = [share.numerator // share.denominator for share in shares]
    missing = total - sum(whole)
    if not 0 <= missing <= len(shares):
        raise ValueError(f"the shares do not sum to {total}")
    remainders = sorted(range(len(shares)), key=lambda at: (whole[at] - shares[at], at))
    for at in remainders[:missing]:
        whole[at] += 1
    return whole


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


def places_of(number: Decimal) -> int:
    """Return how many decimal places a number has, without idle zeros.

    >>> places_of(Decimal("1.500")), places_of(Decimal("100")), places_of(Decimal("1E+2"))
    (1, 0, 0)
    """
    return len(f"{number:f}".partition(".")[2].rstrip("0"))
