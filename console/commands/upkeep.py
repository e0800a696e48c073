"""`flask db` and `flask sync`: what a release does, and what closes gaps."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from console.current import current_line
from console.terminal import AS_JSON, print_json, without_traceback
from ledger import sync as gaps
from ledger.database import upgrade as apply_migrations


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
@AS_JSON
@with_appcontext
@without_traceback
def sync(as_json: bool) -> None:
    """Have every pushed invoice looked at now: what webhooks of billing systems have missed.

    The worker does it; the numbers are there a moment later.
    """
    line = current_line()
    count = line.database.write(lambda connection: gaps.look_at_all(connection, line.clock.now()))
    line.doorbell.ring("look")
    if as_json:
        print_json({"invoices": count})
    else:
        click.echo(f"{count} pushed invoices are looked at.")
