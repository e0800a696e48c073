"""Taxes by line: rate, code, reverse charge, exempt. The day of the work decides which rate holds.

What a tax comes to is calculated in `ledger/taxes.py`, on the sum of an invoice's lines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.taxes import Tax, TaxWords

from .. import phrases
from ..atoms import DAY, LINES, TEXT, YES_NO
from ..reading import Mistakes, Place, quoted, suggestion
from ..shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word
from .setting import Setting

_DECIMALS: Final = 4
"""The most decimals of a rate: no country has more."""


def percentage(text: str) -> Decimal:
    """Return the number of "19 %"; raise ValueError unless it lies between 0 and 100."""
    number, sign, rest = text.partition("%")
    if not sign or rest:
        raise ValueError(" - write it with its sign: 19 %")
    value = phrases.number(number.strip())
    if value > 100 or len(number.strip().partition(".")[2]) > _DECIMALS:
        raise ValueError(f" from 0 to 100, with at most {_DECIMALS} decimals")
    return value


CODE: Final = Phrase(
    "a short code like DE19, without spaces",
    phrases.form(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}"),
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$",
)
TAX: Final = TableOf(
    {
        "tax": Word(CODE, "its code, as tax: names it", required=True),
        "rate": Word(
            Phrase("a rate like 19 %", percentage, f"^{phrases.NUMBER} ?%$"), "the rate: 19 %"
        ),
        "reverse_charge": Word(YES_NO, "yes: the customer owes the tax, so none is added"),
        "exempt": Word(YES_NO, "yes: the work is exempt from tax"),
        "name": Word(TEXT, "what it is called on the invoice: VAT; default: its code"),
        "text": Word(
            LINES, "the sentence on the invoice; needed for reverse_charge: and for exempt:"
        ),
        "from": Word(DAY, "the first day of work that it holds for; default: from the beginning"),
    },
    label=("tax", "tax"),
)
WORDS: Final[Mapping[str, Word]] = {
    "taxes": Word(
        ListOf(TAX, needs_brackets=True), "the taxes, each with its code", names_entries=True
    ),
    "tax": Word(CODE, "the code of the tax on all lines, if their rule says nothing else"),
    "prices": Word(
        OneOf(
            {
                "net": "taxes are added to the prices",
                "gross": "the prices hold their taxes",
            }
        ),
        "net (default): taxes are added to the prices; or gross: the prices hold them already",
    ),
}
BILL_WORDS: Final[Mapping[str, Word]] = {
    "tax": Word(CODE, "the code of the tax on the line, if not like the others"),
}


@dataclass(frozen=True, slots=True)
class TaxEntry:
    """One entry of `taxes:`, which holds from a day on until a newer one of the same code."""

    key: str
    """The tax as a line item keeps it."""
    words: TaxWords
    from_on: date
    step: str
    """Where it comes from, for those who ask how a line was priced."""
    at: Place


@dataclass(frozen=True, slots=True)
class Taxes:
    """All taxes of a customer."""

    usual: str | None = None
    """The code on lines whose rule names none."""
    by_code: Mapping[str, tuple[TaxEntry, ...]] = field(default_factory=dict)
    """Oldest first."""

    def on(self, code: str, on: date) -> TaxEntry | None:
        """Return what a code means for work of a day, None if it does not hold yet."""
        entries = self.by_code[code]
        position = bisect_right(entries, on, key=lambda entry: entry.from_on)
        return entries[position - 1] if position else None

    @property
    def words(self) -> Mapping[str, TaxWords]:
        """Return how each tax is called now, by its code."""
        return {code: entries[-1].words for code, entries in self.by_code.items()}


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Taxes:  # noqa: ARG001
    """Return what a customer's file says of taxes, with every mistake noted."""
    is_included = filled.get("prices") == "gross"
    by_code: dict[str, list[TaxEntry]] = {}
    for tax in filled.get("taxes", ()):
        inside = mistakes.inside(f"tax {quoted(tax['tax'])}" if tax.get("tax") else "tax")
        entry = _entry(tax, inside, is_included=is_included)
        if entry is None:
            continue
        others = by_code.setdefault(tax["tax"], [])
        if same := next((other for other in others if other.from_on == entry.from_on), None):
            problem = f"stands in {same.at.seen_from(tax.at)} already"
            inside.add(tax.at, f"{problem} - keep one, or say from: when the other one begins")
        others.append(entry)
    usual = filled.get("tax")
    codes = tuple(tax["tax"] for tax in filled.get("taxes", ()) if tax.get("tax"))
    if usual:
        _check_code(usual, codes, filled.place("tax"), mistakes.inside("tax"))
    if "prices" in filled.places and "taxes" not in filled.places:
        problem = "nothing is known of taxes - add taxes:, or take prices: out"
        mistakes.inside("prices").add(filled.place("prices"), problem)
    _check_rules(filled, codes, mistakes)
    for name, due in _due(filled):
        _check_due(due, filled, codes, mistakes.inside(name))
    return Taxes(
        usual,
        {
            code: tuple(sorted(entries, key=lambda entry: entry.from_on))
            for code, entries in by_code.items()
        },
    )


def _entry(filled: Filled, mistakes: Mistakes, *, is_included: bool) -> TaxEntry | None:
    reverse, exempt = (filled.get(word) == "yes" for word in ("reverse_charge", "exempt"))
    if ("rate" in filled.places) + reverse + exempt != 1:
        problem = "has to say how much - write one of rate: 19 %, reverse_charge: yes, exempt: yes"
        mistakes.add(filled.at, problem)
        return None
    if (reverse or exempt) and "text" not in filled.places:
        problem = "nothing is taken, and the invoice has to say why - write text: with the sentence"
        mistakes.add(filled.at, problem)
    if not filled.is_whole:
        return None
    tax = Tax(
        filled["tax"],
        filled.get("rate", Decimal(0)),
        why_none="reverse charge" if reverse else "exempt" if exempt else None,
        is_included=is_included and not (reverse or exempt),
    )
    words = TaxWords(filled.get("name", tax.code), filled.get("text"))
    from_on = filled.get("from", date.min)
    since = f", from {from_on}" if "from" in filled.places else ""
    return TaxEntry(tax.key, words, from_on, f"tax {tax.key}{since} ({filled.at})", filled.at)


def _check_rules(customer: Filled, codes: tuple[str, ...], mistakes: Mistakes) -> None:
    for rule in customer.get("rules", ()):
        bill = rule.get("bill")
        if not rule.get("rule") or not isinstance(bill, Filled):
            continue
        inside = mistakes.inside(f"rule {quoted(rule['rule'])}").inside("bill")
        if code := bill.get("tax"):
            _check_code(code, codes, bill.place("tax"), inside.inside("tax"))
        elif codes and "tax" not in customer.places and "tax" not in bill.places:
            problem = "has no tax - write tax: here, or at the top of the file for all rules"
            inside.add(bill.at, problem)


def _due(customer: Filled) -> Iterator[tuple[str, Filled]]:
    """Yield what is due without any work, by what it is called in mistakes."""
    for fee in customer.get("fees", ()):
        if fee.get("fee"):
            yield f"fee {quoted(fee['fee'])}", fee
    minimum: Filled | None = customer.get("minimum_fee")
    if minimum is not None and "from" in minimum.places:
        yield "minimum_fee", minimum


def _check_due(entry: Filled, customer: Filled, codes: tuple[str, ...], mistakes: Mistakes) -> None:
    if code := entry.get("tax"):
        _check_code(code, codes, entry.place("tax"), mistakes.inside("tax"))
    elif codes and "tax" not in customer.places and "tax" not in entry.places:
        problem = "has no tax - write tax: here, or at the top of the file for all lines"
        mistakes.add(entry.at, problem)


def _check_code(code: str, known: tuple[str, ...], at: Place, mistakes: Mistakes) -> None:
    if code not in known:
        hint = suggestion(code, known) if known else " - add it under taxes:"
        mistakes.add(at, f"no tax {quoted(code)} under taxes:{hint}")
