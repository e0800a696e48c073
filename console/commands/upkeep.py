"""`flask db` and `flask sync`: what a release does, and what closes gaps."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection

import worker
from console.current import current_line, person_at_the_keyboard
from console.terminal import AS_JSON, print_json, without_traceback
from console.texts import one_line
from ledger import polls
from ledger import sync as gaps
from ledger.database import upgrade as apply_migrations
from ledger.events import as_utc_text
from ledger.facts import ask_again
from line import Line
from recovery import recover


@click.group()
def db() -> None:
    """The database."""


@db.command()
@with_appcontext
@without_traceback
def upgrade() -> None:
    """Apply all migrations; a new SQLite file is made."""
    apply_migrations(current_line().settings.database_url)
    click.echo("The database is up to date.")


@click.command()
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT]...")
@click.option(
    "--anew", is_flag=True, help="Forget how far the named ENDPOINTs were asked, and begin now."
)
@click.option(
    "--restored", "is_restored", is_flag=True, help="Find out what a restored copy has forgotten."
)
@AS_JSON
@with_appcontext
@without_traceback
def sync(endpoints: Sequence[str], anew: bool, is_restored: bool, as_json: bool) -> None:
    """Ask for what webhooks have missed: every project tool, or only the ENDPOINTs named.

    What could not be asked or told there before is tried again, too.

    Each page of an answer is kept before the next one is asked for, so this may be interrupted:
    the next run, or the clock, goes on from there. The worker prices what is found, and looks at
    all pushed invoices.
    """
    if anew and not endpoints:
        raise click.UsageError("--anew needs the endpoints that are to begin anew")
    line = current_line()
    if is_restored:
        if endpoints:
            raise click.UsageError("--restored asks every system: name no endpoints")
        _recover(line, as_json=as_json)
        return
    wanted = line.polled()
    book = line.book()
    every = set(book.workspace.sources) if book else set()
    _refuse_unknown(endpoints, every)
    line.database.write(lambda connection: polls.expect(connection, wanted, line.clock.now()))
    if anew:
        line.database.write(lambda connection: polls.begin_anew(connection, endpoints))
    asking = set(endpoints) or every

    def begin(connection: Connection) -> None:
        now = line.clock.now()
        polls.ask_now(connection, endpoints, now)
        ask_again(connection, asking & line.askable(), now)
        gaps.ask_held(connection, asking, now, also_unmatched=bool(endpoints))
        gaps.tell_again(connection, set(endpoints) or None, now)

    line.database.write(begin)
    seen = begun = _progress(line)
    # Other workers may take a question meanwhile: then they ask it.
    while worker.run(line, worker.POLL):
        now_seen = _progress(line)
        if not as_json:
            for key, each in now_seen.items():
                if each != seen.get(key):
                    _show(each, begun.get(key))
        seen = now_seen
    count = line.database.write(lambda connection: gaps.look_at_all(connection, line.clock.now()))
    for stage in ("normalize", "enrich", "follow", "look", "report"):
        line.doorbell.ring(stage)
    asked = [each for each in seen.values() if each.is_asked and (each.endpoint in asking)]
    if as_json:
        print_json({"invoices": count, "polls": [_as_json(each) for each in asked]})
    else:
        click.echo(
            f"{len(asked)} questions to project tools; {count} pushed invoices are looked at."
        )
    if any(each.problem for each in asked):
        sys.exit(1)


def _recover(line: Line, *, as_json: bool) -> None:
    told = recover(
        line,
        actor=person_at_the_keyboard(),
        tell=(lambda _: None) if as_json else (lambda text: click.echo(one_line(text))),
    )
    if as_json:
        print_json({**asdict(told), "pushes": told.is_over})
    else:
        click.echo(f"{told.taken_over} invoices had gone out already and are taken over.")
        for problem in told.problems:
            click.echo(one_line(f"Could not be asked: {problem}"))
        for reference in told.strays:
            click.echo(
                one_line(
                    f"{reference}: is at a billing system, and no invoice here is called so - have "
                    "its work told again, void it there, or leave it: "
                    f"`flask invoices settle {reference}`"
                )
            )
        goes_on = "Pushing goes on." if told.is_over else "Nothing is pushed before that is done."
        click.echo(goes_on)
    if not told.is_over:
        sys.exit(1)


def _progress(line: Line) -> dict[tuple[str, str], polls.Progress]:
    with line.database.read() as connection:
        return {(each.endpoint, each.what): each for each in polls.progress(connection)}


def _show(now: polls.Progress, begun: polls.Progress | None) -> None:
    fresh = now.found - (begun.found if begun else 0)
    told = now.problem or f"{fresh} new"
    click.echo(one_line(f"{now.endpoint}: {now.what}: {told}"))


def _as_json(each: polls.Progress) -> dict[str, object]:
    return {
        "endpoint": each.endpoint,
        "what": each.what,
        "found": each.found,
        "polled_at": as_utc_text(each.polled_at) if each.polled_at else None,
        "next_at": as_utc_text(each.next_at),
        "problem": each.problem,
    }


def _refuse_unknown(endpoints: Sequence[str], known: Collection[str]) -> None:
    for endpoint in endpoints:
        if endpoint not in known:
            there = ", ".join(sorted(known)) or "none"
            raise click.BadParameter(
                f'"{endpoint}" is no endpoint in workspace.yaml - there are: {there}'
            )
