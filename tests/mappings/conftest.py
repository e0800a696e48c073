"""A small firm and its customer, written for these tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ledger.errors import ConfigurationError
from ledger.events import Event
from mappings.book import Book
from tests.mappings.nordic import contract

WORKSPACE = """\
format: 1
name: Studio
time_zone: Europe/Berlin
sources:
  jira-acme:
    tool: jira
    secret:
      - ${JIRA_NEW}
      - ${JIRA_OLD}
    token: ${JIRA_TOKEN}
    write_back: yes
  scripts:
    tool: generic
    unsigned: yes
    path_token: ${SCRIPTS_PATH}
connectors:
  stripe: {system: stripe, api_key: "${STRIPE_API_KEY}"}
  file: {system: file, folder: var/invoices}
people:
  - {person: Ana, role: senior, accounts: {jira: 5b10a, github: ana-dev}}
  - {person: Ben, role: junior, accounts: {jira-acme: [5c20b, 5c20c]}}
  - {person: Kim, accounts: {jira: 5d30d}}
vague_texts: [consulting services]
"""

ACME = """\
format: 1
customer: acme
name: Acme GmbH
billing_email: ap@acme.example
currency: EUR
send_to: stripe
terms: net 30
purchase_order: PO-4471
invoice: monthly
approval: by hand
takes: {project: [ACME, ACME-INT, SITE, "acme/*"]}
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {role: senior, from: 2026-07-01, hourly: 130.00}
  - {role: junior, from: 2026-01-01, hourly: 80.00}
  - {person: Ben, from: 2026-06-01, hourly: 95.00}
rules:
  - rule: Internal work is free
    when: {project: ACME-INT}
    bill: nothing
  - rule: A phase has a fixed price
    when: {event: milestone.completed, source: github, title: "Phase *"}
    bill: {description: "{title}, completed {date}", quantity: 1, unit_price: 4500.00}
    invoice: at once
  - rule: Engineering hours
    when: {event: time.logged, project: [ACME, SITE], billable: yes}
    bill:
      description: "{role} engineering, {item} {title}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
tests:
  - test: 50 minutes of senior work are billed as one hour
    given: {event: time.logged, project: ACME, person: Ana, seconds: 3000, on: 2026-03-04}
    expect: {rule: Engineering hours, quantity: 1.00, amount: 120.00}
  - test: Time of an unknown person waits for a decision
    given: {event: time.logged, project: ACME, person: Zoe, seconds: 3600, on: 2026-03-04}
    expect: hold
"""

Files = dict[str, str]


@pytest.fixture(scope="session")
def files() -> Files:
    """The files of a small firm with one customer."""
    return {"workspace.yaml": WORKSPACE, "acme.yaml": ACME}


@pytest.fixture(scope="session")
def book(files: Files) -> Book:
    return Book.load(files)


@pytest.fixture(scope="session")
def nordic(files: Files) -> Book:
    """A firm whose customer pays factors, expenses and usage."""
    return contract(files)


@pytest.fixture(scope="session")
def with_rules(files: Files) -> Callable[[str], Book]:
    """Return a function that loads the firm with other `rules:` for its customer."""

    def load(rules: str) -> Book:
        start, rest = ACME.split("rules:\n  - rule: Internal")
        assert rest
        return Book.load({**files, "acme.yaml": f"{start}rules:\n{rules}"})

    return load


@pytest.fixture(scope="session")
def mistakes(files: Files) -> Callable[..., list[str]]:
    """Return a function that changes one text in a file and returns the mistakes."""

    def change(old: str, new: str, file: str = "acme.yaml") -> list[str]:
        assert old in files[file]
        try:
            Book.load({**files, file: files[file].replace(old, new, 1)})
        except ConfigurationError as error:
            return error.mistakes
        return []

    return change


@pytest.fixture(scope="session")
def logged() -> Callable[..., Event]:
    """Return a function that makes a time entry of Ana's in Jira, with changes."""

    def make(**changes: Any) -> Event:
        said: dict[str, Any] = {
            "kind": "time.logged",
            "source": "jira",
            "endpoint": "jira-acme",
            "subject": "worklog:1",
            "version": 1,
            "occurred_at": datetime(2026, 3, 4, 9, tzinfo=UTC),
            "on": date(2026, 3, 4),
            "project": "ACME",
            "item": "ACME-7",
            "title": "Login page",
            "person": "5b10a",
            "seconds": 3000,
            "billable": True,
        }
        return Event(**{**said, **changes})

    return make
