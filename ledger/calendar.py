"""What the calendar brings: fees whose period has come. It tells them as tools tell their work.

No tool knows of a recurring fee, so the clock says what is due by the active rules: a delivery
for each fee and period, which goes through the line like any other. A delivery says customer, fee
and days; the price comes from the rules when it is judged.

Every day of a fee is billed once: what is due are the days that stand on no invoice yet. So fees
may begin earlier, end sooner or change from months to quarters, and nothing is billed twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, exists, select

from .corrections import BILLED
from .deliveries import event_from_row
from .errors import PayloadError
from .events import Delivery, Event, Reading, canonical_json
from .found import store
from .tables import event, line_item, subject

NAME: Final = "billhook:calendar"
"""Source and endpoint of what the calendar tells. The rules can name none like it."""
DUE: Final = "fee.due"
DROPPED: Final = "fee.dropped"
DAY: Final = timedelta(days=1)

Span = tuple[date, date]
"""First and last day, both included."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that a customer owes for some days without anything that a tool could tell."""

    customer: str
    key: str
    """What it is, stable for ever among what this customer owes: the name of a fee."""
    first: date
    last: date
    at_end: bool
    """It comes due when its days are over, not when they begin."""
    time_zone: str
    """IANA name: where the customer's days begin."""

    @property
    def subject(self) -> str:
        """Return its name in the ledger."""
        return f"fee:{self.customer}:{self.key}:{self.first.isoformat()}"

    @property
    def on(self) -> date:
        """Return the day that decides on which invoice it is billed."""
        return self.last if self.at_end else self.first

    @property
    def due_at(self) -> datetime:
        """Return the moment, in UTC, at which it comes due."""
        day = self.last + DAY if self.at_end else self.first
        return datetime.combine(day, time(), ZoneInfo(self.time_zone)).astimezone(UTC)

    def event(self, version: int) -> Event:
        """Return the event that tells of it; its fields say what the rules have to price."""
        return Event(
            kind=DUE,
            source=NAME,
            endpoint=NAME,
            subject=self.subject,
            version=version,
            occurred_at=self.due_at,
            on=self.on,
            title=self.key,
            fields={
                "customer": self.customer,
                "fee": self.key,
                "from": self.first.isoformat(),
                "to": self.last.isoformat(),
            },
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the ledger holds of something that was due."""

    present: Event
    is_billed: bool
    """It stands on an invoice and was not taken back."""


def untold(connection: Connection, due: Iterable[Due], customers: Collection[str]) -> list[Event]:
    """Return the events of which the ledger has not heard yet.

    `due` is everything that has ever come due for these customers by the rules. What was told of
    them, is not due any more and stands on no invoice, is dropped.
    """
    return list(_news(connection, due, customers))


def tell(connection: Connection, news: Iterable[Event], now: datetime) -> int:
    """Store events as deliveries that wait to be read; return how many are new.

    What two clocks tell, or one that has crashed meanwhile, is the same delivery.
    """
    told = [canonical_json({**each.as_json(), "version": each.version}).encode() for each in news]
    deliveries = [Delivery({}, body, now, NAME) for body in told]
    return store(connection, NAME, deliveries, now, delivery_id=NAME)


def read(delivery: Delivery) -> Reading:
    """Return what a delivery of the calendar says; raise PayloadError if it is none."""
    try:
        told = json.loads(delivery.body)
        said = Event(
            kind=told["kind"],
            source=NAME,
            endpoint=NAME,
            subject=told["subject"],
            version=told["version"],
            occurred_at=datetime.fromisoformat(told["occurred_at"]),
            on=date.fromisoformat(told["on"]),
            title=told["title"],
            fields=told["fields"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PayloadError("body", "is nothing that the calendar tells") from error
    return Reading(events=(said,))


def _news(
    connection: Connection, due: Iterable[Due], customers: Collection[str]
) -> Iterator[Event]:
    told = {
        each.present.subject: each
        for each in _told(connection)
        if each.present.fields["customer"] in customers
    }
    billed = _billed(connection)
    wanted = {
        left.subject: left
        for each in due
        for left in _left_of(each, billed.get((each.customer, each.key), ()))
    }
    for name, each in sorted(wanted.items()):
        known = told.get(name)
        version = known.present.version + 1 if known else 1
        said = each.event(version)
        if known is None or replace(said, version=version - 1) != known.present:
            yield said
    for name, known in sorted(told.items()):
        if name not in wanted and known.present.kind == DUE and not known.is_billed:
            yield replace(known.present, kind=DROPPED, version=known.present.version + 1)


def _left_of(due: Due, billed: Sequence[Span]) -> Iterator[Due]:
    """Yield what is due for the days that stand on no invoice yet."""
    first = due.first
    for begins, ends in sorted(billed):
        if ends < first or begins > due.last:
            continue
        if begins > first:
            yield replace(due, first=first, last=begins - DAY)
        first = max(first, ends + DAY)
    if first <= due.last:
        yield replace(due, first=first)


_IS_BILLED: Final = and_(line_item.c.state.in_(BILLED), line_item.c.corrects_id.is_(None))
_back, _void = line_item.alias("back"), line_item.alias("void")
_IS_VOID: Final = exists(
    select(_void.c.id).where(_void.c.corrects_id == _back.c.id, _void.c.state == "released")
)
_IS_TAKEN_BACK: Final = exists(
    select(_back.c.id).where(
        _back.c.corrects_id == line_item.c.id, _back.c.state.in_(BILLED), ~_IS_VOID
    )
)


def _told(connection: Connection) -> Iterator[_Told]:
    is_billed = exists(
        select(line_item.c.id).where(
            line_item.c.subject_id == subject.c.id, _IS_BILLED, ~_IS_TAKEN_BACK
        )
    )
    rows = connection.execute(
        select(event, is_billed.label("is_billed"))
        .join(subject, subject.c.event_id == event.c.id)
        .where(subject.c.endpoint == NAME)
    ).mappings()
    return (_Told(event_from_row(row), bool(row["is_billed"])) for row in rows)


def _billed(connection: Connection) -> Mapping[tuple[str, str], Sequence[Span]]:
    """Return the days that stand on invoices, by customer and what they were billed for."""
    rows = connection.execute(
        select(event.c.fields)
        .join(line_item, line_item.c.event_id == event.c.id)
        .where(event.c.endpoint == NAME, _IS_BILLED, ~_IS_TAKEN_BACK)
    )
    found: dict[tuple[str, str], list[Span]] = {}
    for (fields,) in rows:
        spans = found.setdefault((fields["customer"], fields["fee"]), [])
        spans.append((date.fromisoformat(fields["from"]), date.fromisoformat(fields["to"])))
    return found
