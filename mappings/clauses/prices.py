"""What changes the price of one entry: markups, discounts, a minimum charge; costs and units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ledger.events import Event
from ledger.money import Money, line_amount, printed, product

from .. import phrases
from ..atoms import PERCENT, POSITIVE
from ..holding import Hold
from ..matching import field_at, number_of
from ..reading import quoted
from ..shapes import Word
from .exchange import ExchangeRates

BILL_WORDS: Final[Mapping[str, Word]] = {
    "markup": Word(PERCENT, "what is added to the cost of an expense: 10 %"),
    "discount": Word(PERCENT, "what is taken off the unit price: 5 %"),
    "minimum": Word(POSITIVE, "the least that is billed for an entry"),
}


def units_of(event: Event, steps: list[str]) -> Decimal:
    """Return how many units were used; raise Hold if the tool does not say, or nothing sound."""
    if event.kind not in phrases.UNIT_KINDS:
        raise Hold(f"bills units, but a {event.kind} has none - name its events under when:")
    units = _told(event, "quantity", "fields.quantity, the units used")
    steps.append(f"{printed(units)} units as told")
    return units


def cost_of(event: Event, currency: str, rates: ExchangeRates, steps: list[str]) -> Decimal:
    """Return what an expense cost in a currency; raise Hold if that cannot be said for sure."""
    if event.kind not in phrases.COST_KINDS:
        raise Hold(f"bills a cost, but a {event.kind} has none - name its events under when:")
    cost = _told(event, "amount", "fields.amount, the cost")
    paid = event.fields.get("currency")
    try:
        paid = phrases.currency(paid) if isinstance(paid, str) else None
    except ValueError:
        paid = None
    if paid is None:
        tool, said = event.source or "the tool", _shown(event.fields.get("currency"))
        raise Hold(f"{tool} says {said} for fields.currency - send a code, or bill it at a number")
    steps.append(f"cost {cost:f} {paid} as told")
    if paid == currency:
        return cost
    rate = rates.on(paid, currency, event.on)
    if rate is None:
        pair = f"{paid} to {currency}"
        raise Hold(f"no exchange rate from {pair} holds on {event.on} - add it: exchange_rates:")
    converted = product(cost, rate.rate)
    since = f"exchange rate since {rate.since}, {rate.source} ({rate.at})"
    steps.append(f"{cost:f} x {rate.rate:f} {currency} per {paid} = {converted:f}: {since}")
    return converted


def marked_up(price: Decimal, markup: Decimal, steps: list[str]) -> Decimal:
    """Return a price with a share of it added: 0.10 is 10 %."""
    return _changed(f"markup {markup.scaleb(2):f} %", price, 1 + markup, steps)


def discounted(price: Decimal, discount: Decimal, steps: list[str]) -> Decimal:
    """Return a price with a share of it taken off: 0.05 is 5 %."""
    return _changed(f"discount {discount.scaleb(2):f} %", price, 1 - discount, steps)


def _changed(what: str, price: Decimal, factor: Decimal, steps: list[str]) -> Decimal:
    changed = product(price, factor)
    steps.append(f"{what}: {price:f} x {factor:f} = {changed:f}")
    return changed


def at_least(
    minimum: Decimal, quantity: Decimal, amount: Money, steps: list[str]
) -> tuple[Decimal, Decimal] | None:
    """Return quantity and unit price of the minimum charge, None where it is not needed.

    What comes to no quantity at all is not charged for.
    """
    least = line_amount(Decimal(1), minimum, amount.currency)
    if not quantity or amount.minor >= least.minor:
        return None
    steps.append(f"less than the minimum charge of {least}")
    return Decimal(1), minimum


def _told(event: Event, name: str, what: str) -> Decimal:
    """Return a number of the tool's own fields; raise Hold if it is none, or below zero."""
    told = field_at(event.fields, name)
    number = number_of(told)
    if number is None or number < 0:
        tool, said = event.source or "the tool", _shown(told)
        raise Hold(f"{tool} says {said} for {what} - correct it there, or bill a number instead")
    return number


def _shown(told: Any) -> str:
    return "nothing" if told is None else quoted(str(told))
