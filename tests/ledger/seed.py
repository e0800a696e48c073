"""A small firm whose ledger is made by the real functions, for tests. Its rules are judged here.

Acme pays 120.00 EUR an hour for Ana and 80.00 EUR for anybody else, and 4,500.00 EUR for a
milestone; Beta pays in yen; what is worked for FREE earns nothing; other projects are held.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select

from ledger import (
    approvals,
    assembly,
    auditlog,
    deliveries,
    inbox,
    pushing,
    remote_customers,
    subjects,
    sync,
    tables,
)
from ledger.claims import Claim, claim
from ledger.corrections import LineItem
from ledger.database import Database, insert_for
from ledger.events import Delivery, Event, Fact, Reading, canonical_json
from ledger.homes import Period
from ledger.invoices import BilledCustomer
from ledger.money import hours, line_amount
from ledger.payments import Amounts
from ledger.verdicts import Verdict
from ledger.versions import version_of

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FILES = {"workspace.yaml": 'sources:\n  jira: {tool: jira, secret: "${JIRA_SECRET}"}\n'}
VERSION = version_of(FILES)
CUSTOMERS = {"ACME": ("acme", "EUR"), "SITE": ("acme", "EUR"), "BETA": ("beta", "JPY")}


def logged(
    name: str,
    seconds: int,
    *,
    version: int = 1,
    project: str | None = "ACME",
    about: str | None = None,
    **other: Any,
) -> Event:
    """Return a time entry: `name` is its subject."""
    return Event(
        kind="time.logged",
        source="jira",
        endpoint="jira",
        subject=name,
        version=version,
        occurred_at=datetime(2026, 10, 5, 8, 0, tzinfo=UTC),
        on=other.pop("on", date(2026, 10, 5)),
        project=project,
        item=None if project is None else f"{project}-7",
        title=None if project is None else "Search that finds things",
        person=other.pop("person", "ana"),
        seconds=seconds,
        about=about,
        **other,
    )


def removed(name: str, *, version: int) -> Event:
    """Return the news that a time entry is gone."""
    return replace(logged(name, 0, version=version), kind="time.removed", seconds=None)


def completed(name: str, *, version: int = 1, project: str = "ACME") -> Event:
    """Return a completed milestone."""
    told = logged(name, 0, version=version, project=project)
    return replace(told, kind="milestone.completed", seconds=None, person=None, title="Phase one")


def judge(event: Event) -> Verdict:
    """Return what an event is worth to this firm."""
    if event.project == "FREE":
        return Verdict("nothing", "acme", "Free work", "internal work is free")
    if event.project not in CUSTOMERS:
        return Verdict("held", reason=f"no customer takes project {event.project}")
    customer, currency = CUSTOMERS[event.project]
    if event.kind.startswith("time."):
        rule, quantity = "Hours", hours(event.seconds or 0)
        unit_price = Decimal("120.00" if event.person == "ana" else "80.00")
    else:
        rule, quantity, unit_price = "Phase", Decimal("1.00"), Decimal("4500.00")
    amount = line_amount(quantity, unit_price, currency).minor
    line = LineItem(
        customer=customer,
        project=event.project,
        item=event.item,
        person=event.person,
        on=event.on,
        description=f"{event.item} {event.title}",
        quantity=quantity,
        unit_price=unit_price,
        currency=currency,
        amount=amount,
        seconds=event.seconds or 0,
        rule=rule,
        mapping_version=VERSION,
        grouping=(str(event.item), str(event.person)) if rule == "Hours" else (),
        schedule="monthly",
        period_from=event.on.replace(day=1),
        period_to=(event.on.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1),
        steps=(f"{quantity} x {unit_price} = {amount} minor units of {currency}",),
        event_id=0,
    )
    return Verdict("priced", customer, rule, lines=(line,))


def terms_of(key: str) -> assembly.Terms:
    """Return how a customer of this firm is billed."""
    month = Period("monthly", NOW.date().replace(day=1), date(2026, 11, 30))
    return assembly.Terms(
        customer=BilledCustomer(key, key.title(), f"ap@{key}.example"),
        currency="JPY" if key == "beta" else "EUR",
        send_to="books",
        days_until_due=30,
        purchase_order=None,
        needs_purchase_order=False,
        memo=None,
        footer=None,
        approval="by hand",
        after_push="draft",
        vague_texts=(),
        most_lines=250,
        current_period=lambda schedule: month,
        due_at=lambda last: datetime(last.year, last.month, last.day, 23, tzinfo=UTC),
    )


class FixedClock:
    """Tells the same time until it is set."""

    moment = NOW

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment


class SmallFirm:
    """The ledger of the small firm on a fresh database, moved on by the steps of the line."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.clock = FixedClock()
        self._inbox = inbox.Inbox(self.database, self.clock)
        self._told = 0
        self._readings: dict[bytes, Reading] = {}
        self.database.write(self._activate)

    def gone_on_from(self, url: str) -> SmallFirm:
        """Return a firm that goes on from here, over a copy of this one's database."""
        firm = copy.copy(self)
        firm.database, firm.clock = Database(url), copy.copy(self.clock)
        firm._inbox = inbox.Inbox(firm.database, firm.clock)
        firm._readings = dict(self._readings)
        return firm

    @property
    def now(self) -> datetime:
        """Return the present moment of the firm."""
        return self.clock.now()

    def _activate(self, connection: Connection) -> None:
        created = {"created_at": NOW, "created_by": "mia"}
        connection.execute(
            insert(tables.mapping_version).values(version=VERSION, files=FILES, **created)
        )

    def deliver(self, *events: Event, facts: tuple[Fact, ...] = ()) -> None:
        """Accept one delivery that tells these events and facts."""
        self._told += 1
        told = [self._told, *([event.as_json(), event.version] for event in events)]
        body = canonical_json(told).encode()
        ignored = None if events else "it only tells facts"
        self._readings[body] = Reading(events, facts, ignored=ignored)
        delivery = Delivery(headers={}, body=body, received_at=self.now, endpoint="jira")
        assert self._inbox.accept(delivery, source="jira", delivery_id=str(self._told))

    def tell(self, *events: Event, facts: tuple[Fact, ...] = ()) -> None:
        """Deliver and let the line run until nothing waits but people."""
        self.deliver(*events, facts=facts)
        self.settle()

    def settle(self) -> None:
        """Normalize, map and assemble what waits; seal the audit log."""
        for claimed in self._claims(tables.delivery):
            self.database.write(lambda connection: self._normalize(connection, claimed))  # noqa: B023
        for claimed in self._claims(tables.subject):
            self.database.write(
                lambda connection: subjects.reprice(connection, claimed, judge, self.now)  # noqa: B023
            )
        for claimed in self._claims(tables.customer, most=1):
            self.database.write(lambda connection: self._assemble(connection, claimed))  # noqa: B023
        self.seal()

    def _claims(
        self,
        table: Any,
        state: str = "waiting",
        only: Callable[[Any], Any] | None = None,
        most: int = 100,
    ) -> Iterator[Claim]:
        while True:
            claimed = self.database.write(
                lambda connection: claim(connection, table, state, self.now, most, only)
            )
            if not claimed:
                return
            yield claimed

    def _normalize(self, connection: Connection, claimed: Claim) -> None:
        outcomes = []
        for stored in deliveries.load(connection, claimed):
            reading = self._readings[stored.request.body]
            state = "normalized" if reading.events else "ignored"
            outcomes.append(deliveries.Outcome(stored.id, "jira", state, reading, reading.ignored))
        deliveries.record(connection, claimed, outcomes, self.now, askable=frozenset())

    def _assemble(self, connection: Connection, claimed: Claim) -> None:
        key = connection.scalar(
            select(tables.customer.c.key).where(tables.customer.c.id == claimed.ids[0])
        )
        assembly.assemble(connection, claimed, terms_of(str(key)), self.now)

    def approve(self, reference: str) -> None:
        """Approve a draft as it stands."""

        def approve(connection: Connection) -> None:
            approvals.approve(
                connection, reference, approved_by="mia", content_hash=None, now=self.now
            )

        self.database.write(approve)

    def push(self, reference: str) -> None:
        """Push an approved invoice, as if the billing system took it at once."""
        this = tables.invoice.c.reference == reference
        for claimed in self._claims(tables.invoice, "approved", lambda _: this, most=1):
            self.database.write(lambda connection: self._push(connection, claimed))  # noqa: B023

    def _push(self, connection: Connection, claimed: Claim) -> None:
        begun = pushing.begin(connection, claimed, self.now)
        assert begun is not None
        for operation in ("customer", "create"):
            remote_id = f"{operation}-{begun.reference}"
            intended = pushing.intend(connection, begun, operation, self.now)
            pushing.mark(connection, intended, "confirmed", self.now, remote_id=remote_id)
        remote_customers.save(connection, begun, f"customer-{begun.reference}", self.now)
        pushing.save_remote(connection, begun, remote_id=remote_id, number=None, url=None)
        pushing.finish(connection, claimed, begun, self.now)

    def bill(self, *references: str) -> None:
        """Approve and push drafts; have them looked at."""
        for reference in references:
            self.approve(reference)
            self.push(reference)
            self.pay(reference, 0)
        self.settle()

    def pay(self, reference: str, paid: int) -> None:
        """See at the billing system that so much of an invoice is paid (minor units)."""
        this = tables.invoice.c.reference == reference
        self.database.write(
            lambda connection: connection.execute(
                tables.invoice.update().where(this).values(sync_at=self.now)
            )
        )
        row = self.invoices()[reference]
        amounts = Amounts("open", row["currency"], row["total"], paid=paid, observed_at=self.now)
        for claimed in self._claims(tables.invoice, "pushed", lambda now: this & sync.due(now), 1):
            self.database.write(
                lambda connection: sync.record_payment(connection, claimed, amounts, self.now)  # noqa: B023
            )
        self.seal()

    def seal(self) -> None:
        """Seal the audit log."""
        while self.database.write(auditlog.seal):
            pass

    def add_token(self) -> None:
        """Give out an API token."""
        values = {"name": "ci", "token_hash": "0123456789abcdef" * 4, "role": "viewer"}
        self.database.write(
            lambda connection: connection.execute(
                insert_for(connection, tables.api_token).values(created_at=self.now, **values)
            )
        )

    def invoices(self) -> dict[str, Mapping[Any, Any]]:
        """Return the invoices by reference."""
        return {row["reference"]: row for row in self.rows(tables.invoice)}

    def rows(self, table: Any) -> list[Mapping[Any, Any]]:
        """Return all rows of a table, oldest first."""
        with self.database.read() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            return [dict(row) for row in found]

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def month_of_work(firm: SmallFirm) -> None:
    """Play a month: work of each kind, two pushed invoices, corrections after them, a part paid.

    At its end `acme-2026-10` and `beta-2026-10` are pushed, `acme-2026-11` is a draft that
    takes back and bills anew, `acme-2026-11-2` does not exist.
    """
    firm.deliver(logged("worklog:1", 3600), logged("worklog:2", 3000))
    firm.deliver(logged("worklog:3", 5000, person="ben"))
    firm.deliver(logged("worklog:4", 1800, project=None, about="issue:7"))
    firm.deliver(facts=(Fact("issue:7", 1, "ACME", "ACME-9", "Login"),))
    firm.deliver(logged("worklog:5", 900, project="FREE"), logged("worklog:6", 700, project="WHO"))
    firm.deliver(completed("milestone:1"))
    firm.deliver(logged("worklog:7", 7200, project="BETA"))
    firm.deliver(logged("worklog:8", 600))
    firm.deliver(removed("worklog:8", version=2))
    firm.settle()
    firm.bill("acme-2026-10", "beta-2026-10")
    firm.pay("acme-2026-10", 10000)
    # After billing: an edit, a removal, and work of the next month.
    firm.tell(logged("worklog:1", 5400, version=2))
    firm.tell(removed("worklog:2", version=2))
    firm.tell(logged("worklog:9", 3600, on=date(2026, 11, 2)))
    firm.tell(logged("worklog:9", 7200, version=2, on=date(2026, 11, 2)))
