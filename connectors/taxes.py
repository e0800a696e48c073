"""Our taxes as those of a billing system: found there by code, name or rate, and foretold. Pure.

Many systems take a rate for each line and calculate by themselves. What they come to is reckoned
here by the rounding that they document, before anything is sent: a draft that would become another
invoice there is refused. The comparison after the push stays what decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from ledger.errors import ConfigurationError, RejectedError, UnsupportedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import Money, exponent
from ledger.taxes import Tax, line_taxes, tax_of

from .digits import PricedLine

BY_LINE, ON_SUM = "line", "sum"
_HALF: Final = 2
ROUNDINGS: Final = {BY_LINE: "rounded on each line", ON_SUM: "rounded on the sum of the lines"}


class TaxesDifferError(UnsupportedError):
    """The system would calculate other taxes than ours, so nothing has been sent."""


@dataclass(frozen=True, slots=True)
class TaxThere:
    """A tax that a billing system has."""

    id: str
    name: str
    rate: Decimal | None = None
    """Percent; None where it takes amounts, so that any rate may be meant."""
    is_included: bool = False
    """The system takes it out of the prices instead of adding it."""


def taxes_there(
    key: str,
    name: str,
    draft: InvoiceDraft,
    every: Sequence[TaxThere],
    *,
    usual: str | None = None,
    is_kept_inside: bool = False,
) -> list[TaxThere | None]:
    """Return the tax there of each line; None where nothing is taken and nothing is named.

    It is the one that the line's `tax_code` names; else the one called as our tax, with or without
    its rate; else `usual`; else the only one of the same rate. `is_kept_inside` says that a price
    which holds its tax goes out as it is, so that the tax there must be such a one. Raise
    RejectedError if there is none, several, or one of another rate.
    """
    found: list[TaxThere | None] = []
    for line in draft.lines:
        tax = tax_of(line.tax) if line.tax else None
        inside = is_kept_inside and tax is not None and tax.is_included
        fitting = [each for each in every if each.is_included == inside]
        where = f"{key}: {draft.reference}"
        found.append(
            None
            if tax is None
            else _one(where, name, tax, fitting, coded=line.coding.tax_code, usual=usual)
        )
    return found


def _one(
    where: str,
    name: str,
    tax: Tax,
    every: Sequence[TaxThere],
    *,
    coded: str | None,
    usual: str | None,
) -> TaxThere | None:
    called = tax.key.removesuffix(" included")
    for asked in (coded,) if coded else (called, tax.code, usual):
        there = [each for each in every if asked and _is(each, asked)]
        if there:
            break
    else:
        if not coded and not tax.rate:
            return None
        there = [] if coded else [each for each in every if each.rate == tax.rate]
    if len(there) == 1:
        _must_have_rate(where, tax, there[0])
        return there[0]
    sort = "prices that hold it" if tax.is_included else "prices without it"
    advice = "name the right one with books: {tax_code: ...}"
    if there:
        told = ", ".join(f"{each.name} ({each.id})" for each in there)
        raise RejectedError(f"{where}: {name} has several taxes for {tax.key}: {told} - {advice}")
    if coded:
        raise RejectedError(f'{where}: {name} has no tax "{coded}" for {tax.key} - {advice}')
    raise RejectedError(
        f"{where}: {name} has no tax of {tax.rate.normalize():f} % for {sort} ({tax.key}) - make "
        f"one there, or {advice}"
    )


def _must_have_rate(where: str, tax: Tax, there: TaxThere) -> None:
    if there.rate not in (None, tax.rate):
        raise RejectedError(
            f"{where}: the tax {there.name} ({there.id}) takes {there.rate:f} % there, and "
            f"{tax.key} is ours - mend the rate there or in taxes:, or name another tax with "
            "books: {tax_code: ...}"
        )


def _is(there: TaxThere, asked: str) -> bool:
    return there.id == asked or there.name.casefold() == asked.casefold()


def named(draft: InvoiceDraft) -> list[TaxThere | None]:
    """Return the tax of each line by our name and rate: for a system where a line has just these.

    None where nothing is taken.
    """
    names = {total.tax.key: total.words.name for total in draft.taxes}
    found: list[TaxThere | None] = []
    for line in draft.lines:
        rate = tax_of(line.tax).rate if takes_tax(line) else None
        name = names.get(line.tax, "")
        found.append(None if rate is None else TaxThere(f"{name} {rate.normalize():f}", name, rate))
    return found


def must_come_to_ours(
    key: str,
    name: str,
    draft: InvoiceDraft,
    lines: Sequence[tuple[TaxThere | None, int]],
    roundings: Collection[str],
    *,
    is_inclusive: bool = False,
    advice: str,
) -> None:
    """Raise TaxesDifferError unless the system comes to our taxes, whichever way it rounds.

    `lines` are in minor units; `is_inclusive` says that the amounts of all hold their tax.
    """
    where = f"{key}: {draft.reference}"
    for rounding in sorted(roundings):
        parts = _rounded_together(lines, rounding, is_inclusive=is_inclusive)
        tax = sum(part.amount(amount) for part, amount in parts)
        if tax != draft.tax.minor:
            off = Money(abs(tax - draft.tax.minor), draft.currency)
            raise TaxesDifferError(
                f"{where}: {name} would come to {Money(tax, draft.currency)} of tax "
                f"({ROUNDINGS[rounding]}), {off} {'more' if tax > draft.tax.minor else 'less'} "
                f"than our {draft.tax} - {advice}"
            )
        if any(part.is_included and _is_halved(part, amount) for part, amount in parts):
            raise TaxesDifferError(
                f"{where}: net and tax within the prices fall just between two minor units "
                f"({ROUNDINGS[rounding]}), and {name} may round both up - {advice}"
            )


def _rounded_together(
    lines: Sequence[tuple[TaxThere | None, int]], rounding: str, *, is_inclusive: bool
) -> list[tuple[Tax, int]]:
    """Return the taxes that are taken, each with the amount on which it is rounded."""
    together: dict[str, tuple[Tax, int]] = {}
    for at, (there, amount) in enumerate(lines):
        if there is not None and there.rate:
            tax = Tax(there.id, there.rate, is_included=is_inclusive or there.is_included)
            group = there.id if rounding == ON_SUM else f"{at}"
            _, before = together.get(group, (tax, 0))
            together[group] = (tax, before + amount)
    return list(together.values())


def _is_halved(tax: Tax, gross: int) -> bool:
    """Return whether both parts of a gross amount have half a minor unit."""
    return (gross * Fraction(tax.rate) / (100 + Fraction(tax.rate))).denominator == _HALF


def nets(key: str, name: str, draft: InvoiceDraft, *, places: int | None = None) -> list[int]:
    """Return each line's amount without the tax that is in it, so that they sum to our net.

    `places` is how many decimals the system keeps. Raise UnsupportedError for a tax with more.
    """
    most = exponent(draft.currency) if places is None else places
    step = 10 ** max(0, exponent(draft.currency) - most)
    try:
        inside = line_taxes([(line.tax, line.amount) for line in draft.lines], step)
    except ValueError:
        raise UnsupportedError(
            f"{key}: {draft.reference}: its taxes in {draft.currency} have more than {most} "
            f"decimal places, and {name} keeps no more - send it elsewhere with send_to:"
        ) from None
    return [
        line.amount - tax if holds_tax(line) else line.amount
        for line, tax in zip(draft.lines, inside, strict=True)
    ]


def holds_tax(line: PrintedLine) -> bool:
    """Return whether a line's price holds its tax already."""
    return bool(line.tax) and tax_of(line.tax).is_included


def takes_tax(line: PrintedLine | PricedLine) -> bool:
    """Return whether a tax is taken on a line; it is not where it is zero, or somebody else's."""
    return bool(line.tax) and tax_of(line.tax).rate != 0


def is_all_inclusive(draft: InvoiceDraft) -> bool:
    """Return whether the price of every line on which a tax is taken holds it."""
    taxed = [line for line in draft.lines if takes_tax(line)]
    return bool(taxed) and all(map(holds_tax, taxed))


def roundings_setting(key: str, settings: Mapping[str, str]) -> frozenset[str]:
    """Return how a system may round, by its setting `tax_rounding`; raise ConfigurationError.

    Without the setting, either way: then only drafts are sent for which both come to ours.
    """
    told = settings.get("tax_rounding")
    if not told:
        return frozenset(ROUNDINGS)
    if told not in ROUNDINGS:
        raise ConfigurationError([f"{key}: tax_rounding: is {BY_LINE} or {ON_SUM}"])
    return frozenset((told,))
