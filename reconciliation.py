"""Reconcile: what a tool lists for a period against the ledger, and what brings them together.

`flask sources reconcile` and the poll stage use it. It joins connectors, sources and ledger, as
`worker.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from connectors.connector import ProjectConnector
from connectors.registry import project_connectors
from ledger import polls
from ledger.certificate import Certificate
from ledger.certificate import certify as certify_events
from ledger.completeness import Gap, Gaps
from ledger.completeness import gaps as gaps_between
from ledger.errors import (
    BillhookError,
    ConfigurationError,
    PayloadError,
    UnsupportedEventTypeError,
)
from ledger.events import GONE, Delivery, Event, Fact, Found, Reading, restated
from ledger.found import news
from line import Line
from missed import Answer, read_found
from webhooks.registry import sources
from webhooks.source import Source

FEW: Final = 3
"""As many entries may always be gone: a share says nothing of so few."""
AROUND: Final = timedelta(days=92)
"""How far before and after a period an entry is looked for that is no longer listed in it."""


class TooManyRemovedError(BillhookError):
    """So many entries seem deleted that the token has more likely lost its access."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a tool lists for a period, read by its source."""

    endpoint: str
    first: date
    last: date
    connector: ProjectConnector
    source: Source
    told: Sequence[tuple[Delivery, Reading | None]]
    """Each found thing with what it says; None where it cannot be read."""

    @property
    def events(self) -> list[Event]:
        """Return what all readings tell."""
        return [event for _, reading in self.told if reading for event in reading.events]

    @property
    def facts(self) -> list[Fact]:
        """Return what all readings tell in passing."""
        return [fact for _, reading in self.told if reading for fact in reading.facts]

    @property
    def unreadable(self) -> list[str]:
        """Return why some things could not be read."""
        return [self._why(delivery) for delivery, reading in self.told if reading is None]

    def deliveries(self) -> dict[str, tuple[Delivery, Event]]:
        """Return by subject the delivery that tells its newest event."""
        newest: dict[str, tuple[Delivery, Event]] = {}
        for delivery, reading in self.told:
            for event in reading.events if reading else ():
                known = newest.get(event.subject)
                if known is None or event.version > known[1].version:
                    newest[event.subject] = delivery, event
        return newest

    def _why(self, delivery: Delivery) -> str:
        try:
            self.source.normalize(delivery)
        except (PayloadError, UnsupportedEventTypeError) as error:
            return str(error)
        return "it could not be read"


@dataclass(frozen=True, slots=True)
class Closing:
    """What closes the gaps of a period once it is stored and worked off."""

    deliveries: tuple[Delivery, ...] = ()
    missing: int = 0
    differing: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.deliveries)


def list_entries(line: Line, endpoint: str, first: date, last: date) -> Listing:
    """Ask an endpoint's tool for its time entries of a period, both days included.

    Raise ConfigurationError if the tool cannot be asked for them, ConnectorError if it does
    not answer.
    """
    tool, connector = line.tool(endpoint), line.project(endpoint)
    where = f"workspace.yaml: sources: {endpoint}"
    if tool is None:
        raise ConfigurationError([f"{where}: there is no such endpoint - see `flask doctor`"])
    known = project_connectors().get(tool)
    if known is None or not known.lists_entries:
        raise ConfigurationError(
            [f"{where}: {tool} does not list time entries, so there is nothing to certify against"]
        )
    if connector is None:
        raise ConfigurationError([f"{where}: its tool cannot be asked - add a `token:`"])
    source = sources()[tool]
    told = read_found(source, endpoint, connector.entries(first, last), line.clock.now())
    return Listing(endpoint, first, last, connector, source, told)


def certify(line: Line, listing: Listing) -> Certificate:
    """Return the certificate of a listed period, of one moment of the ledger."""
    with line.database.read() as connection:
        return certify_events(
            connection,
            listing.endpoint,
            listing.first,
            listing.last,
            listing.events,
            facts=listing.facts,
            unreadable=listing.unreadable,
        )


def ask_entries(line: Line, connector: ProjectConnector, due: polls.Due) -> Answer:
    """Return what an open period's list shows that webhooks and polls had not told.

    That is above all what was deleted silently: few tools tell of a deletion when they are asked
    for changes. The period is this month and the one before. Entries from before the first such
    question stay outside, as they do where changes are asked for; `flask sources reconcile
    --heal` brings them in. Raise a ConnectorError if the tool does not answer.
    """
    now = line.clock.now()
    source, next_at = sources()[connector.key], now + polls.ENTRIES_EVERY
    if due.cursor is None:
        return Answer(due, source, now.isoformat(), next_at)
    first = (now.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    # Somewhere it is tomorrow already.
    listing = list_entries(line, due.endpoint, first, now.date() + timedelta(days=1))
    try:
        told = closing(line, listing, since=datetime.fromisoformat(due.cursor))
    except TooManyRemovedError as error:
        return Answer(due, source, due.cursor, next_at, problem=str(error))
    return Answer(due, source, due.cursor, next_at, compared=told.deliveries)


def closing(
    line: Line, listing: Listing, *, even_removals: bool = False, since: datetime | None = None
) -> Closing:
    """Return what brings in all that is missing or differs, and takes back what was removed.

    What cannot be read is brought in too, to wait in plain sight. An entry counts as removed only
    if the tool, asked again, shows it neither in the period nor around it nor alone. Raise
    TooManyRemovedError where more than half of the period's entries seem removed, unless
    `even_removals`; ConnectorError if the tool does not answer. With `since`, an entry that the
    ledger never heard of counts only if it was worked or changed since then.
    """
    with line.database.read() as connection:
        found = gaps_between(
            connection, listing.endpoint, listing.first, listing.last, listing.events
        )
        unread = [(delivery, None) for delivery, reading in listing.told if reading is None]
        unknown = news(connection, listing.endpoint, unread, by_arrival=False)
    if since is not None:
        found = replace(
            found, missing=tuple(gap for gap in found.missing if _is_since(listing, gap, since))
        )
    if not even_removals:
        _refuse_mass_removal(listing.endpoint, found)
    is_behind = any(gap.is_behind for gap in (*found.missing, *found.differing))
    # A webhook may have overtaken the list: only what is listed after the ledger was looked at
    # may overrule what the ledger holds.
    again = _listed_around(line, listing) if is_behind or found.removed else listing
    missing = _brought_in(again, found.missing)
    differing = _brought_in(again, found.differing)
    gone, elsewhere = _looked_up(line, again, found.removed)
    return Closing(
        (*missing, *differing, *elsewhere, *gone, *unknown),
        missing=len(missing),
        differing=len(differing) + len(elsewhere),
        removed=len(gone),
    )


def _is_since(listing: Listing, gap: Gap, since: datetime) -> bool:
    if gap.here is not None or gap.there is None or gap.there.occurred_at >= since:
        return True
    # Where the tool tells no time of change, the version is only when it was listed.
    told = 0 if listing.source.orders_by_arrival else gap.there.version
    return told >= since.timestamp() * 1000


def _listed_around(line: Line, listing: Listing) -> Listing:
    """List the period again, and the time before and after it: entries move."""
    day = timedelta(days=1)
    periods = (
        (listing.first, listing.last),
        (listing.first - AROUND, listing.first - day),
        (listing.last + day, listing.last + AROUND),
    )
    each = [list_entries(line, listing.endpoint, *period) for period in periods]
    return replace(each[0], told=[told for one in each for told in one.told])


def _refuse_mass_removal(endpoint: str, found: Gaps) -> None:
    removed = len(found.removed)
    if removed > FEW and removed * 2 > found.entries_here:
        raise TooManyRemovedError(
            f"{endpoint}: {removed} of {found.entries_here} entries of the period are no longer "
            "listed - the token may have lost its access: look at the tool; if they were really "
            f"deleted, run `flask sources reconcile {endpoint}` with --heal --even-removals"
        )


def _brought_in(listing: Listing, some: Sequence[Gap]) -> list[Delivery]:
    listed = listing.deliveries()
    shown = [(gap, *listed[gap.subject]) for gap in some if gap.subject in listed]
    wins = (_winning(delivery, event, gap) for gap, delivery, event in shown)
    return [delivery for delivery in wins if delivery is not None]


def _winning(delivery: Delivery, event: Event, gap: Gap) -> Delivery | None:
    """Return the delivery so that it is the newest; None if the ledger says the same by now."""
    if event.version > gap.version:
        return delivery
    if gap.here is not None and event.digest() == gap.here.digest():
        return None
    return restated(delivery, gap.version + 1)


def _looked_up(
    line: Line, listing: Listing, unlisted: Sequence[Gap]
) -> tuple[list[Delivery], list[Delivery]]:
    """Return what tells that entries are gone, and what tells how others stand elsewhere."""
    gone: list[Delivery] = []
    shown = {gap.subject for gap in unlisted} & listing.deliveries().keys()
    elsewhere = _brought_in(listing, [gap for gap in unlisted if gap.subject in shown])
    for gap in unlisted:
        if gap.subject in shown:
            continue
        now = line.clock.now()
        found = listing.connector.look_up(gap.subject)
        for delivery, reading in read_found(listing.source, listing.endpoint, found, now):
            events = reading.events if reading else ()
            about = next((one for one in events if one.subject == gap.subject), None)
            told = delivery if about is None else _winning(delivery, about, gap)
            elsewhere += [] if told is None else [told]
        # What cannot be read may be this very entry.
        if not found and not listing.unreadable:
            version = max(gap.version + 1, int(now.timestamp() * 1000))
            removed = Found.thing(GONE, {"subject": gap.subject, "version": version})
            gone.append(removed.delivery(listing.endpoint, now))
    return gone, elsewhere
