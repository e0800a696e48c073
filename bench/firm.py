"""An installation to measure: a database, a folder of rules, and what works on them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert, select

import worker
from connectors.http import Http
from ledger import approvals, versions
from ledger.tables import delivery, invoice
from line import Line
from mappings.book import Book

from .bodies import CUSTOMERS, ENDPOINT, ISSUES, PEOPLE, SECRET, as_rows, issue, worklog

_STORED_TOGETHER: Final = 500
_WORKSPACE: Final = """\
format: 1
name: Bench Studio
time_zone: Europe/Berlin
sources:
  {endpoint}: {{tool: jira, secret: "${{JIRA_SECRET}}"}}
connectors:
  {connector}
people:
{people}
"""
_CUSTOMER: Final = """\
format: 1
customer: customer-{number}
name: Customer {number} Ltd
billing_email: ap@customer-{number}.example
currency: EUR
send_to: billing
terms: net 30
invoice: monthly
takes: {{project: P{number}}}
holidays: [2026-10-03, 2026-12-25]
rates:
  - {{role: senior, from: 2026-01-01, hourly: 120.00}}
{agreed}rules:
{others}
  - rule: Engineering hours
    when: {{event: time.logged}}
    bill:
      description: "{{role}} engineering, {{item}} {{title}}"
      quantity: hours
      round: up to 15 minutes per {rounded}
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
"""
_AGREED: Final = """\
  - {from: 2026-01-01, hourly: 90.00}
  - {role: senior, from: 2026-07-01, hourly: 125.00}
  - {person: Ana, from: 2026-01-01, hourly: 140.00}
  - {project: "X*", person: Ana, from: 2026-01-01, hourly: 150.00}
  - {labels: night, from: 2026-01-01, hourly: 180.00}
  - {activity: review, role: senior, from: 2026-01-01, hourly: 110.00}
factors:
  - {factor: On call, when: {labels: on-call}, times: 2}
  - {factor: Holiday, when: {holiday: yes}, times: 2}
  - {factor: Weekend, when: {weekday: [saturday, sunday]}, times: 1.5}
taxes:
  - {tax: DE19, rate: 19 %, name: VAT}
tax: DE19
prices: net
caps:
  - {cap: Ceiling, rules: [Engineering hours], at_most: 20000.00, per: period}
"""
"""What makes a contract rich: rates by several criteria, factors, taxes, a cap that is reached."""
_OTHER_CONDITIONS: Final = (
    'title: "Phase {n} *"',
    "item: [OPS-{n}, OLD-{n}]",
    "labels: free-{n}",
    'title: "Phase {n} *", project: "P*"',
    'fields.issue_type: "Kind {n}", seconds: at least 900',
    "activity: kind {n}, weekday: [saturday, sunday]",
    'role: "Role {n}", holiday: no',
    'person: [Ana, Ben], title: "Part {n} *", on: {{from: 2026-01-01}}',
)
_ANYWHERE: Final = 'title: "*on the house {n}*"'
"""A pattern that can stand anywhere in a title cannot be looked up: every such rule is asked."""


class Firm:
    """One installation with ten customers, on a migrated database of its own."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        rules: int = CUSTOMERS,
        is_rich: bool = False,
        connector: str | None = None,
        environ: Mapping[str, str] | None = None,
        http: Http | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        rules_folder = folder / "rules"
        rules_folder.mkdir()
        _write_rules(
            rules_folder,
            rules,
            connector or f"billing: {{system: file, folder: {folder}/out}}",
            is_rich=is_rich,
        )
        self.environ = {
            "DATABASE_URL": database_url,
            "BILLHOOK_RULES": str(rules_folder),
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "BILLHOOK_LOG_LEVEL": "WARNING",
            "JIRA_SECRET": SECRET,
            **(environ or {}),
        }
        line = Line.from_env(self.environ)
        self.line = Line(line.settings, environ=self.environ, database=line.database, http=http)
        book = Book.read_folder(rules_folder)
        self.line.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="bench", now=self.line.clock.now()
            )
        )

    def store(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Store deliveries (body by delivery id) as if they had been accepted."""
        rows = as_rows(bodies, self.line.clock.now())
        for start in range(0, len(rows), _STORED_TOGETHER):
            part = rows[start : start + _STORED_TOGETHER]
            self.line.database.write(
                partial(Connection.execute, statement=insert(delivery), parameters=part)
            )

    def store_issues(self) -> None:
        """Store what tells about the issues that all time entries name, and read it."""
        self.store({f"issue-{number}": issue(number) for number in range(ISSUES)})
        self.run("normalize")

    def store_worklogs(self, first: int, count: int) -> None:
        """Store deliveries with time entries, numbered from `first` on."""
        self.store({str(number): worklog(number) for number in range(first, first + count)})

    def run(self, *stages: str) -> None:
        """Run stages until nothing waits for them."""
        by_name = {stage.name: stage for stage in worker.STAGES}
        for name in stages:
            while worker.run(self.line, by_name[name]):
                pass

    def book(self) -> Book:
        """Return the rules that are active."""
        book = self.line.book()
        assert book is not None
        return book

    def approve_all(self) -> None:
        """Approve every draft."""
        with self.line.database.read() as connection:
            drafts = list(
                connection.scalars(select(invoice.c.reference).where(invoice.c.state == "draft"))
            )
        for reference in drafts:
            approve = partial(
                approvals.approve,
                reference=reference,
                approved_by="bench",
                content_hash=None,
                now=self.line.clock.now(),
            )
            self.line.database.write(approve)

    def close(self) -> None:
        """Close the database's connections."""
        self.line.database.close()


def _write_rules(folder: Path, rules: int, connector: str, *, is_rich: bool) -> None:
    people = "\n".join(
        f"  - {{person: {name}, role: senior, accounts: {{jira: {account}}}}}"
        for account, name in PEOPLE.items()
    )
    workspace = _WORKSPACE.format(endpoint=ENDPOINT, connector=connector, people=people)
    (folder / "workspace.yaml").write_text(workspace)
    for number in range(CUSTOMERS):
        others = "\n".join(_other_rule(each) for each in range(rules // CUSTOMERS - 1))
        agreed, rounded = (_AGREED, "person and day") if is_rich else ("", "entry")
        text = _CUSTOMER.format(number=number, others=others, agreed=agreed, rounded=rounded)
        (folder / f"customer-{number}.yaml").write_text(text)


def _other_rule(number: int) -> str:
    """Return a rule that fits nothing here, of a kind that admins write."""
    kinds = len(_OTHER_CONDITIONS)
    condition = _ANYWHERE if number % 50 == 49 else _OTHER_CONDITIONS[number % kinds]
    return f"  - {{rule: Rule {number}, when: {{{condition.format(n=number)}}}, bill: nothing}}"
