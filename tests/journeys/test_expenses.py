"""Expenses and usage of a script, in two currencies, with numbers as JSON and as text."""

from __future__ import annotations

import json

from ledger import auditlog
from ledger.audit import audit
from ledger.audit.prices import Price
from ledger.events import Event
from mappings.judging import judge
from tests.journeys.house import issue, worklog
from tests.journeys.office import PATH_TOKEN, Office

SCRIPTS = f"scripts/{PATH_TOKEN}"

RULES = """\
exchange_rates:
  - {from: USD, to: EUR, rate: 0.9215, since: 2026-10-01, source: ECB reference rate}
factors:
  - {factor: Weekend, when: {weekday: [saturday, sunday]}, times: 1.5}
rules:
  - rule: Travel in dollars
    when: {event: expense.logged, fields.amount: at least 100.50}
    currency: USD
    bill: {description: "{title}", quantity: 1, unit_price: cost}
  - rule: Expenses
    when: {event: expense.logged}
    bill: {description: "{title}", quantity: 1, unit_price: cost, markup: 10 %}
  - rule: Storage
    when: {event: usage.recorded}
    bill: {description: Storage, quantity: units, unit_price: 0.05, minimum: 1.00}
"""


def told(subject: str, kind: str, fields: str, changed: int = 0) -> str:
    said = {
        "kind": kind,
        "subject": subject,
        "on": "2026-10-03",
        "project": "ACME",
        "title": "Train",
        "changed_at": f"2026-10-03T12:00:{changed:02}Z",
    }
    return json.dumps(said)[:-1] + f', "fields": {fields}}}'


def test_costs_units_and_factors_are_billed_as_they_were_told(office: Office) -> None:
    office.change("acme.yaml", "rules:\n", RULES)
    office.activate()
    for body in (
        told("expense:1", "expense.logged", '{"amount": "84.20", "currency": "USD"}'),
        told("expense:2", "expense.logged", '{"amount": 100.5, "currency": "USD"}'),
        told("expense:3", "expense.logged", '{"amount": "12", "currency": "CHF"}'),
        told("usage:1", "usage.recorded", '{"quantity": 1200.5}'),
        told("usage:2", "usage.recorded", '{"quantity": 1}'),
    ):
        office.tell(json.loads(body), endpoint=SCRIPTS)
    # 2026-10-03 is a Saturday.
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {
        "acme-2026-10": ("draft", 8535 + 6003 + 100 + 18000),
        "acme-2026-10-USD": ("draft", 10050),
    }
    assert list(office.held()) == ["expense:3"]
    assert "no exchange rate from CHF to EUR holds on 2026-10-03" in office.held()["expense:3"]

    again = told("expense:1", "expense.logged", '{"amount": "100.50", "currency": "USD"}', 1)
    office.tell(json.loads(again), endpoint=SCRIPTS)
    assert office.invoices()["acme-2026-10"] == ("draft", 6003 + 100 + 18000)
    assert office.invoices()["acme-2026-10-USD"] == ("draft", 20100)
    _check(office)


def _check(office: Office) -> None:
    def price_again(version: str, event: Event) -> list[Price]:
        lines = judge(office.line.book_of(version), event).lines
        names = Price.__dataclass_fields__
        return [Price(**{name: getattr(line, name) for name in names}) for line in lines]

    while office.line.database.write(auditlog.seal):
        pass
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now(), price_again=price_again) == []
