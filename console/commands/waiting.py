"""`flask waiting`: everything that waits for a person, and the command with which it goes on."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from flask.cli import with_appcontext

from console.current import current_line
from console.terminal import AS_JSON, print_json, without_traceback
from console.texts import age_text, one_line
from ledger.held import (
    ALL_KINDS,
    SUMMED_UP_DAYS,
    Held,
    count_held,
    list_held,
    passed_over,
)
from ledger.listings import MOST


@click.command()
@click.option("--kind", "kinds", type=click.Choice(ALL_KINDS), multiple=True, help="Only a kind.")
@click.option("--customer", metavar="KEY", help="Only what is about a customer's money.")
@click.option("--after", metavar="KEY", help="Go on behind this one, say subject:12.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
@with_appcontext
@without_traceback
def waiting(
    kinds: tuple[str, ...], customer: str | None, after: str | None, limit: int, as_json: bool
) -> None:
    """List what waits for a person: why, since when, how much, and how it goes on.

    What was passed over on purpose is summed up below; --kind ignored and --kind unmatched list
    it one by one.
    """
    line = current_line()
    now = line.clock.now()
    with line.database.read() as connection:
        counts = count_held(connection, now)
        try:
            found = list_held(
                connection, now, after=after, limit=limit, kinds=kinds, customer=customer
            )
        except ValueError:
            raise click.BadParameter(
                "is no place in the list - write it as its first column shows it, say subject:12"
            ) from None
        summed_up = [] if kinds or customer else passed_over(connection, now)
    goes_on = found[-1].key if len(found) == limit else None
    if as_json:
        print_json(
            {
                "counts": {name: each.count for name, each in counts.items()},
                "held": [each.as_json(now) for each in found],
                "passed_over": [each.as_json() for each in summed_up],
                "next": goes_on,
            }
        )
        return
    for each in found:
        _print(each, now)
    if not found:
        click.echo("Nothing waits for a person.")
    if any(each.kind == "delivery" for each in found):
        click.echo("A delivery that nobody needs: flask events dismiss ID --why ...")
    if goes_on is not None:
        click.echo(f"There may be more: flask waiting --after {goes_on}")
    if summed_up:
        click.echo(f"Passed over on purpose in the last {SUMMED_UP_DAYS} days:")
        for one in summed_up:
            told = f"  {one.count} {one.kind} at {one.where}: {one.reason}"
            click.echo(one_line(told))


def _print(each: Held, now: datetime) -> None:
    age = "" if each.since is None else f" for {age_text(max(timedelta(), now - each.since))}"
    risk = "" if each.at_risk is None else f", {each.at_risk} at risk"
    click.echo(one_line(f"{each.key}  {each.where}: {each.what}{age}{risk}"))
    click.echo(one_line(f"    {each.reason}"))
    click.echo(one_line(f"    -> {each.go_on}"))
