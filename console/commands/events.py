"""`flask events`: find events, have deliveries read again, have unbilled work priced again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection

from console.current import current_line, person_at_the_keyboard
from console.plans import Shown, print_plan, print_plan_json, progress_bar
from console.terminal import AS_JSON, print_json, print_table, without_traceback
from console.texts import one_line
from ledger import tables
from ledger.dismissing import dismiss as dismiss_deliveries
from ledger.listings import MOST, list_events
from ledger.reopening import KEEP, TAKE_BACK
from ledger.replay import (
    HELD,
    UNBILLED,
    remap_all,
    remap_customer,
    remap_held,
    remap_since,
    remap_some,
    unbilled_of,
    unbilled_since,
)
from ledger.replay import replay as replay_deliveries
from ledger.settling import settle as settle_reopened
from planning import Act, rehearse

_COLUMNS = ("delivery", "on", "kind", "endpoint", "subject", "project", "item", "person", "seconds")


@click.group()
def events() -> None:
    """What the tools have told, as events."""


@events.command("list")
@click.option("--endpoint", help="Only those of an endpoint.")
@click.option("--kind", help="Only those of a kind, like time.logged.")
@click.option("--project", help="Only those of a project.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only work from a day on.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
@with_appcontext
@without_traceback
def list_last(
    endpoint: str | None,
    kind: str | None,
    project: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the last events, newest first, with the number of the delivery that told them."""
    with current_line().database.read() as connection:
        found = list_events(
            connection,
            endpoint=endpoint,
            kind=kind,
            project=project,
            since=since.date() if since else None,
            limit=limit,
            newest_first=True,
        )
    if as_json:
        print_json(found)
        return
    rows = [[each[column] for column in _COLUMNS] for each in found]
    print_table(_COLUMNS, rows, empty="No event fits.")


@events.command()
@click.argument("ids", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True)
@AS_JSON
@with_appcontext
@without_traceback
def replay(ids: tuple[int, ...], as_json: bool) -> None:
    """Read deliveries again, by their numbers in `flask events list`. Nothing is billed twice."""
    line = current_line()
    actor = person_at_the_keyboard()
    count = line.database.write(
        lambda connection: replay_deliveries(connection, ids, actor=actor, now=line.clock.now())
    )
    line.doorbell.ring("normalize")
    _tell(count, "deliveries", "are read again", as_json=as_json)


@events.command()
@click.argument("ids", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True)
@click.option("--why", required=True, help="Why nobody needs it, for whoever looks for it later.")
@AS_JSON
@with_appcontext
@without_traceback
def dismiss(ids: tuple[int, ...], why: str, as_json: bool) -> None:
    """Note that deliveries which cannot be read need not be; `replay` reads them all the same.

    IDs are their numbers in `flask waiting --kind delivery`. What they tell is not billed.
    """
    line = current_line()
    actor = person_at_the_keyboard()
    count = line.database.write(
        lambda connection: dismiss_deliveries(
            connection, ids, why=why, actor=actor, now=line.clock.now()
        )
    )
    _tell(count, "deliveries", "are dismissed", as_json=as_json)


@events.command()
@click.argument("ids", metavar="[ID]...", type=click.IntRange(1, 2**63 - 1), nargs=-1)
@click.option("--held", "is_held", is_flag=True, help="What is held (if nothing else is said).")
@click.option("--customer", metavar="KEY", help="A customer's work that is not billed.")
@click.option("--all", "is_all", is_flag=True, help="All work that is not billed.")
@click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Work from a day on (2026-10-01) that is not billed.",
)
@click.option("--plan", "is_planned", is_flag=True, help="Only show what would change.")
@AS_JSON
@with_appcontext
@without_traceback
def remap(
    ids: tuple[int, ...],
    is_held: bool,
    customer: str | None,
    is_all: bool,
    since: datetime | None,
    is_planned: bool,
    as_json: bool,
) -> None:
    """Price what is not billed again, by the rules that are active now.

    IDs are single subjects as `flask waiting` numbers them.
    """
    if bool(ids) + is_held + is_all + (customer is not None) + (since is not None) > 1:
        raise click.UsageError("say only one of IDs, --held, --customer, --all and --since")
    line = current_line()
    actor = person_at_the_keyboard()
    if ids:
        act = Act(_by(remap_some, actor, ids), tables.subject.c.id.in_(ids))
    elif customer is not None:
        act = Act(_by(remap_customer, actor, customer), unbilled_of(customer))
    elif since is not None:
        act = Act(_by(remap_since, actor, since.date()), unbilled_since(since.date()))
    elif is_all:
        act = Act(_by(remap_all, actor), UNBILLED)
    else:
        act = Act(_by(remap_held, actor), HELD)
    if is_planned:
        with progress_bar() as progress, rehearse(line, act, progress) as rehearsal:
            (print_plan_json if as_json else print_plan)(rehearsal, Shown())
        return
    count = line.database.write(lambda connection: act.do(connection, line.clock.now()))
    line.doorbell.ring("map")
    _tell(count, "subjects", "are priced again", as_json=as_json)


@events.command()
@click.argument("subject")
@click.option("--take-back", "is_back", is_flag=True, help="What was billed is taken back.")
@click.option("--keep", "is_kept", is_flag=True, help="It stays billed.")
@click.option("--endpoint", help="Which endpoint told it, where several did.")
@AS_JSON
@with_appcontext
@without_traceback
def settle(subject: str, is_back: bool, is_kept: bool, endpoint: str | None, as_json: bool) -> None:
    """Decide about billed work that was opened again, where its rule leaves that to a person."""
    if is_back == is_kept:
        raise click.UsageError("say one of --take-back and --keep")
    line = current_line()
    decision, actor = TAKE_BACK if is_back else KEEP, person_at_the_keyboard()
    line.database.write(
        lambda connection: settle_reopened(
            connection, subject, decision, endpoint=endpoint, actor=actor, now=line.clock.now()
        )
    )
    line.doorbell.ring("map")
    if as_json:
        print_json({"subject": subject, "decision": decision})
    else:
        click.echo(one_line(f"{subject}: {'is taken back' if is_back else 'stays billed'}"))


def _by(
    remapped: Callable[..., int], actor: str, *which: object
) -> Callable[[Connection, datetime], int]:
    """Return something that has work priced again, for a ledger and a moment."""
    return lambda connection, now: remapped(connection, *which, actor=actor, now=now)


def _tell(count: int, things: str, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({things: count})
    else:
        click.echo(f"{count} {things} {done}.")
