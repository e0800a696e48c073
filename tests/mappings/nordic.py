"""A contract with rates, factors, expenses and usage, and what tests ask of its prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ledger.events import Event
from mappings.book import Book
from mappings.pricing import Held, Outcome, Priced

Logged = Callable[..., Event]
Files = dict[str, str]

CONTRACT = """\
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {person: Ben, from: 2026-01-01, hourly: 99.995}
holidays: [2026-04-06, 2026-05-01]
factors:
  - {factor: On call, when: {labels: on-call}, times: 2.25}
  - {factor: Holiday, when: {holiday: yes}, times: 2}
  - {factor: Weekend, when: {weekday: [saturday, sunday]}, times: 1.5}
exchange_rates:
  - {from: USD, to: EUR, rate: 0.9215, since: 2026-03-01, source: ECB reference rate}
  - {from: USD, to: EUR, rate: 0.93, since: 2026-04-01, until: 2026-04-30, source: the bank}
  - {from: EUR, to: JPY, rate: 161.27, since: 2026-01-01, source: ECB reference rate}
  - {from: USD, to: EUR, rate: 0.9, since: 2026-01-01, source: ECB reference rate}
rules:
  - rule: Hours
    when: {event: time.logged, project: ACME}
    bill: {description: "Work, {activity}, {factor}", quantity: hours, unit_price: rate}
  - rule: Fixed hours
    when: {event: time.logged, project: SITE}
    bill: {description: "Work, {factor}", quantity: hours, unit_price: 80, discount: 12.5 %}
  - rule: Expenses in yen
    when: {event: expense.logged, project: SITE}
    currency: JPY
    bill: {description: Cost, quantity: 1, unit_price: cost}
  - rule: Expenses
    when: {event: expense.logged}
    bill: {description: Cost, quantity: 1, unit_price: cost, markup: 10 %}
  - rule: Usage
    when: {event: usage.recorded}
    bill: {description: Usage, quantity: units, unit_price: 0.0234}
"""


def contract(files: Files, text: str = CONTRACT) -> Book:
    start, _, _ = files["acme.yaml"].partition("rates:")
    return Book.load({**files, "acme.yaml": start + text})


def priced(outcome: Outcome) -> Priced:
    assert isinstance(outcome, Priced), outcome
    return outcome


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Held), outcome
    assert " - " in outcome.reason, "a reason says what to do"
    return outcome.reason


def expense(logged: Logged, fields: Mapping[str, Any], **changes: Any) -> Event:
    said = {"kind": "expense.logged", "seconds": None, "source": "generic", **changes}
    return logged(fields=fields, **said)
