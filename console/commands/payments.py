"""`flask payments`: payments that no billing system sees, by hand and from bank statements."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection

from console.current import current_line, person_at_the_keyboard, recorder
from console.terminal import AS_JSON, fail, print_json, print_table, without_traceback
from console.texts import one_line
from ledger.bank import STATES
from ledger.listings import MOST
from ledger.matching import WAYS, Matched, import_entries
from ledger.money import Money, to_minor
from ledger.recording import (
    assign,
    list_recorded,
    record,
    set_aside,
    take_back,
)
from statements.errors import StatementError
from statements.reading import FORMATS, MOST_BYTES, read

FOR_A_PERSON: Final = 1
"""The exit code where something of a statement is a question to a person."""
NOT_READ: Final = 2
"""The exit code where nothing of a statement was taken."""


@click.group()
def payments() -> None:
    """Payments that no billing system sees: by hand, and from bank statements."""


@payments.command("record")
@click.argument("reference", metavar="INVOICE")
@click.argument("amount")
@click.argument("currency")
@click.option(
    "--on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day, say 2026-11-28."
)
@click.option("--reference", "text", default="", help="What the payer wrote, or a number.")
@AS_JSON
@with_appcontext
@without_traceback
def record_one(
    reference: str, amount: str, currency: str, on: datetime, text: str, as_json: bool
) -> None:
    """Record a payment of AMOUNT (1500.00) on an invoice; below zero it is a refund: -- -100.00.

    The same once more is the same payment: another one of that day needs another --reference.
    """
    line, by = current_line(), recorder(person_at_the_keyboard(), "hand")
    money = _money(amount, currency)
    number, is_new = line.database.write(
        lambda connection: record(connection, reference, money, on.date(), text.strip(), by)
    )
    line.doorbell.ring("look")
    _tell(number, "is recorded" if is_new else "was recorded before", as_json)


@payments.command("import")
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--format", "format_name", type=click.Choice(sorted(FORMATS)), help="Of the file.")
@click.option("--yes", is_flag=True, help="Record it; without it only a preview is shown.")
@AS_JSON
@with_appcontext
@without_traceback
def import_file(path: Path, format_name: str | None, yes: bool, as_json: bool) -> None:
    """Show which entries of a bank statement pay which invoice, and record that with --yes.

    Exit code 0: nothing is left to a person; 1: some entries are questions (`flask waiting`); 2:
    the file cannot be read, nothing was taken.
    """
    line = current_line()
    try:
        if path.stat().st_size > MOST_BYTES:
            _not_read(f"{path.name}: is longer than {MOST_BYTES} bytes - import it in parts")
        entries = read(path.read_bytes(), format_name)
    except OSError as error:
        _not_read(f"{path.name}: cannot be read ({error.strerror}) - see its permissions")
    except StatementError as error:
        _not_read(f"{path.name}: {error}")
    by = recorder(person_at_the_keyboard(), "statement")

    def work(connection: Connection) -> list[Matched]:
        found = import_entries(connection, entries, by)
        if not yes:
            raise _PreviewError(found)
        return found

    try:
        matched = line.database.write(work)
        line.doorbell.ring("look")
    except _PreviewError as preview:
        matched = preview.matched
    counts = Counter(each.way for each in matched)
    if as_json:
        print_json(
            {
                "is_recorded": yes,
                "counts": {way: counts[way] for way in WAYS},
                "entries": [_as_json(each, yes) for each in matched],
            }
        )
    else:
        _print(matched, counts, yes)
    sys.exit(FOR_A_PERSON if counts["question"] else 0)


class _PreviewError(Exception):
    """A preview is the import itself, rolled back: it cannot show anything else."""

    def __init__(self, matched: list[Matched]) -> None:
        super().__init__("a preview")
        self.matched = matched


def _as_json(each: Matched, is_recorded: bool) -> dict[str, Any]:
    told = each.as_json()
    # In a preview new ones have no number that lasts.
    return told if is_recorded or each.way in ("known",) else {**told, "payment": None}


def _print(matched: list[Matched], counts: Counter[str], is_recorded: bool) -> None:
    print_table(
        ["day", "amount", "from", "becomes", "invoice", "why"],
        [
            [
                each.entry.on,
                Money(each.entry.amount, each.entry.currency),
                each.entry.payer or each.entry.text,
                each.way,
                each.invoice,
                each.why,
            ]
            for each in matched
            if each.way != "passed over"
        ],
        empty="No entry of it may be a payment.",
    )
    told = ", ".join(f"{counts[way]} {way}" for way in WAYS if counts[way])
    click.echo(f"{len(matched)} entries: {told or 'nothing'}.")
    if not is_recorded:
        click.echo("This was a preview, nothing is recorded: add --yes.")
    elif counts["question"]:
        click.echo("What to do about the questions: flask waiting --kind payment")


@payments.command("list")
@click.option("--invoice", "reference", metavar="REFERENCE", help="Only those of an invoice.")
@click.option("--state", type=click.Choice(STATES), help="Only those in a state.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
@with_appcontext
@without_traceback
def list_last(reference: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List the last recorded payments, newest first."""
    with current_line().database.read() as connection:
        found = list_recorded(
            connection, reference=reference, state=state, limit=limit, newest_first=True
        )
    if as_json:
        print_json(found)
        return
    print_table(
        ["", "day", "amount", "state", "invoice", "from", "by", "why"],
        [
            [
                each["id"],
                each["on"],
                f"{each['amount']['text']} {each['amount']['currency']}",
                each["state"],
                each["invoice"],
                each["payer"] or each["text"],
                f"{each['recorded_by']} ({each['source']})",
                each["reason"],
            ]
            for each in found
        ],
        empty="No payment fits.",
    )


@payments.command("take-back")
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.option("--reason", help="Why, for whoever looks at it later.")
@AS_JSON
@with_appcontext
@without_traceback
def take_one_back(number: int, reason: str | None, as_json: bool) -> None:
    """Let a payment not be counted any more: it was a mistake, or the bank has returned it."""
    line, by = current_line(), recorder(person_at_the_keyboard(), "hand")
    line.database.write(lambda connection: take_back(connection, number, by, reason=reason))
    line.doorbell.ring("look")
    _tell(number, "is not counted any more", as_json)


@payments.command("assign")
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.argument("reference", metavar="INVOICE")
@AS_JSON
@with_appcontext
@without_traceback
def assign_one(number: int, reference: str, as_json: bool) -> None:
    """Count a payment on an invoice that you name, because its text does not."""
    line, by = current_line(), recorder(person_at_the_keyboard(), "hand")
    line.database.write(lambda connection: assign(connection, number, reference, by))
    line.doorbell.ring("look")
    _tell(number, f"is counted on {reference}", as_json)


@payments.command("set-aside")
@click.argument("numbers", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True)
@with_appcontext
@without_traceback
def set_some_aside(numbers: tuple[int, ...]) -> None:
    """Note that entries which wait pay no invoice of ours."""
    line, by = current_line(), recorder(person_at_the_keyboard(), "hand")

    def work(connection: Connection) -> None:
        for number in sorted(set(numbers)):
            set_aside(connection, number, by)

    line.database.write(work)
    click.echo(f"{len(set(numbers))} are set aside.")


def _tell(number: int, told: str, as_json: bool) -> None:
    with current_line().database.read() as connection:
        (found,) = list_recorded(connection, after=number - 1, limit=1)
    if as_json:
        print_json({**found, "told": told})
        return
    amount = f"{found['amount']['text']} {found['amount']['currency']}"
    click.echo(one_line(f"payment {number}: {amount} of {found['on']} {told}"))


def _money(text: str, currency: str) -> Money:
    try:
        if not text.isascii() or len(text) > 20:
            raise InvalidOperation
        return Money(to_minor(Decimal(text), currency), currency)
    except InvalidOperation:
        fail(f"{text[:40]}: is no amount - write it like 1500.00")
    except ValueError as error:
        fail(f"{text[:40]}: {error}")


def _not_read(problem: str) -> NoReturn:
    click.echo(one_line(problem), err=True)
    sys.exit(NOT_READ)
