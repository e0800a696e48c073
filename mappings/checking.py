"""What a customer's file says: from its nodes to the model, with every mistake noted.

Here is checked what one word cannot know alone; what a single value may look like stands in
`words.py`. Called by `book.py` with one file at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ledger.money import exponent, line_amount

from . import phrases, words
from .clauses import agreements, fees, forms, parties, rates, sums, taxes
from .clauses.setting import Setting, check_known
from .contract import Bill, Customer, Example, Expected, Given, Rule
from .model import (
    BillableCondition,
    Condition,
    DayCondition,
    RangeCondition,
    TextCondition,
    Workspace,
)
from .reading import Mistakes, Place, Table, quoted, suggestion
from .shapes import Filled

_CLAUSES: Final[Mapping[str, Any]] = {
    "rates": rates,
    "sums": sums,
    "agreements": agreements,
    "fees": fees,
    "taxes": taxes,
    "parties": parties,
    "form": forms,
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
    names = tuple(rule["rule"] for rule in filled.get("rules", ()) if rule.get("rule"))
    setting = Setting(workspace, filled.get("currency"), names)
    clauses: dict[str, Any] = {
        name: clause.read(filled, setting, mistakes) for name, clause in _CLAUSES.items()
    }
    schedule = filled.get("invoice", "monthly")
    rules = _rules(filled.get("rules", ()), schedule, filled, workspace, mistakes)
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
        purchase_order=filled.get("purchase_order"),
        purchase_order_required=filled.get("purchase_order_required") == "yes",
        approval=filled.get("approval", "by hand"),
        after_push=filled.get("after_push", "leave as draft"),
        memo=filled.get("memo"),
        footer=filled.get("footer"),
        vague_texts=(
            *(workspace.vague_texts if workspace else ()),
            *filled.get("vague_texts", ()),
        ),
        tests=tests,
        **clauses,
    )


def _rules(
    found: Sequence[Filled],
    schedule: str,
    customer: Filled,
    workspace: Workspace | None,
    mistakes: Mistakes,
) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for filled in found:
        name = filled.get("rule")
        if name is None:
            continue
        inside = mistakes.inside(f"rule {quoted(name)}")
        if name in rules:
            problem = f"has the same name as the one in line {rules[name].at.line}"
            inside.add(
                filled.at, f"{problem} - line items name their rule, so call them differently"
            )
        when = filled.get("when")
        conditions = _conditions(when, workspace, inside.inside("when")) if when else ()
        bill = filled.get("bill")
        made = _bill(bill, customer, inside.inside("bill")) if isinstance(bill, Filled) else None
        if made and isinstance(made.quantity, str):
            _check_kinds(filled, made, inside)
        if made and made.unit_price == "rate" and "rates" not in customer.places:
            at = bill.place("unit_price")
            inside.inside("bill").add(at, "rate needs rates: - add them, or write a number here")
        rules[name] = Rule(name, filled.at, conditions, made, filled.get("invoice", schedule))
    return tuple(rules.values())


def _conditions(
    when: Filled, workspace: Workspace | None, mistakes: Mistakes
) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    for key, value in when.values.items():
        if key == "seconds":
            conditions.append(RangeCondition(key, value))
        elif key == "billable":
            conditions.append(BillableCondition(value == "yes"))
        elif key == "on":
            first, last = value.get("from"), value.get("to")
            if first and last and first > last:
                mistakes.inside(key).add(value.at, "from is later than to - change them over")
            elif value.is_whole and not value.places:
                mistakes.inside(key).add(value.at, "has no day - write from:, to: or both")
            conditions.append(DayCondition(first, last))
        elif key.startswith("fields.") and phrases.is_comparison(value[0]):
            conditions += _compared_field(key, value, when.place(key), mistakes)
        else:
            conditions.append(TextCondition(key, value))
    if workspace:
        names = [person.name for person in workspace.people]
        for name in when.get("person", ()):
            if "*" not in name:
                check_known("person", name, names, when.place("person"), mistakes.inside("person"))
    return tuple(conditions)


def _compared_field(
    key: str, value: tuple[str, ...], at: Place, mistakes: Mistakes
) -> list[Condition]:
    try:
        if len(value) > 1:
            raise ValueError(" - one comparison stands alone, between ... and ... gives two limits")
        return [RangeCondition(key, phrases.comparison(value[0]))]
    except ValueError as error:
        mistakes.inside(key).add(at, f"{quoted(value[0])} is not a comparison{error}")
        return []


def _bill(filled: Filled, customer: Filled, mistakes: Mistakes) -> Bill | None:
    if not filled.is_whole:
        return None
    quantity: Decimal | str = filled["quantity"]
    unit_price: Decimal | str = filled["unit_price"]
    currency = customer.get("currency")
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
    if not _is_exact(quantity, unit_price, currency):
        problem = f"{quantity} x {unit_price} has more decimal places than {currency} allows"
        mistakes.add(filled.place("unit_price"), f"{problem} - write a price that can be paid")
    rounding = filled.get("round")
    return Bill(
        description=filled["description"],
        quantity=quantity,
        unit_price=unit_price,
        rounding=rounding if rounding and rounding.per == "entry" else None,
        count=count,
        one_line_per=filled.get("one_line_per", ()),
    )


def _is_exact(quantity: Decimal | str, unit_price: Decimal | str, currency: str | None) -> bool:
    """Return whether a fixed price can be paid as it is; others are rounded once."""
    if isinstance(quantity, str) or isinstance(unit_price, str) or currency is None:
        return True
    amount = line_amount(quantity, unit_price, currency).decimal()
    return Fraction(amount) == Fraction(quantity) * Fraction(unit_price)


def _check_kinds(rule: Filled, made: Bill, mistakes: Mistakes) -> None:
    """Note a mistake if a rule bills hours, days or units of events that have none."""
    when = rule.get("when")
    kinds = phrases.kinds_named(when.get("event", ())) if when else ()
    having = phrases.UNIT_KINDS if made.quantity == "units" else phrases.TIME_KINDS
    at = rule["bill"].place("quantity")
    if others := [kind for kind in kinds if kind not in having]:
        problem = f"quantity: {made.quantity}, but a {others[0]} has none"
        mistakes.inside("bill").add(at, f"{problem} - write a number, or event: {having[0]}")
    elif kinds == ("time.total",) and made.count and "day" in made.count.per:
        problem = "a time.total does not say which days the work was done on"
        mistakes.inside("bill").add(at, f"{problem} - write event: time.logged")


def _tests(customer: Filled, mistakes: Mistakes) -> tuple[Example, ...]:
    tests: dict[str, Example] = {}
    rule_names = [rule["rule"] for rule in customer.get("rules", ()) if rule.get("rule")]
    for filled in customer.get("tests", ()):
        name, given, expect = filled.get("test"), filled.get("given"), filled.get("expect")
        if name is None:
            continue
        inside = mistakes.inside(f"test {quoted(name)}")
        if name in tests:
            problem = f"has the same name as the one in line {tests[name].at.line}"
            inside.add(filled.at, f"{problem} - call them differently")
        if isinstance(expect, Filled):
            _check_expected(expect, customer, rule_names, inside.inside("expect"))
        if filled.is_whole and given and expect:
            expected = _expected(expect, customer.get("customer", ""))
            tests[name] = Example(name, filled.at, _given(given), expected)
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
    amount, currency = expect.get("amount"), customer.get("currency")
    if amount is not None and currency and not other:
        places = -amount.normalize().as_tuple().exponent
        if places > exponent(currency):
            problem = f"{amount} has more decimal places than {currency} allows"
            mistakes.add(expect.place("amount"), f"{problem} - write the rounded amount")


def _given(filled: Filled) -> Given:
    billable = filled.get("billable")
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
        fields={name: _field(value) for name, (_, value) in filled.get("fields", {}).items()},
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
    )
