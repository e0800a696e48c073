"""What would be billed, shown before it is: for people, and as JSON for programs.

Both are printed as they are found, so that a long plan needs no memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click
from sqlalchemy import Connection
from tqdm import tqdm  # type: ignore[import-untyped]

from ledger import changes
from ledger.changes import Change, Draft, Total
from ledger.listings import money_json
from ledger.money import Money
from ledger.scratch import Progress
from planning import Rehearsal

from .texts import clipped, one_line

_MOST_SHOWN: Final = 160


@dataclass(frozen=True, slots=True)
class Shown:
    """Which part of a plan is shown."""

    customer: str | None = None
    each_line: bool = False
    """Not only how many lines change alike."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give what shows on standard error how far it is, if that is a terminal."""
    bars: dict[str, tqdm] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in bars:
            for each in bars.values():
                each.close()
            bars[what] = tqdm(
                desc=what, unit=" rows", ncols=80, ascii=True, file=sys.stderr, disable=None
            )
        bar = bars[what]
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        for each in bars.values():
            each.close()


def print_plan(rehearsal: Rehearsal, shown: Shown) -> None:
    """Print for each customer and draft what changes, by how much and why."""
    with rehearsal.look() as connection:
        customer = None
        for draft in changes.drafts(connection, shown.customer):
            if draft.customer != customer:
                customer = draft.customer
                click.echo(one_line(customer) or "of no customer")
            _print_draft(connection, draft, shown)
        if customer is None:
            click.echo("No draft changes.")
        click.echo()
        totals = _totals(connection, shown)
        for total in totals:
            money = _change_of_money(total.before, total.after, total.currency)
            click.echo(f"In all, {one_line(total.customer)}: {money}")
        if customer is not None and not totals:
            click.echo("In all: no amount changes.")
        before, after = changes.counts(connection)
        held, still = (_held(each) for each in (before, after))
        click.echo(f"Held for a person: {held} before, {still} after.")
        for told in _not_in_it(rehearsal, after):
            click.echo(told)


def print_plan_json(rehearsal: Rehearsal, shown: Shown, **told: Any) -> None:
    """Print a plan as JSON, one draft a line."""
    with rehearsal.look() as connection:
        head = json.dumps(told, ensure_ascii=False, default=str)
        click.echo(f"{head[:-1]}{', ' if told else ''}")
        click.echo('"drafts": [', nl=False)
        mark = "\n"
        for draft in changes.drafts(connection, shown.customer):
            written = json.dumps(_draft_json(connection, draft, shown), ensure_ascii=False)
            click.echo(f"{mark}{written}", nl=False)
            mark = ",\n"
        click.echo("],")
        before, after = changes.counts(connection)
        tail = {
            "totals": [
                {
                    "customer": total.customer,
                    **_money_json(total.before, total.after, total.currency),
                }
                for total in _totals(connection, shown)
            ],
            "subjects": {"before": before, "after": after},
            "unread_deliveries": rehearsal.unread,
            "not_assembled": rehearsal.failed,
        }
        click.echo(json.dumps(tail, ensure_ascii=False)[1:])


def _totals(connection: Connection, shown: Shown) -> list[Total]:
    return [each for each in changes.totals(connection) if shown.customer in (None, each.customer)]


def _held(counts: dict[str, int]) -> int:
    return counts.get("held", 0) + counts.get("failed", 0)


def _not_in_it(rehearsal: Rehearsal, after: dict[str, int]) -> Iterator[str]:
    if rehearsal.unread:
        yield f"Not in it: {rehearsal.unread} deliveries that are not read yet."
    if waiting := after.get("waiting", 0):
        yield f"Not in it: {waiting} events that could not be priced here - see the log."
    for key in rehearsal.failed:
        yield f"Not in it: drafts of {one_line(key)}, which could not be assembled - see the log."


def _print_draft(connection: Connection, draft: Draft, shown: Shown) -> None:
    if draft.reference:
        state = draft.state_after or ""
        if draft.state_before is None:
            state = f"new {state}"
        elif draft.state_before != state:
            state = f"{draft.state_before} -> {state}"
        money = _change_of_money(draft.before, draft.after, draft.currency)
        click.echo(f"  {one_line(draft.reference)}, {state}: {money}")
    else:
        click.echo("  on no draft")
    for term in draft.terms:
        click.echo(f"    {clipped(term, _MOST_SHOWN)}")
    for change in changes.changes_of(connection, draft, each_line=shown.each_line):
        _print_change(change, shown)


def _print_change(change: Change, shown: Shown) -> None:
    what = clipped(", ".join(change.why), _MOST_SHOWN)
    things = "lines" if change.currency else "events"
    count = f"1 {things[:-1]}" if change.count == 1 else f"{change.count} {things}"
    money = ""
    if change.currency:
        money = f"; {_change_of_money(change.before, change.after, change.currency)}"
    click.echo(f"    {count}: {what}{money}")
    if change.example:
        such_as = "" if change.count == 1 or shown.each_line else "such as "
        click.echo(f"      {such_as}{clipped(change.example, _MOST_SHOWN)}")
    for step in change.steps_before:
        click.echo(f"      was: {clipped(step, _MOST_SHOWN)}")
    for step in change.steps_after:
        click.echo(f"      now: {clipped(step, _MOST_SHOWN)}")


def _change_of_money(before: int, after: int, currency: str) -> str:
    old, new = Money(before, currency).decimal(), Money(after, currency).decimal()
    if before == after:
        return f"{new:f} {currency}, unchanged"
    return f"{old:f} -> {new:f} {currency} ({new - old:+f})"


def _money_json(before: int, after: int, currency: str) -> dict[str, Any]:
    if not currency:
        return {}
    return {
        "before": money_json(before, currency),
        "after": money_json(after, currency),
        "difference": money_json(after - before, currency),
    }


def _draft_json(connection: Connection, draft: Draft, shown: Shown) -> dict[str, Any]:
    found = changes.changes_of(connection, draft, each_line=shown.each_line)
    return {
        "customer": draft.customer or None,
        "reference": draft.reference or None,
        "state": {"before": draft.state_before, "after": draft.state_after},
        **_money_json(draft.before, draft.after, draft.currency),
        "terms": draft.terms,
        "changes": [
            {
                "why": change.why,
                "count": change.count,
                **_money_json(change.before, change.after, change.currency),
                "example": change.example or None,
                "steps_before": change.steps_before,
                "steps_after": change.steps_after,
            }
            for change in found
        ],
    }
