"""What a customer's file says: from its nodes to the model, with every mistake noted.

Here is checked what one word cannot know alone; what a single value may look like stands in
`words.py`. Called by `book.py` with one file at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ledger.crediting import NEXT_INVOICE
from ledger.money import exponent, line_amount
from ledger.reopening import CREDIT

from . import phrases, words
from .clauses import (
    afterwards,
    agreements,
    books,
    exchange,
    factors,
    fees,
    forms,
    parties,
    rates,
    shares,
    sums,
    taxes,
)
from .clauses.rates import Rates
from .clauses.setting import Setting, check_known
from .conditions import conditions
from .contract import (
    Bill,
    Customer,
    Example,
    Expected,
    ExpectedInvoice,
    ExpectedLine,
    Given,
    Rule,
)
from .model import TextCondition, Workspace
from .reading import Mistakes, Table, quoted, suggestion
from .shapes import Filled

_CLAUSES: Final[Mapping[str, Any]] = {
    "rates": rates,
    "factors": factors,
    "exchange": exchange,
    "sums": sums,
    "agreements": agreements,
    "fees": fees,
    "taxes": taxes,
    "parties": parties,
    "form": forms,
    "books": books,
}
"""The field of `Customer` that each chapter fills."""


def customer_of(table: Table, mistakes: Mistakes, workspace: Workspace | None) -> Customer | None:
    """Return what a customer's file says; None if it has mistakes, with all of them noted.

    Without a workspace (it has mistakes of its own) what depends on it is not checked.
    """
    before = len(mistakes.found)
    filled: Filled = words.CUSTOMER.read(table, mistakes)
    takes: Filled | None = filled.get("takes")
    if takes is not None and not takes.places:
        mistakes.inside("takes").add(takes.at, "takes nothing - write takes: {project: [...]}")
    setting = _setting(filled, workspace)
    clauses: dict[str, Any] = {
        name: clause.read(filled, setting, mistakes) for name, clause in _CLAUSES.items()
    }
    schedule = filled.get("invoice", "monthly")
    rules = _rules(filled.get("rules", ()), schedule, filled, setting, clauses["rates"], mistakes)
    tests = _tests(filled, mistakes)
    if workspace and workspace.connectors and (send_to := filled.get("send_to")):
        check_known("connector", send_to, workspace.connectors, filled.place("send_to"), mistakes)
    if len(mistakes.found) > before or takes is None:
        return None
    terms = filled.get("terms")
    return Customer(
        key=filled["customer"],
        name=filled["name"],
        currency=filled["currency"],
        send_to=filled["send_to"],
        at=filled.place("customer"),
        takes=tuple(TextCondition(key, patterns) for key, patterns in takes.values.items()),
        rules=rules,
        invoice=schedule,
        time_zone=filled.get("time_zone") or (workspace.time_zone if workspace else "UTC"),
        billing_email=filled.get("billing_email"),
        terms=terms,
        days_until_due=phrases.days_until_due(terms) if terms else None,
        purchase_order_required=filled.get("purchase_order_required") == "yes",
        approval=filled.get("approval", "by hand"),
        after_push=filled.get("after_push", "leave as draft"),
        corrections=filled.get("corrections", NEXT_INVOICE),
        memo=filled.get("memo"),
        footer=filled.get("footer"),
        vague_texts=(
            *(workspace.vague_texts if workspace else ()),
            *filled.get("vague_texts", ()),
        ),
        tests=tests,
        places=filled.places,
        **clauses,
    )


def _setting(filled: Filled, workspace: Workspace | None) -> Setting:
    rules = {rule["rule"]: rule.get("bill") for rule in filled.get("rules", ()) if rule.get("rule")}
    bills = {name: bill for name, bill in rules.items() if isinstance(bill, Filled)}
    return Setting(
        workspace,
        filled.get("currency"),
        rules=tuple(rules),
        free=frozenset(name for name, bill in rules.items() if bill == "nothing"),
        without_hours=frozenset(
            name
            for name, bill in bills.items()
            if bill.get("quantity", "hours") != "hours" or "contract_sum" in bill.places
        ),
        holidays=frozenset(filled.get("holidays", ())),
        tax=filled.get("tax"),
    )


def _rules(
    found: Sequence[Filled],
    schedule: str,
    customer: Filled,
    setting: Setting,
    prices: Rates,
    mistakes: Mistakes,
) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    listed = customer.get("rates", () if "rates" not in customer.places else None)
    are_rates_whole = listed is not None and all(rate.is_whole for rate in listed)
    for filled in found:
        name = filled.get("rule")
        if name is None:
            continue
        inside = mistakes.inside(f"rule {quoted(name)}")
        if name in rules:
            problem = f"has the same name as the one in {rules[name].at.seen_from(filled.at)}"
            inside.add(
                filled.at, f"{problem} - line items name their rule, so call them differently"
            )
        when = filled.get("when")
        fits = conditions(when, setting, inside.inside("when")) if when else ()
        currency = filled.get("currency") or setting.currency or ""
        bill = filled.get("bill")
        made = None
        if isinstance(bill, Filled):
            made = _bill(bill, currency, setting.tax, inside.inside("bill"))
        if made:
            _check_kinds(filled, made, inside.inside("bill"))
        per = "day" if made and made.quantity == "days" else "hour"
        if made and made.unit_price == "rate" and are_rates_whole and not prices.has(per, currency):
            at = bill.place("unit_price")
            of = f"in {currency} " if prices.listed else ""
            problem = f"rate needs rates: {of}- add them, or write a number here"
            inside.inside("bill").add(at, problem)
        invoice = filled.get("invoice", schedule)
        if made:
            forms.check_text(
                bill,
                made.description,
                made.one_line_per,
                invoice,
                customer,
                inside.inside("bill"),
            )
        split = shares.split_of(filled, inside)
        late = filled.get("late", customer.get("late"))
        afterwards.check_reopened(filled, inside)
        reopened = filled.get("reopened", CREDIT)
        rules[name] = Rule(name, filled.at, fits, made, invoice, currency, split, late, reopened)
    return tuple(rules.values())


def _bill(filled: Filled, currency: str, tax: str | None, mistakes: Mistakes) -> Bill | None:
    tax, coding = filled.get("tax", tax), books.coding_of(filled.get("books"))
    contract_sum = shares.contract_sum_of(filled, currency or None, mistakes)
    if "contract_sum" in filled.places:
        if contract_sum is None or not filled.is_whole:
            return None
        return Bill(
            description=filled["description"],
            quantity=Decimal("1.00"),
            unit_price=Decimal(0),
            one_line_per=filled.get("one_line_per", ()),
            contract_sum=contract_sum,
            tax=tax,
            coding=coding,
        )
    if not filled.is_whole:
        return None
    missing = [word for word in ("quantity", "unit_price") if word not in filled.places]
    for word in missing:
        mistakes.add(filled.at, f'the word "{word}" is missing - {words.BILL.words[word].help}')
    if missing:
        return None
    quantity, unit_price = filled["quantity"], filled["unit_price"]
    count = sums.count_of(filled, currency, mistakes)
    if isinstance(unit_price, Filled):
        # Its pool has a price, not the entry.
        unit_price = Decimal(0)
    if quantity != "hours" and "round" in filled.places:
        mistakes.add(filled.place("round"), "only hours are rounded - write quantity: hours")
    if unit_price == "rate" and quantity not in ("hours", "days"):
        problem = "a rate is the price of an hour or a day"
        at = filled.place("unit_price")
        mistakes.add(at, f"{problem} - write quantity: hours, or a number here")
    if unit_price == "cost" and quantity != 1:
        at = filled.place("quantity")
        mistakes.add(at, "an expense is billed once at its cost - write quantity: 1")
    if unit_price != "cost" and "markup" in filled.places:
        at = filled.place("markup")
        mistakes.add(at, "a markup is on a cost - write unit_price: cost, or another price")
    if (
        currency
        and isinstance(quantity, Decimal)
        and isinstance(unit_price, Decimal)
        and not _is_exact(quantity, unit_price, currency)
    ):
        problem = f"{quantity} x {unit_price} has more decimal places than {currency} allows"
        mistakes.add(filled.place("unit_price"), f"{problem} - write a price that can be paid")
    rounding = filled.get("round")
    minimum: Decimal | None = filled.get("minimum")
    if minimum is not None and currency and not _is_exact(Decimal(1), minimum, currency):
        problem = f"{minimum} has more decimal places than {currency} allows"
        mistakes.add(filled.place("minimum"), f"{problem} - write an amount that can be paid")
    return Bill(
        description=filled["description"],
        quantity=quantity,
        unit_price=unit_price,
        rounding=rounding if rounding and rounding.per == "entry" else None,
        count=count,
        markup=filled.get("markup"),
        discount=filled.get("discount"),
        minimum=minimum,
        one_line_per=filled.get("one_line_per", ()),
        tax=tax,
        coding=coding,
    )


def _is_exact(quantity: Decimal | str, unit_price: Decimal | str, currency: str | None) -> bool:
    """Return whether a fixed price can be paid as it is; others are rounded once."""
    if isinstance(quantity, str) or isinstance(unit_price, str) or currency is None:
        return True
    amount = line_amount(quantity, unit_price, currency).decimal()
    return Fraction(amount) == Fraction(quantity) * Fraction(unit_price)


_KINDS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "hours": ("quantity", phrases.TIME_KINDS),
    "days": ("quantity", phrases.TIME_KINDS),
    "units": ("quantity", phrases.UNIT_KINDS),
    "cost": ("unit_price", phrases.COST_KINDS),
}
"""Words that only some kinds of event have a number for, and the word that they stand at."""


def _check_kinds(rule: Filled, bill: Bill, mistakes: Mistakes) -> None:
    """Note a mistake if a rule bills the hours of events that have none, and the like."""
    when = rule.get("when")
    kinds = phrases.kinds_named(when.get("event", ())) if when else ()
    for word in (bill.quantity, bill.unit_price):
        if not isinstance(word, str) or word not in _KINDS:
            continue
        at, having = _KINDS[word]
        if others := [kind for kind in kinds if kind not in having]:
            problem = f"{at}: {word}, but a {others[0]} has none"
            advice = f"write a number, or event: {having[0]}"
            mistakes.add(rule["bill"].place(at), f"{problem} - {advice}")
    if kinds == ("time.total",) and bill.count and "day" in bill.count.per:
        problem = "a time.total does not say which days the work was done on"
        at = rule["bill"].place("quantity")
        mistakes.add(at, f"{problem} - write event: time.logged")


def _tests(customer: Filled, mistakes: Mistakes) -> tuple[Example, ...]:
    tests: dict[str, Example] = {}
    rule_names = [rule["rule"] for rule in customer.get("rules", ()) if rule.get("rule")]
    for filled in customer.get("tests", ()):
        name, given, expect = filled.get("test"), filled.get("given"), filled.get("expect")
        if name is None:
            continue
        inside = mistakes.inside(f"test {quoted(name)}")
        if name in tests:
            problem = f"has the same name as the one in {tests[name].at.seen_from(filled.at)}"
            inside.add(filled.at, f"{problem} - call them differently")
        for each in given or ():
            fees.check_given(each, customer, inside.inside("given"))
        if isinstance(expect, Filled):
            _check_expected(expect, customer, rule_names, inside.inside("expect"))
            _check_invoiced(expect, len(given or ()), customer, inside.inside("expect"))
        if filled.is_whole and given and expect:
            expected = _expected(expect, customer.get("customer", ""))
            tests[name] = Example(name, filled.at, tuple(map(_given, given)), expected)
    return tuple(tests.values())


def _check_expected(
    expect: Filled, customer: Filled, rule_names: Sequence[str], mistakes: Mistakes
) -> None:
    if expect.is_whole and not expect.places:
        mistakes.add(expect.at, "expects nothing in particular - write rule:, amount: ...")
    other = expect.get("customer") not in (None, customer.get("customer"))
    rule = expect.get("rule")
    if rule and not other and rule not in rule_names:
        problem = f"this file has no rule {quoted(rule)}"
        mistakes.add(expect.place("rule"), problem + suggestion(rule, rule_names))
    if not other:
        _check_places(expect, "amount", _currency_of(expect, customer), mistakes)


def _check_places(expect: Filled, word: str, currency: str | None, mistakes: Mistakes) -> None:
    """Note a mistake if an amount of money has too many decimal places."""
    amount = expect.get(word)
    if amount is not None and currency:
        places = -amount.normalize().as_tuple().exponent
        if places > exponent(currency):
            problem = f"{amount} has more decimal places than {currency} allows"
            mistakes.add(expect.place(word), f"{problem} - write the rounded amount")


def _check_invoiced(expect: Filled, events: int, customer: Filled, mistakes: Mistakes) -> None:
    """Note mistakes in what is expected of printed lines, and where nothing is said of them."""
    of_one = [word for word in expect.places if word in words.OF_ONE_EVENT]
    of_all = [word for word in expect.places if word in (*words.INVOICED, "invoices")]
    if of_one and (events > 1 or of_all):
        problem = f"{of_one[0]} is about one event"
        mistakes.add(expect.place(of_one[0]), f"{problem} - write it under lines:, or total:")
    invoices = expect.get("invoices", ())
    for each in (expect, *invoices):
        inside = mistakes
        if each is not expect:
            inside = mistakes.inside(f"invoice {quoted(each.get('period', ''))}")
        other = expect.get("customer") not in (None, customer.get("customer"))
        currency = None if other else customer.get("currency")
        _check_places(each, "total", currency, inside)
        for line in (*each.get("lines", ()), *each.get("has_line", ())):
            _check_places(line, "amount", currency, inside)


def _currency_of(expect: Filled, customer: Filled) -> str | None:
    """Return the currency in which a line is expected: its own, its rule's, or the customer's."""
    named = (rule for rule in customer.get("rules", ()) if rule.get("rule") == expect.get("rule"))
    of_rule = next((rule.get("currency") for rule in named), None)
    found: str | None = expect.get("currency") or of_rule or customer.get("currency")
    return found


def _given(filled: Filled) -> Given:
    billable = filled.get("billable")
    fields = {name: _field(value) for name, (_, value) in filled.get("fields", {}).items()}
    if activity := filled.get("activity"):
        fields["activity"] = activity
    return Given(
        kind=filled["event"],
        on=filled["on"],
        source=filled.get("source", ""),
        endpoint=filled.get("endpoint", ""),
        project=filled.get("project"),
        item=filled.get("item"),
        title=filled.get("title"),
        person=filled.get("person"),
        seconds=filled.get("seconds"),
        billable=None if billable is None else billable == "yes",
        labels=filled.get("labels", ()),
        fields=fields,
        fee=filled.get("fee"),
    )


def _field(text: str) -> str | Decimal:
    """Return a field of a test as a tool would send it: a number where it looks like one."""
    try:
        return phrases.number(text)
    except ValueError:
        return text


def _expected(expect: Any, customer: str) -> Expected:
    if not isinstance(expect, Filled):
        return Expected(str(expect), customer)
    return Expected(
        outcome="priced",
        customer=expect.get("customer", customer),
        rule=expect.get("rule"),
        quantity=expect.get("quantity"),
        unit_price=expect.get("unit_price"),
        amount=expect.get("amount"),
        description=expect.get("description"),
        currency=expect.get("currency"),
        tax=expect.get("tax"),
        reopened=expect.get("reopened"),
        coding=books.coding_of(expect.get("books")),
        together=_invoiced(expect) if set(words.INVOICED) & set(expect.places) else None,
        invoices=tuple(_invoiced(each) for each in expect.get("invoices", ())),
    )


def _invoiced(filled: Filled) -> ExpectedInvoice:
    lines = filled.get("lines")
    return ExpectedInvoice(
        period=filled.get("period", ""),
        total=filled.get("total"),
        lines=None if lines is None else tuple(ExpectedLine(**each.values) for each in lines),
        has_lines=tuple(ExpectedLine(**each.values) for each in filled.get("has_line", ())),
    )
