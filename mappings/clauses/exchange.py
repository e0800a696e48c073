"""Exchange rates: what a cost in another currency is worth, pinned, with where it is from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from ..atoms import CURRENCY, DAY, POSITIVE, TEXT
from ..reading import Mistakes, Place
from ..shapes import Filled, ListOf, TableOf, Word
from .setting import Setting

EXCHANGE_RATE: Final = TableOf(
    {
        "from": Word(CURRENCY, "the currency that was paid", required=True),
        "to": Word(CURRENCY, "the currency that is billed", required=True),
        "rate": Word(POSITIVE, "what one unit of from: is worth in to:", required=True),
        "since": Word(DAY, "the first day on which it is used", required=True),
        "until": Word(DAY, "the last day on which it is used; without it, until a newer one"),
        "source": Word(TEXT, "where it was published: ECB reference rate", required=True),
    },
    label=("exchange rate", "from"),
)
WORDS: Final[Mapping[str, Word]] = {
    "exchange_rates": Word(
        ListOf(EXCHANGE_RATE, needs_brackets=True, least=0),
        "what costs in other currencies are worth",
        names_entries=True,
    ),
}


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What one unit of a currency is worth in another one, from a day on."""

    paid: str
    """The currency that was paid."""
    billed: str
    """The currency that is billed."""
    rate: Decimal
    since: date
    until: date | None
    """The last day; None: it is used until there is a newer one."""
    source: str
    at: Place


@dataclass(frozen=True, slots=True)
class ExchangeRates:
    """All exchange rates of a customer."""

    listed: tuple[ExchangeRate, ...] = ()
    _by_pair: Mapping[tuple[str, str], Sequence[ExchangeRate]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def on(self, paid: str, billed: str, day: date) -> ExchangeRate | None:
        """Return the newest rate that is used on a day, None if there is none."""
        rates = self._by_pair.get((paid, billed), ())
        position = bisect_right(rates, day, key=lambda rate: rate.since)
        newest = rates[position - 1] if position else None
        return None if newest and newest.until and newest.until < day else newest


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> ExchangeRates:  # noqa: ARG001
    """Return the exchange rates of a customer's file, with every mistake noted."""
    first: dict[tuple[str, str, date], ExchangeRate] = {}
    for entry in filled.get("exchange_rates", ()):
        if not entry.is_whole:
            continue
        rate = ExchangeRate(
            paid=entry["from"],
            billed=entry["to"],
            rate=entry["rate"],
            since=entry["since"],
            until=entry.get("until"),
            source=entry["source"],
            at=entry.at,
        )
        inside = mistakes.inside(f"exchange rate from {rate.paid} to {rate.billed}")
        if rate.paid == rate.billed:
            inside.add(entry.place("to"), "is from a currency to itself - name two currencies")
        if rate.until and rate.until < rate.since:
            inside.add(entry.place("until"), "ends before it begins - change since: or until:")
        known = first.setdefault((rate.paid, rate.billed, rate.since), rate)
        if known is not rate and known.at.file == rate.at.file:
            problem = f"there is one since {rate.since} in {known.at.seen_from(rate.at)} already"
            inside.add(entry.at, f"{problem} - keep one of them")
    by_pair: dict[tuple[str, str], list[ExchangeRate]] = {}
    for rate in sorted(first.values(), key=lambda rate: rate.since):
        by_pair.setdefault((rate.paid, rate.billed), []).append(rate)
    return ExchangeRates(tuple(first.values()), by_pair)
