"""Stripe's unit of each currency, which is not always the ISO 4217 minor unit.

A table of Stripe's own exceptions, kept as data because ISO's exponents give wrong amounts
for some of them: https://docs.stripe.com/currencies#minor-units. Used for every amount that
goes to Stripe and every amount that comes from there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ledger.errors import UnsupportedError
from ledger.money import Money, exponent

ZERO_DECIMAL: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"}
    | {"PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
"""Sent as whole units. MGA has two decimals in ISO 4217, yet Stripe knows only whole ariary."""

THREE_DECIMAL: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Sent in thousandths, of which the last digit must be 0."""

SENT_AS_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
"""Whole units by ISO 4217 that Stripe still wants as two-decimal amounts ending in 00."""


def places(currency: str) -> int:
    """Return how many decimal places Stripe's amounts of this currency have.

    Raise UnsupportedError for a currency whose unit at Stripe is not known for certain.
    """
    if currency in ZERO_DECIMAL:
        return 0
    if currency in THREE_DECIMAL:
        return 3
    if currency in SENT_AS_HUNDREDTHS:
        return 2
    try:
        iso = exponent(currency)
    except ValueError as error:
        raise UnsupportedError(f"stripe: {error} - mend `currency:` in the rule file") from None
    if iso != 2:
        raise UnsupportedError(
            f"stripe: {currency} is not on Stripe's list of currencies - bill in another currency"
        )
    return 2


def step(currency: str) -> int:
    """Return the smallest amount of a currency that Stripe takes, in ISO minor units.

    >>> step("EUR"), step("KWD"), step("MGA")
    (1, 10, 100)
    """
    if currency in THREE_DECIMAL:
        return 10
    return int(10 ** max(0, exponent(currency) - places(currency)))


def to_stripe(minor: int, currency: str) -> int:
    """Return ISO minor units as Stripe's integer amount.

    Raise UnsupportedError if Stripe cannot express the amount exactly.

    >>> to_stripe(1500, "JPY"), to_stripe(1500, "ISK"), to_stripe(1230, "KWD")
    (1500, 150000, 1230)
    """
    amount, rest = _shifted(minor, places(currency) - exponent(currency))
    if rest or (currency in THREE_DECIMAL and amount % 10):
        raise UnsupportedError(
            f"stripe: {Money(minor, currency)} has more decimals than Stripe takes for {currency} "
            "- round the price in the rule file"
        )
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Return Stripe's integer amount as ISO minor units.

    Raise UnsupportedError if it is no whole number of them.

    >>> from_stripe(150000, "ISK"), from_stripe(3, "MGA")
    (1500, 300)
    """
    minor, rest = _shifted(amount, exponent(currency) - places(currency))
    if rest:
        raise UnsupportedError(
            f"stripe: the amount {amount} there is no whole number of {currency}'s minor units "
            "- correct the invoice in Stripe"
        )
    return minor


def _shifted(amount: int, places_more: int) -> tuple[int, int]:
    """Return the amount with so many more decimal places, and what is left over."""
    if places_more >= 0:
        return amount * int(10**places_more), 0
    return divmod(amount, int(10**-places_more))


def unit_amount(unit_price: Decimal, currency: str) -> Decimal:
    """Return a price in major units as Stripe's unit, exactly; it may keep decimals.

    >>> unit_amount(Decimal("0.125"), "EUR")
    Decimal('12.5')
    """
    sign, digits, power = unit_price.as_tuple()
    if not isinstance(power, int):
        raise UnsupportedError(f"stripe: {unit_price} is no price - mend the rate in the rule file")
    return Decimal((sign, digits, power + places(currency)))


def major_units(unit_amount: Decimal, currency: str) -> Decimal:
    """Return a price in Stripe's unit as major units, exactly.

    >>> major_units(Decimal("12.5"), "EUR")
    Decimal('0.125')
    """
    return unit_amount.scaleb(-places(currency))
