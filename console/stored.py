"""What `flask rules check` finds in the ledger: events that new rules would not price."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from console.texts import one_line
from ledger.database import Database
from ledger.errors import BillhookError
from ledger.events import Event
from ledger.present import present_events, projects_and_persons
from mappings.book import Book
from mappings.unpriced import DryRun, Strangers, said_of

_ANY_DAY: Final = date(2026, 1, 1)


class NoLedgerError(BillhookError):
    """There is no database, or it is not ready."""


@contextmanager
def ledger_at_hand(database: Database) -> Iterator[Connection]:
    """Give a connection to read the ledger with; raise NoLedgerError if it is not ready.

    Nothing is created: a check of rule files leaves no database behind.
    """
    path = make_url(database.url).database
    if database.is_sqlite and not Path(str(path)).is_file():
        raise NoLedgerError("there is no database - see DATABASE_URL, then `flask db upgrade`")
    try:
        is_current = database.is_current()
    except DBAPIError:
        raise NoLedgerError("the database cannot be used - see DATABASE_URL") from None
    if not is_current:
        raise NoLedgerError("the database is not up to date - run `flask db upgrade`")
    with database.read() as connection:
        yield connection


def strangers(connection: Connection, book: Book) -> list[str]:
    """Return notes on stored projects that no customer takes and accounts that nobody has."""
    found = Strangers(book)
    for seen in projects_and_persons(connection):
        event = Event(
            kind="work.completed",
            source=seen.source,
            endpoint=seen.endpoint,
            subject="",
            version=0,
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            on=_ANY_DAY,
            project=seen.project,
            person=seen.person,
            person_name=seen.person_name,
        )
        found.look_at(event, seen.events, seen.seconds)
    return found.notes()


def print_falling(connection: Connection, book: Book) -> None:
    """Print which stored events would wait under the rules of a book, by reason."""
    run = DryRun(book)
    for _ in run.falling(present_events(connection)):
        pass
    reasons = run.reasons()
    waiting = sum(each.events for each in reasons)
    click.echo(f"{waiting} of {run.events} stored events would wait.")
    for each in reasons:
        told = said_of(each.events, each.seconds)
        click.echo(f"  {each.customer or 'no customer'}: {told}: {one_line(each.reason)}")
        click.echo(f"    first: {', '.join(map(str, each.first))}")


def print_falling_json(connection: Connection, book: Book) -> None:
    """Print every stored event that would wait as one JSON object, piece by piece.

    Memory stays flat: `events` comes first and is written while it is read.
    """
    run = DryRun(book)
    click.echo('{"events": [', nl=False)
    for number, (event_id, event, held) in enumerate(run.falling(present_events(connection))):
        row: dict[str, object] = {"id": event_id, "customer": held.customer}
        row |= {"reason": held.reason, "event": event.as_json()}
        text = json.dumps(row, ensure_ascii=False, default=str)
        click.echo(("," if number else "") + "\n" + text, nl=False)
    reasons = json.dumps([each.as_json() for each in run.reasons()], ensure_ascii=False)
    click.echo(f'\n], "looked_at": {run.events}, "reasons": {reasons}}}', nl=False)
