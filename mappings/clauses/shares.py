"""Shares of money: parts of a contract sum by milestone, and one fact that several payers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, product
from typing import TYPE_CHECKING, Final

from ledger.corrections import LineItem
from ledger.money import Money, allocate, billed_as, exact_amount, printed, to_minor
from ledger.taxes import tax_of

from .. import phrases
from ..atoms import KEY, PATTERNS, POSITIVE
from ..descriptions import MOST
from ..holding import Hold
from ..matching import fits_wildcard
from ..periods import period_of
from ..reading import Mistakes, Place, quoted, suggestion
from ..shapes import Filled, Named, Phrase, Word
from . import days, prices

if TYPE_CHECKING:
    from ..contract import Bill, Customer

_OTHER_PRICES: Final = ("quantity", "unit_price", "round")
PERCENT: Final = Phrase("a percentage like 30 %", phrases.percent, f"^{phrases.PERCENT}$")
BILL_WORDS: Final[Mapping[str, Word]] = {
    "contract_sum": Word(POSITIVE, "the agreed sum, of which a share is billed"),
    "share": Word(PERCENT, "the share of contract_sum: that is billed: 30 %"),
    "shares": Word(
        Named(Phrase("a title, with * for any characters", most=300), PERCENT, "share"),
        "the share of contract_sum: by the title of the milestone; together 100 %",
        names_entries=True,
    ),
    "rest": Word(PATTERNS, "the titles that bill what shares: leaves of contract_sum:"),
}
RULE_WORDS: Final[Mapping[str, Word]] = {
    "split": Word(
        Named(KEY, PERCENT, "payer"),
        "who pays which share of it, by the customers' keys; together 100 %",
        names_entries=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a contract sum."""

    percent: Decimal
    amount: Decimal
    """Major units. The parts of a sum add up to it."""
    titles: tuple[str, ...] = ()
    """The titles that bill it, as they were written; empty: every title."""

    def fits(self, title: str) -> bool:
        """Return whether a title bills this part."""
        return not self.titles or any(_fits(pattern, title) for pattern in self.titles)


@dataclass(frozen=True, slots=True)
class ContractSum:
    """An agreed sum, of which each milestone bills a share."""

    total: Decimal
    """Major units."""
    shares: tuple[Share, ...]
    at: Place

    def share(self, title: str | None) -> Share:
        """Return the share that a title bills; raise ValueError with what to do if not just one."""
        fitting = [share for share in self.shares if share.fits(title or "")]
        if len(fitting) == 1:
            return fitting[0]
        said = f"the title {quoted(title or '')}"
        if not fitting:
            raise ValueError(f"{said} fits no share of the contract sum - add it under shares:")
        names = " and ".join(quoted(share.titles[0]) for share in fitting)
        raise ValueError(f"{said} fits the shares {names} - write them so that it fits one")


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays a share of what a rule bills."""

    customer: str
    percent: Decimal
    at: Place


@dataclass(frozen=True, slots=True)
class Split:
    """What one rule bills, shared by several payers."""

    payers: tuple[Payer, ...]
    schedule: str | None
    """The rule's own, one of `periods.SCHEDULES`; None: each payer's."""
    at: Place

    def divided(self, line: LineItem, customers: Mapping[str, Customer]) -> tuple[LineItem, ...]:
        """Return a line for each payer: amounts and seconds add up to those of the whole line.

        Raise Hold if a payer's own tax is not known.
        """
        shares = [Fraction(payer.percent) for payer in self.payers]
        rules = customers[line.customer].rules
        bill = next((rule.bill for rule in rules if rule.name == line.rule), None)
        amounts, seconds = allocate(line.amount, shares), allocate(line.seconds, shares)
        return tuple(
            self._line(
                line, bill, payer, Money(amount, line.currency), time, customers[payer.customer]
            )
            for payer, amount, time in zip(self.payers, amounts, seconds, strict=True)
        )

    def _line(
        self,
        whole: LineItem,
        bill: Bill | None,
        payer: Payer,
        amount: Money,
        seconds: int,
        customer: Customer,
    ) -> LineItem:
        part = Fraction(whole.quantity) * Fraction(payer.percent) / 100
        quantity, unit_price = billed_as(part, whole.unit_price, amount)
        period = period_of(self.schedule or customer.invoice, whole.on)
        share = f" ({payer.percent:f} %)"
        of = Money(whole.amount, whole.currency)
        tax, steps, coding = whole.tax, whole.steps, whole.coding
        if payer.customer != whole.customer:
            tax, steps = _own_tax(whole, customer)
            coding = customer.coding_of(bill).key
        return replace(
            whole,
            customer=payer.customer,
            tax=tax,
            coding=coding,
            description=whole.description[: MOST - len(share)] + share,
            quantity=quantity,
            unit_price=unit_price,
            amount=amount.minor,
            seconds=seconds,
            schedule=period.kind,
            period_from=period.start,
            period_to=period.end,
            steps=(
                *steps,
                f"{payer.customer} pays {payer.percent:f} % of {of} ({payer.at}): {amount}, as "
                f"{printed(quantity)} x {unit_price:f}",
            ),
        )


def _own_tax(whole: LineItem, customer: Customer) -> tuple[str, tuple[str, ...]]:
    """Return the tax on a payer's part by its own contract, and the steps with it."""
    code = customer.taxes.code_for(tax_of(whole.tax).code if whole.tax else None)
    if code is None:
        return "", whole.steps
    entry = customer.taxes.on(code, whole.on)
    if entry is None:
        raise Hold(f"no tax {code} of {customer.key} holds on {whole.on} - add one under taxes:")
    return entry.key, (*whole.steps, f"{customer.key}: {entry.step}")


def contract_sum_of(bill: Filled, currency: str | None, mistakes: Mistakes) -> ContractSum | None:
    """Return the contract sum of a bill, with every mistake noted; None without one."""
    words = [word for word in ("share", "shares", "rest") if word in bill.places]
    if "contract_sum" not in bill.places:
        for word in words:
            problem = "says a share, but not of what"
            mistakes.inside(word).add(bill.place(word), f"{problem} - write contract_sum: too")
        return None
    for word in (*_OTHER_PRICES, *prices.BILL_WORDS, *days.BILL_WORDS):
        if word in bill.places:
            problem = "stands beside contract_sum:, which is the price"
            mistakes.inside(word).add(bill.place(word), f"{problem} - leave one of the two out")
    at = bill.place("contract_sum")
    if "share" in words and len(words) > 1:
        mistakes.add(bill.place("share"), "share stands beside shares - write one of the two")
    elif not words or words == ["rest"]:
        mistakes.add(at, "says no share of the contract sum - write shares: or share:")
    elif bill.is_whole and currency:
        try:
            total = to_minor(bill["contract_sum"], currency)
        except ValueError as error:
            mistakes.inside("contract_sum").add(at, f"{error} - write a sum that can be paid")
            return None
        return ContractSum(bill["contract_sum"], _shares(bill, total, currency, mistakes), at)
    return None


def _shares(bill: Filled, total: int, currency: str, mistakes: Mistakes) -> tuple[Share, ...]:
    if "share" in bill.places:
        percent = bill["share"]
        amount = exact_amount(Fraction(bill["contract_sum"]) * Fraction(percent) / 100, currency)
        return (Share(percent, amount.decimal()),)
    at = bill.place("shares")
    parts = [((title,), percent) for title, (_, percent) in bill["shares"].items()]
    rest = 100 - sum((percent for _, percent in parts), Decimal(0))
    if "rest" in bill.places and rest > 0:
        parts.append((bill["rest"], rest))
    elif "rest" in bill.places:
        problem = "shares: leaves nothing of the contract sum"
        mistakes.inside("rest").add(bill.place("rest"), f"{problem} - leave rest: out")
    elif rest:
        problem = f"they come to {100 - rest:f} %, not to 100 %"
        hint = " - or say under rest: which titles bill what is left" if rest > 0 else ""
        mistakes.inside("shares").add(at, f"{problem} - correct them{hint}")
    for (titles, _), (others, _) in combinations(parts, 2):
        for one, other in product(titles, others):
            if _fits(one, other) or _fits(other, one):
                problem = f"a title can fit both {quoted(one)} and {quoted(other)}"
                mistakes.inside("shares").add(at, f"{problem} - write them so that it fits one")
    amounts = allocate(total, [Fraction(percent) for _, percent in parts])
    return tuple(
        Share(percent, Money(amount, currency).decimal(), titles)
        for (titles, percent), amount in zip(parts, amounts, strict=True)
    )


def _fits(pattern: str, title: str) -> bool:
    pattern, title = pattern.casefold(), title.casefold()
    return pattern == title or ("*" in pattern and fits_wildcard(pattern.split("*"), title))


def split_of(rule: Filled, mistakes: Mistakes) -> Split | None:
    """Return who shares what a rule bills, with every mistake noted; None without a split."""
    if "split" not in rule.values:
        return None
    inside, at = mistakes.inside("split"), rule.place("split")
    payers = tuple(Payer(key, percent, place) for key, (place, percent) in rule["split"].items())
    together = sum((payer.percent for payer in payers), Decimal(0))
    if together != 100:
        inside.add(at, f"the shares come to {together:f} %, not to 100 % - correct them")
    if rule.get("bill") == "nothing":
        inside.add(at, "there is nothing to share where nothing is billed - leave it out")
    return Split(payers, rule.get("invoice"), at)


def check_payers(
    customers: Mapping[str, Customer], mistakes: Mistakes, *, are_all_known: bool
) -> None:
    """Note a mistake for each payer who is no customer, or pays in another currency.

    `are_all_known` is false while files with mistakes may hold the customers that are missed.
    """
    for customer in customers.values():
        for rule in customer.rules:
            for payer in rule.split.payers if rule.split else ():
                inside = mistakes.inside(f"rule {quoted(rule.name)}", "split")
                other = customers.get(payer.customer)
                if other is None and are_all_known:
                    problem = f"no customer {quoted(payer.customer)}"
                    inside.add(payer.at, problem + suggestion(payer.customer, customers))
                elif other is not None and other.currency != customer.currency:
                    problem = f"{payer.customer} pays in {other.currency}, and {customer.key} in"
                    hint = "name only payers of one currency"
                    inside.add(payer.at, f"{problem} {customer.currency} - {hint}")
                elif other is not None and rule.bill:
                    _check_tax(customer, other, rule.bill.tax, payer, inside)
            if rule.split and rule.bill:
                inside = mistakes.inside(f"rule {quoted(rule.name)}", "split")
                if rule.bill.count:
                    problem = "what is counted together has one payer"
                    inside.add(rule.split.at, f"{problem} - leave split: out, or bill each entry")
                elif rule.bill.quantity == "hours" and customer.sums.overtime.covers(rule.name):
                    problem = "hours with overtime have one payer"
                    advice = "leave split: out, or name the other rules under overtime: rules:"
                    inside.add(rule.split.at, f"{problem} - {advice}")


def _check_tax(
    customer: Customer, other: Customer, code: str | None, payer: Payer, mistakes: Mistakes
) -> None:
    """Note a mistake if a payer's part could not be taxed as its own contract says."""
    ours, theirs = customer.taxes, other.taxes
    if theirs.by_code and theirs.code_for(code) is None:
        problem = f"{other.key} has taxes, but none for this"
        mistakes.add(payer.at, f"{problem} - write tax: at the top of its file")
    elif theirs.by_code and ours.is_included != theirs.is_included:
        problem = f"prices of {customer.key} and {other.key} are not both net or both gross"
        mistakes.add(payer.at, f"{problem} - the parts of one price mean the same to all payers")
