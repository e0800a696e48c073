"""`flask rules`: what an admin does with rule files before they are activated."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path

import click
from flask.cli import ScriptInfo, with_appcontext
from sqlalchemy import Connection

import fit
import planning
from console.current import current_line, person_at_the_keyboard
from console.plans import Shown, print_plan, progress_bar
from console.stored import ledger_at_hand, print_falling, print_falling_json, strangers
from console.terminal import fail, print_json, without_traceback
from console.texts import one_line
from ledger.errors import BillhookError, ConfigurationError
from mappings.book import Book
from mappings.notes import notes_of
from mappings.origins import origins, printed
from mappings.reading import quoted, suggestion
from mappings.schema import TABLES, file_name, file_text
from mappings.trials import TestResult
from planning import Activated, activation, rehearse

DEFAULT_FOLDER = Path("mappings/rules")
FOLDER = click.argument(
    "folder",
    metavar="[DIR]",
    type=click.Path(path_type=Path),
    envvar="BILLHOOK_RULES",
    default=DEFAULT_FOLDER,
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
@click.option("--strict", "is_strict", is_flag=True, help="End with exit code 1 on notes, too.")
@click.option("--stored", "is_stored", is_flag=True, help="List stored events that would wait.")
@AS_JSON
def check(folder: Path, is_strict: bool, is_stored: bool, as_json: bool) -> None:
    """Report all mistakes of all rule files in DIR (default: BILLHOOK_RULES), and notes.

    A note names what the files may say and hardly mean: rules that are never used, people
    without a rate, rules without a test, what a customer's billing system cannot show. Where
    there is a database, projects that no customer takes and accounts that nobody has are noted,
    too.
    """
    book = loaded(folder, as_json=as_json)
    misfits = fit.misfits(book)
    _stop_at(misfits.mistakes, as_json=as_json)
    notes = notes_of(book) + misfits.notes
    with ExitStack() as stack:
        ledger = _ledger(stack, is_asked_for=is_stored)
        if ledger:
            notes += strangers(ledger, book)
        summary = {
            "version": book.version,
            "files": len(book.files),
            "customers": len(book.customers),
            "rules": sum(len(customer.rules) for customer in book.customers.values()),
            "tests": sum(len(customer.tests) for customer in book.customers.values()),
            "mistakes": [],
            "notes": notes,
        }
        if as_json:
            text = json.dumps(summary, indent=2, ensure_ascii=False)
            if is_stored and ledger:
                click.echo(text.removesuffix("\n}") + ',\n  "stored": ', nl=False)
                print_falling_json(ledger, book)
                text = "\n}"
            click.echo(text)
        else:
            for note in notes:
                click.echo(f"note: {one_line(note)}", err=True)
            named = ("files", "customers", "rules")
            counts = ", ".join(f"{what}: {summary[what]}" for what in named).capitalize()
            noted = f" Notes: {len(notes)}." if notes else ""
            click.echo(f"No mistakes. {counts}. Version {book.version[:12]}.{noted}")
            if is_stored and ledger:
                print_falling(ledger, book)
    if notes and is_strict:
        sys.exit(1)


def _ledger(stack: ExitStack, *, is_asked_for: bool) -> Connection | None:
    """Return the ledger to look into: if it is asked for, or if one is at hand."""
    info = click.get_current_context().find_object(ScriptInfo)
    if info is None:
        # Not called by `flask`: there is no installation whose ledger could be meant.
        return fail("flask alone knows the database") if is_asked_for else None
    try:
        line = info.load_app().extensions["billhook"]
        return stack.enter_context(ledger_at_hand(line.database))
    except BillhookError as error:
        return fail(str(error)) if is_asked_for else None


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
    _stop_at(line.missing(book) + fit.misfits(book).mistakes, as_json=False)
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
@click.argument("customer")
@FOLDER
@click.option("--active", "is_active", is_flag=True, help="Show the active rules, not DIR.")
@AS_JSON
def show(customer: str, folder: Path, is_active: bool, as_json: bool) -> None:
    """Print a customer's contract as it is with all that it extends, each value with its place.

    The files are those in DIR (default: BILLHOOK_RULES).
    """
    book = _active() if is_active else loaded(folder, as_json=as_json)
    found = {contract.key: contract for contract in book.joined()[1]}
    if customer not in found:
        fail(f"{quoted(customer)} has no file{suggestion(customer, found)}")
    contract = found[customer]
    if as_json:
        values = [origin.as_json() for origin in origins(contract.table)]
        extends = list(contract.shared)
        print_json(
            {"customer": customer, "file": contract.file, "extends": extends} | {"values": values}
        )
        return
    files = ", then ".join((contract.file, *contract.shared))
    click.echo(f"# The contract of {customer}: what {files} say. Version {book.version[:12]}.")
    for line in printed(contract.table):
        click.echo(line)


@without_traceback
def _active() -> Book:
    """Return the rules that are active; end with one line if there are none."""
    with click.get_current_context().ensure_object(ScriptInfo).load_app().app_context():
        book = current_line().book()
    if book is None:
        fail("no rules are active yet - run `flask rules activate`")
    return book


@rules.command()
@click.argument("kind", type=click.Choice(list(TABLES)), default="customer")
@click.option(
    "--write",
    "folder",
    metavar="[DIR]",
    is_flag=False,
    flag_value="",
    help="Write all schemas into DIR (default: BILLHOOK_RULES) instead.",
)
def schema(kind: str, folder: str | None) -> None:
    """Print the JSON Schema of a customer's file, a shared one or workspace.yaml, for editors."""
    if folder is None:
        click.echo(file_text(kind), nl=False)
        return
    into = Path(folder or os.environ.get("BILLHOOK_RULES") or DEFAULT_FOLDER)
    for each in TABLES:
        try:
            (into / file_name(each)).write_text(file_text(each))
        except OSError as error:
            fail(f"{into / file_name(each)}: cannot be written - {error.strerror}")
        click.echo(into / file_name(each))


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
        between = "\n  " if "\n" in result.expected else " - "
        told = f"expected {result.expected}{between}got {result.got}".replace(" \n", "\n")
        click.echo(f'{result.where}: test "{result.name}": {told}', err=True)
    if failed:
        click.echo(f"{len(failed)} of {len(results)} tests failed.", err=True)
        sys.exit(1)


def loaded(folder: Path, *, as_json: bool) -> Book:
    """Return the book of a folder; print its mistakes, one a line, and exit 1 if it has any."""
    try:
        return Book.read_folder(folder)
    except ConfigurationError as error:
        _stop_at(error.mistakes, as_json=as_json)
        raise


def _stop_at(mistakes: Sequence[str], *, as_json: bool) -> None:
    """Print mistakes, one a line, and exit 1 if there are any."""
    if as_json and mistakes:
        click.echo(json.dumps({"mistakes": mistakes}, indent=2, ensure_ascii=False))
    for mistake in mistakes:
        click.echo(mistake, err=True)
    if mistakes:
        sys.exit(1)
