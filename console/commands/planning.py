"""`flask rules plan`: what would be billed under the rules in a folder, before they are active."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from flask.cli import with_appcontext

from console.commands.rules import AS_JSON, FOLDER, SINCE, day_of, loaded, rules
from console.current import current_line, person_at_the_keyboard
from console.plans import Shown, print_plan, print_plan_json, progress_bar
from console.terminal import fail, without_traceback
from planning import activation, rehearse


@rules.command()
@FOLDER
@SINCE
@click.option("--customer", metavar="KEY", help="Show a customer's drafts alone.")
@click.option("--lines", "each_line", is_flag=True, help="Show each line, not groups of them.")
@AS_JSON
@with_appcontext
@without_traceback
def plan(
    folder: Path, since: datetime | None, customer: str | None, each_line: bool, as_json: bool
) -> None:
    """Show what activating the files in DIR (default: BILLHOOK_RULES) would change on drafts.

    Nothing is changed by it. What is held or waits is priced, and with --since also what was
    worked from that day on and is not billed yet.
    """
    book = loaded(folder, as_json=as_json)
    line = current_line()
    if customer is not None and customer not in book.customers:
        fail(f"no customer {customer} in {folder} - known are {', '.join(sorted(book.customers))}")
    act = activation(line, book, since=day_of(since), by=person_at_the_keyboard())
    shown = Shown(customer, each_line)
    with progress_bar() as progress, rehearse(line, act, progress) as rehearsal:
        if as_json:
            print_plan_json(rehearsal, shown, version=book.version, since=day_of(since))
        else:
            print_plan(rehearsal, shown)
