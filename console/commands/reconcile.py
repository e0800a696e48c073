"""`flask sources reconcile`: is each time entry of a period here, to the second?"""

from __future__ import annotations

import re
import sys
import time
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NoReturn

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import worker
from console.commands.sources import sources
from console.current import current_line, person_at_the_keyboard
from console.terminal import AS_JSON, print_json, print_table
from console.texts import one_line
from ledger.auditlog import note
from ledger.certificate import PARTS, Certificate, is_worked_on
from ledger.completeness import REMOVED, Gap
from ledger.errors import BillhookError
from ledger.found import store
from line import Line
from reconciliation import (
    Closing,
    Listing,
    TooManyRemovedError,
    certify,
    closing,
    list_entries,
)

CANNOT_BE_ASKED: Final = 2
"""The exit code where nothing could be compared."""
PATIENCE: Final = 30
"""How many seconds to wait for other workers that hold what was brought in."""
_UNTIL_PRICED: Final = ("normalize", "follow", "enrich", "map", "assemble")
_MOST_DAYS: Final = 366
_WRITE: Final = "write it as 2026-10 (a month), 2026-W41 (a week) or 2026-10-05..2026-10-11"


def period_of(text: str) -> tuple[date, date]:
    """Return the first and the last day of a period; raise ValueError, saying what is wrong.

    >>> [str(day) for day in period_of("2026-02")]
    ['2026-02-01', '2026-02-28']
    """
    try:
        if found := re.fullmatch(r"([0-9]{4})-([0-9]{2})", text):
            year, month = int(found[1]), int(found[2])
            first, last = date(year, month, 1), date(year, month, monthrange(year, month)[1])
        elif found := re.fullmatch(r"([0-9]{4})-W([0-9]{2})", text):
            first = date.fromisocalendar(int(found[1]), int(found[2]), 1)
            last = first + timedelta(days=6)
        elif found := re.fullmatch(r"([0-9-]{10})\.\.([0-9-]{10})", text):
            first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2])
        else:
            raise ValueError(_WRITE)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is no period - {_WRITE}') from None
    if last < first:
        raise ValueError(f"{last} lies before {first} - write the first day first")
    if (last - first).days >= _MOST_DAYS:
        raise ValueError("the period is longer than a year - take it month by month")
    return first, last


def _period(_: click.Context, __: click.Parameter, text: str) -> tuple[date, date]:
    try:
        return period_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@sources.command("reconcile")
@click.argument("endpoint")
@click.option(
    "--period", required=True, callback=_period, metavar="PERIOD", help=_WRITE.capitalize() + "."
)
@click.option("--heal", is_flag=True, help="Bring in what is missing here, then compare again.")
@click.option("--even-removals", is_flag=True, help="Heal also where most entries seem deleted.")
@AS_JSON
@with_appcontext
def reconcile(
    endpoint: str, period: tuple[date, date], heal: bool, even_removals: bool, as_json: bool
) -> None:
    """Prove that each time entry that the tool of ENDPOINT lists for a period is here.

    Exit code 0: all of them are, to the second; 1: there are gaps, and they are named; 2: nothing
    could be compared.
    """
    if even_removals and not heal:
        raise click.UsageError("--even-removals belongs to --heal")
    line = current_line()
    healed: Closing | None = None
    refusal: str | None = None
    try:
        if heal:
            _work_off(line, endpoint)
        listing = list_entries(line, endpoint, *period)
        certificate = certify(line, listing)
        if heal:
            healed = Closing()
        if heal and not certificate.is_clean:
            try:
                healed = _heal(line, listing, even_removals=even_removals)
            except TooManyRemovedError as error:
                refusal, healed = str(error), None
            else:
                certificate = certify(line, list_entries(line, endpoint, *period))
    except BillhookError as error:
        _stop(str(error))
    except DBAPIError as error:
        _stop(f"database: cannot be used ({type(error).__name__}) - see DATABASE_URL")
    if as_json:
        print_json({**certificate.as_json(), "healed": _counts(healed), "refused": refusal})
    else:
        _print(certificate)
        if healed is not None:
            click.echo(_told(healed))
    if refusal is not None:
        click.echo(one_line(refusal), err=True)
    sys.exit(0 if certificate.is_clean else 1)


def _heal(line: Line, listing: Listing, *, even_removals: bool) -> Closing:
    """Store what closes the gaps, and work on it until it is priced."""
    found = closing(line, listing, even_removals=even_removals)

    def keep(connection: Connection) -> None:
        now = line.clock.now()
        store(connection, listing.source.key, found.deliveries, now)
        note(
            connection,
            now,
            actor=person_at_the_keyboard(),
            action="entries.healed",
            entity=f"endpoint:{listing.endpoint}",
            first=listing.first.isoformat(),
            last=listing.last.isoformat(),
            missing=found.missing,
            differing=found.differing,
            removed=found.removed,
        )

    if found:
        line.database.write(keep)
        _work_off(line, listing.endpoint)
    return found


def _work_off(line: Line, endpoint: str) -> None:
    """Run the stages up to the drafts until nothing waits; let other workers finish theirs."""
    stages = [stage for stage in worker.STAGES if stage.name in _UNTIL_PRICED]
    give_up_at = time.monotonic() + PATIENCE
    while True:
        while sum(worker.run(line, stage) for stage in stages):
            pass
        with line.database.read() as connection:
            if not is_worked_on(connection, endpoint, line.clock.now()):
                return
        if time.monotonic() > give_up_at:
            return
        time.sleep(0.2)


def _counts(healed: Closing | None) -> dict[str, int] | None:
    if healed is None:
        return None
    names = ("missing", "differing", "removed")
    return {name: getattr(healed, name) for name in names}


def _told(healed: Closing) -> str:
    if not healed:
        return "There was nothing to heal."
    return (
        f"Healed: {healed.missing} missing, {healed.differing} differing, {healed.removed} removed."
    )


def _print(found: Certificate) -> None:
    click.echo(f"Time entries of {found.endpoint}, {found.first} to {found.last}\n")
    rows = [
        [
            part.name,
            part.entries,
            part.seconds,
            _hours(part.seconds),
            part.reason or PARTS[part.name],
        ]
        for part in found.parts
        if part.entries or part.seconds
    ]
    head = ("here", "entries", "seconds", "time", "why")
    print_table(head, rows, empty="Nothing of this period is here.")
    click.echo(
        f"\nThe tool lists {found.entries_in_tool} entries: {found.seconds_in_tool} seconds "
        f"({_hours(found.seconds_in_tool)})."
    )
    click.echo(_equation(found))
    _print_gaps("Missing here", found.gaps.missing)
    _print_gaps("Different here", found.gaps.differing)
    _print_gaps("Not in the tool's list of this period", found.gaps.removed)
    click.echo()
    for told in found.unreadable:
        click.echo(one_line(f"Listed, but it cannot be read: {told}"))
    for told in (*found.waiting, *([found.uncertified] if found.uncertified else [])):
        click.echo(one_line(f"Note: {told}."))
    click.echo("Clean: every entry is here, to the second." if found.is_clean else "Not clean.")


def _equation(found: Certificate) -> str:
    sums = dict.fromkeys(PARTS, 0)
    for part in found.parts:
        sums[part.name] += part.seconds
    terms = [f"{seconds} {name}" for name, seconds in sums.items() if seconds]
    gains = (("missing", found.seconds_missing), ("differing", found.seconds_differing))
    terms += [f"{seconds} {name}" for name, seconds in gains if seconds]
    right = " + ".join(terms).replace("+ -", "- ") or "0"
    if found.seconds_removed:
        right += f" - {found.seconds_removed} removed"
    if found.holds:
        return f"{found.seconds_in_tool} in the tool = {right}. The equation holds."
    off = found.seconds_in_tool - found.seconds_accounted
    return (
        f"{found.seconds_in_tool} in the tool, but {right} = {found.seconds_accounted}: {off} "
        "seconds are not accounted for. Run `flask audit`."
    )


def _print_gaps(title: str, some: Sequence[Gap]) -> None:
    if not some:
        return
    click.echo(f"\n{title}:")
    head = ("entry", "on", "person", "project", "item", "there", "here", "difference")
    print_table(head, [_row(gap) for gap in some], empty="")


def _row(gap: Gap) -> list[object]:
    known = gap.there or gap.here
    who = (known.person_name or known.person) if known else None
    there = None if gap.there is None else gap.there.seconds
    is_here = gap.here is not None and gap.here.kind != REMOVED
    here = gap.here.seconds if gap.here is not None and is_here else None
    return [
        gap.subject,
        gap.on,
        who,
        known.project if known else None,
        known.item if known else None,
        there,
        here,
        ", ".join(_difference(gap, name) for name in gap.differs),
    ]


def _difference(gap: Gap, name: str) -> str:
    if name in ("labels", "fields", "about", "seconds"):
        return name
    return f"{name}: {getattr(gap.there, name)} there, {getattr(gap.here, name)} here"


def _hours(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if seconds < 0 else ''}{hours}:{minutes:02}:{rest:02}"


def _stop(reason: str) -> NoReturn:
    click.echo(one_line(reason), err=True)
    sys.exit(CANNOT_BE_ASKED)
