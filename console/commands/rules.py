"""`flask rules`: what an admin does with rule files before they are activated."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection

import planning
from console.current import current_line, person_at_the_keyboard
from console.plans import Shown, print_plan, progress_bar
from console.terminal import without_traceback
from ledger.errors import ConfigurationError
from mappings.book import Book
from mappings.schema import TABLES, schema_of
from mappings.trials import TestResult
from planning import Activated, activation, rehearse

FOLDER = click.argument(
    "folder",
    metavar="[DIR]",
    type=click.Path(path_type=Path),
    envvar="BILLHOOK_RULES",
    default=Path("mappings/rules"),
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
SINCE = click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Price again what was worked from a day on (2026-10-01) and is not billed.",
)


@click.group()
def rules() -> None:
    """Check, test and describe the rule files."""


@rules.command()
@FOLDER
@AS_JSON
def check(folder: Path, as_json: bool) -> None:
    """Report all mistakes of all rule files in DIR (default: BILLHOOK_RULES)."""
    book = loaded(folder, as_json=as_json)
    summary = {
        "version": book.version,
        "files": len(book.files),
        "customers": len(book.customers),
        "rules": sum(len(customer.rules) for customer in book.customers.values()),
        "tests": sum(len(customer.tests) for customer in book.customers.values()),
        "mistakes": [],
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    counts = ", ".join(f"{what}: {summary[what]}" for what in ("files", "customers", "rules"))
    click.echo(f"No mistakes. {counts.capitalize()}. Version {book.version[:12]}.")


@rules.command()
@FOLDER
@AS_JSON
def test(folder: Path, as_json: bool) -> None:
    """Run the tests that stand in the rule files in DIR (default: BILLHOOK_RULES)."""
    results = loaded(folder, as_json=as_json).run_tests()
    if as_json:
        rows = [
            {
                "customer": result.customer,
                "test": result.name,
                "passed": result.passed,
                "expected": result.expected,
                "got": result.got,
                "where": result.where,
            }
            for result in results
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    _stop_at_failures(results)
    if not as_json:
        click.echo(f"{len(results)} tests passed.")


@rules.command()
@FOLDER
@SINCE
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option(
    "--plan/--no-plan",
    "is_planned",
    default=None,
    help="Show what changes first. On a terminal that is so unless --no-plan is said.",
)
@AS_JSON
@with_appcontext
@without_traceback
def activate(
    folder: Path, since: datetime | None, is_sure: bool, is_planned: bool | None, as_json: bool
) -> None:
    """Make the files in DIR the rules that are used from now on (default: BILLHOOK_RULES).

    They become a version that never changes. Files with mistakes, tests that fail and secrets
    that are not set stop it. On a terminal it shows what `flask rules plan` shows, and asks. What
    is priced already keeps its price, unless --since says from which day on it is priced again.
    """
    book = loaded(folder, as_json=as_json)
    _stop_at_failures(book.run_tests())
    line = current_line()
    if mistakes := line.missing(book):
        for mistake in mistakes:
            click.echo(mistake, err=True)
        sys.exit(1)
    by, day = person_at_the_keyboard(), day_of(since)
    asks = not as_json and is_watched()
    # A release step must not wait for a plan of a million events that nobody reads.
    if not as_json and (asks if is_planned is None else is_planned):
        act = activation(line, book, since=day, by=by)
        with progress_bar() as progress, rehearse(line, act, progress) as rehearsal:
            print_plan(rehearsal, Shown())
    if asks and not is_sure:
        click.confirm(f"Activate version {book.version[:12]}?", abort=True)

    def make_active(connection: Connection) -> Activated:
        askable, now = line.askable(book), line.clock.now()
        return planning.activate(connection, book, askable, since=day, by=by, now=now)

    done = line.database.write(make_active)
    line.doorbell.ring("map")
    if as_json:
        told = {"version": book.version, "activated": done.is_new}
        click.echo(json.dumps(told | ({"priced_again": done.again} if day else {})))
        return
    state = "is active now" if done.is_new else "is the active one already"
    click.echo(f"Version {book.version[:12]} {state}.")
    if day:
        click.echo(f"{done.again} subjects from {day} on are priced again.")


@rules.command()
@click.argument("kind", type=click.Choice(list(TABLES)), default="customer")
def schema(kind: str) -> None:
    """Print the JSON Schema of a customer's file or of workspace.yaml, for editors."""
    click.echo(json.dumps(schema_of(kind), indent=2, ensure_ascii=False))


def is_watched() -> bool:
    """Return whether a person at a terminal reads what is printed, and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def day_of(since: datetime | None) -> date | None:
    """Return the day that `--since` names."""
    return since.date() if since else None


def _stop_at_failures(results: Sequence[TestResult]) -> None:
    """Print the tests that failed, one a line, and exit 1 if there are any."""
    failed = [result for result in results if not result.passed]
    for result in failed:
        told = f"expected {result.expected} - got {result.got}"
        click.echo(f'{result.where}: test "{result.name}": {told}', err=True)
    if failed:
        click.echo(f"{len(failed)} of {len(results)} tests failed.", err=True)
        sys.exit(1)


def loaded(folder: Path, *, as_json: bool) -> Book:
    """Return the book of a folder; print its mistakes, one a line, and exit 1 if it has any."""
    try:
        return Book.read_folder(folder)
    except ConfigurationError as error:
        if as_json:
            click.echo(json.dumps({"mistakes": error.mistakes}, indent=2, ensure_ascii=False))
        for mistake in error.mistakes:
            click.echo(mistake, err=True)
        sys.exit(1)
