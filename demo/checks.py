"""Everything that must be so in the end, compared with the truth of the month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from ledger.money import Money
from ledger.tables import delivery, event, invoice, line_item, refusal, report, subject

from .truth import Truth


@dataclass
class Checks:
    """Counts what was compared, and keeps what was not as it should be."""

    compared: int = 0
    mismatches: list[str] = field(default_factory=list)

    def equal(self, what: str, expected: object, found: object) -> None:
        """Compare two values."""
        self.compared += 1
        if expected != found:
            self.mismatches.append(f"{what}: should be {expected}, is {found}")

    def that(self, what: str, is_so: bool) -> None:
        """Note whether something is so."""
        self.equal(what, True, is_so)


def check_month(checks: Checks, connection: Connection, truth: Truth, answers: Any) -> None:
    """Compare what has come of the month's postings."""
    checks.equal("answers to the tools", dict(truth.answers), dict(answers))
    is_theirs = delivery.c.endpoint != "stripe"
    checks.equal(
        "deliveries", dict(truth.deliveries), _counts(connection, delivery.c.state, is_theirs)
    )
    checks.equal("subjects", dict(truth.subjects), _counts(connection, subject.c.state))
    refused = {
        row.endpoint: row.times
        for row in connection.execute(select(refusal.c.endpoint, refusal.c.count.label("times")))
    }
    checks.equal("refused deliveries", {"jira": 1}, refused)
    check_totals(checks, connection, truth.totals)
    for reference, entries in truth.entries.items():
        billed = connection.scalar(
            select(func.count())
            .select_from(line_item.join(invoice).join(event, event.c.id == line_item.c.event_id))
            .where(invoice.c.reference == reference, event.c.kind == "time.logged")
        )
        checks.equal(f"time entries on {reference}", entries, billed)


def check_totals(
    checks: Checks, connection: Connection, totals: Mapping[str, tuple[str, Decimal]]
) -> None:
    """Compare the invoices that there are, and their totals."""
    rows = connection.execute(
        select(invoice.c.reference, invoice.c.total, invoice.c.currency).where(
            invoice.c.state != "canceled"
        )
    )
    found = {row.reference: Money(row.total, row.currency) for row in rows}
    checks.equal("invoices", sorted(totals), sorted(found))
    for reference, (currency, amount) in totals.items():
        if reference in found:
            told = (found[reference].currency, found[reference].decimal())
            checks.equal(f"total of {reference}", (currency, amount), told)


def check_told(checks: Checks, connection: Connection) -> None:
    """Check that the project tools were told, and that nothing stopped on the way."""
    checks.equal("reports", {"told"}, set(_counts(connection, report.c.state)))
    problems = connection.execute(
        select(invoice.c.reference, invoice.c.problem).where(invoice.c.problem.is_not(None))
    )
    checks.equal("stopped pushes", [], [tuple(row) for row in problems])


def _counts(connection: Connection, column: Any, condition: Any = True) -> dict[str, int]:
    query = select(column, func.count()).where(condition).group_by(column)
    return {str(word): int(count) for word, count in connection.execute(query)}
