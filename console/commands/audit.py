"""`flask audit`: are the promises of the ledger kept? Reads everything, changes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from auditing import Asked, ask
from auditing import sent as what_was_sent
from console.current import current_line
from console.terminal import AS_JSON, print_json
from console.texts import one_line
from ledger.audit import INVARIANTS, Anchor, Audit, PriceAgain, examine
from ledger.audit.figures import Figures
from ledger.audit.prices import PRICED_AGAIN, Price
from ledger.audit.remote import DEEP
from ledger.audit.side_by_side import (
    AuditBrokenOffError,
    examine_side_by_side,
    processes_for,
)
from ledger.auditlog import head
from ledger.events import Event
from ledger.money import Money
from mappings.judging import judge, sum_up

if TYPE_CHECKING:
    from line import Line

T = TypeVar("T")

COULD_NOT_CHECK = 2
"""The exit code where nothing is known to be wrong, and not everything could be checked."""


def _anchor(_: click.Context, __: click.Parameter, text: str | None) -> Anchor | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}:[0-9a-f]{64}", text):
        raise click.BadParameter("write it as POSITION:HASH, as an earlier `flask audit` showed it")
    position, _colon, sealed = text.partition(":")
    return Anchor(int(position), sealed)


@click.command()
@AS_JSON
@click.option("--deep", is_flag=True, help="Also ask the billing systems about each invoice.")
@click.option(
    "--anchor",
    metavar="POSITION:HASH",
    callback=_anchor,
    help="The head of the audit log as it was noted earlier, outside the database.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="How many processes work on it; by itself as many as help, 4 at most.",
)
@click.option(
    "--no-prices",
    is_flag=True,
    help="Leave out pricing each line again, which takes the most time; the output says so.",
)
@with_appcontext
def audit(
    as_json: bool, deep: bool, anchor: Anchor | None, processes: int | None, no_prices: bool
) -> None:
    """Check every promise of the ledger.

    Exit code 0: all are kept; 1: some are broken, and the rows are named; 2: not everything
    could be checked.
    """
    line = current_line()
    try:
        if not line.database.is_current():
            _could_not_check("database: has another schema - run `flask db upgrade`")
        found, (log_head, sent) = _examined(
            line,
            processes or processes_for(line.database),
            lambda connection: (
                "{}:{}".format(*head(connection)),
                what_was_sent(connection) if deep else None,
            ),
            anchor=anchor,
            prices=not no_prices,
        )
    except DBAPIError as error:
        _could_not_check(f"database: cannot be read ({type(error).__name__}) - see DATABASE_URL")
    except AuditBrokenOffError as error:
        _could_not_check(str(error))
    asked = ask(line, sent) if sent else Asked()
    found.violations.extend(asked.violations)
    unchecked, left_out = asked.unchecked, [PRICED_AGAIN.name] if no_prices else []
    if as_json:
        print_json(
            {
                "violations": [asdict(each) for each in found.violations],
                "unchecked": unchecked,
                "left_out": left_out,
                "figures": found.figures.as_json(),
                "audit_log_head": log_head,
            }
        )
    else:
        _print(found, unchecked, left_out, log_head, deep=deep)
    sys.exit(1 if found.violations else COULD_NOT_CHECK if unchecked else 0)


def _examined(
    line: Line,
    processes: int,
    also: Callable[[Connection], T],
    *,
    anchor: Anchor | None,
    prices: bool,
) -> tuple[Audit, T]:
    """Return what the audit finds, and what is read beside it in the same snapshot."""
    now = line.clock.now()
    ways: dict[str, Any] = {
        "price_again": _price_again(line) if prices else None,
        "sum_again": lambda key, version, lines: sum_up(line.book_of(version), key, lines),
        "anchor": anchor,
    }
    if processes > 1:
        return examine_side_by_side(line.database, now, processes, also, **ways)
    with line.database.read() as connection:
        return examine(connection, now, **ways), also(connection)


def _price_again(line: Line) -> PriceAgain:
    as_price = attrgetter(*Price.__dataclass_fields__)

    def price_again(version: str, event: Event) -> list[Price]:
        return [Price(*as_price(each)) for each in judge(line.book_of(version), event).lines]

    return price_again


def _print(
    found: Audit,
    unchecked: Sequence[str],
    left_out: Sequence[str],
    log_head: str,
    *,
    deep: bool,
) -> None:
    invariants = {each.name: each for each in (*INVARIANTS, *DEEP)}
    for name, violations in groupby(found.violations, key=lambda each: each.invariant):
        click.echo(f"Broken: {name} - {invariants[name].sentence}")
        for each in violations:
            at_risk = ""
            if each.amount_at_risk is not None and each.currency is not None:
                at_risk = f" [at risk: {Money(each.amount_at_risk, each.currency)}]"
            click.echo(one_line(f"  {each.entity}: {each.detail}{at_risk}"))
        click.echo(f"  What to do: {invariants[name].remedy}.")
    for told in unchecked:
        click.echo(one_line(f"Could not check {told}"))
    if not found.violations and not unchecked:
        remote = ", and the billing systems agree" if deep else ""
        if left_out:
            kept = len(INVARIANTS) - len(left_out)
            click.echo(f"{kept} promises are kept{remote}; not looked at: {', '.join(left_out)}.")
        else:
            click.echo(f"All {len(INVARIANTS)} promises are kept{remote}.")
    _print_figures(found.figures)
    click.echo(f"Head of the audit log: {log_head} (keep it elsewhere; check it with --anchor)")


def _print_figures(found: Figures) -> None:
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.rows.items())
    click.echo(f"Rows looked at: {rows}")
    standing = found.all
    parts = {
        "billed": standing.billed,
        "drafted": standing.drafted,
        "held": standing.held,
        "excluded": standing.excluded,
        "waiting": found.waiting,
    }
    told = " + ".join(f"{_minutes(seconds)} {name}" for name, seconds in parts.items())
    click.echo(f"Time: {_minutes(found.told)} told = {told}")


def _minutes(seconds: int) -> str:
    """Return seconds as minutes, with the seconds behind a colon where there are any."""
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    return f"{sign}{rest // 60:,}" + (f":{rest % 60:02}" if rest % 60 else "") + " min"


def _could_not_check(reason: str) -> NoReturn:
    click.echo(one_line(reason), err=True)
    sys.exit(COULD_NOT_CHECK)
