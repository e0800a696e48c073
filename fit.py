"""What the rules promise and a customer's billing system cannot do: told before any push.

`mappings/` knows the rules and `connectors/` the systems; here both meet. Called by
`flask rules check` and `flask rules activate`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from connectors.connector import Abilities
from connectors.registry import billing_connectors
from ledger.money import hours, places_of
from mappings.book import Book
from mappings.contract import Bill, Customer, Rule
from mappings.reading import Mistakes, quoted

_SHOWN: Final = {
    "purchase_order": ("purchase_order", "a purchase order"),
    "memo": ("memo", "a memo"),
    "footer": ("footer", "a footer"),
    "late_payment": ("footer", "a clause about paying late"),
    "payment_methods": ("footer", "how an invoice may be paid"),
    "early_payment": ("footer", "what may be taken off by who pays early"),
    "terms": ("due_date", "when an invoice is due"),
}
"""Word of a customer's file -> which of `Abilities.carries` it needs, and what it is."""
_AN_HOUR: Final = 3600


class Misfits(NamedTuple):
    """What is wrong, one line each: `file:line:column: where: what - what to do`."""

    mistakes: list[str]
    """What a push will surely be refused for."""
    notes: list[str]
    """What will be missing there without a word, or may be refused."""


def misfits(book: Book) -> Misfits:
    """Return what the rules promise and the customers' billing systems cannot do."""
    mistakes, notes = Mistakes(), Mistakes()
    systems = billing_connectors()
    for customer in book.customers.values():
        config = book.workspace.connectors.get(customer.send_to)
        system = systems.get(config.system) if config else None
        if config is not None and system is not None:
            able = system.able(config.settings)
            _look_at_terms(customer, able, system.name, mistakes, notes)
            for rule in customer.rules:
                if rule.bill is not None:
                    _look_at_rule(rule, rule.bill, able, system.name, mistakes, notes)
    # What a shared file says is told once, whoever extends it.
    return Misfits(*(list(dict.fromkeys(some.lines())) for some in (mistakes, notes)))


def _look_at_terms(
    customer: Customer, able: Abilities, name: str, mistakes: Mistakes, notes: Mistakes
) -> None:
    for word, (needed, what) in _SHOWN.items():
        if word in customer.places and needed not in able.carries:
            problem = f"{name} cannot show {what}"
            advice = "it will be missing there: take it out, or write send_to: another connector"
            notes.inside(word).add(customer.places[word], f"{problem} - {advice}")
    at = customer.books.at
    if at is not None:
        unused = [word for word in customer.books.words if word not in able.books]
        if unused:
            notes.inside("books").add(at, _no_use(name, unused))
    if customer.after_push != "leave as draft" and not able.finalize:
        problem = f"{name} leaves every invoice as a draft"
        notes.inside("after_push").add(
            customer.places["after_push"], f"{problem} - a person finalizes it there"
        )
    for rate in customer.rates.listed:
        if places_of(rate.price) > able.price_places:
            mistakes.inside("rates").add(rate.at, _too_fine(name, rate.price, able))
    if customer.taxes.by_code and not able.taxes:
        problem = f"{name} cannot take taxes that are calculated here"
        advice = "take them out, or write send_to: another connector"
        mistakes.inside("taxes").add(customer.places["taxes"], f"{problem} - {advice}")


def _look_at_rule(
    rule: Rule, bill: Bill, able: Abilities, name: str, mistakes: Mistakes, notes: Mistakes
) -> None:
    where = (f"rule {quoted(rule.name)}", "bill")
    price, quantity = bill.unit_price, bill.quantity
    if isinstance(price, Decimal) and places_of(price) > able.price_places:
        problem = _too_fine(name, price, able)
        mistakes.inside(*where, "unit_price").add(rule.at, problem)
    if isinstance(quantity, Decimal) and places_of(quantity) > able.quantity_places:
        problem = f"{name} keeps {able.quantity_places} decimal places of a quantity, not those"
        mistakes.inside(*where, "quantity").add(
            rule.at, f"{problem} of {quantity:f} - write a shorter one, and another price"
        )
    if quantity == "hours" and bill.count is None and _hours_are_finer(bill, able.quantity_places):
        problem = f"{name} keeps {able.quantity_places} decimal places of a quantity"
        advice = "round: up to 15 minutes per entry, or a draft with odd minutes is refused"
        notes.inside(*where, "quantity").add(rule.at, f"{problem}, hours have 4 - {advice}")
    unused = [word for word in bill.coding.as_json() if word not in able.books]
    if unused:
        notes.inside(*where, "books").add(rule.at, _no_use(name, unused))


def _hours_are_finer(bill: Bill, places: int) -> bool:
    """Return whether hours may have more decimal places than a system keeps."""
    steps = [1] if bill.rounding is None else [bill.rounding.step, bill.rounding.least]
    return any(places_of(hours(step)) > places for step in steps)


def _too_fine(name: str, price: Decimal, able: Abilities) -> str:
    problem = f"{name} keeps {able.price_places} decimal places of a price, not those of {price:f}"
    return f"{problem} - write a shorter one, or send_to: another connector"


def _no_use(name: str, words: list[str]) -> str:
    return f"{name} has no use for {', '.join(words)} - take it out, or look at send_to:"
