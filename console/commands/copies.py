"""`flask backup` and `flask restored`: a copy of the ledger, and a ledger that is one."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from flask.cli import with_appcontext

from console.current import current_line
from console.signs import CLOCK_SECONDS, clock_age
from console.terminal import AS_JSON, fail, print_json, without_traceback
from ledger import restoring
from ledger.backup import back_up
from ledger.events import as_utc_text


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@AS_JSON
@with_appcontext
@without_traceback
def backup(file: Path, as_json: bool) -> None:
    """Copy the ledger into a new FILE while everything goes on.

    The copy is checked and marked: whoever starts from it pushes nothing before
    `flask sync --restored`. For SQLite; with PostgreSQL it says what to run instead.
    """
    line = current_line()
    if not line.database.is_sqlite:
        fail(
            "the ledger is in PostgreSQL: use the platform's backups, or run "
            f'pg_dump --format=custom --file={shlex.quote(str(file))} "$DATABASE_URL" - and after '
            "pg_restore run `flask restored` before anything is started"
        )
    now = line.clock.now()
    size = back_up(line.database, file.absolute(), now)
    if as_json:
        print_json({"file": str(file), "bytes": size, "copied_at": as_utc_text(now)})
        return
    click.echo(f"{file}: the ledger as it was at {as_utc_text(now)}, checked, {size} bytes.")
    click.echo("Keep var/secret_key and your secrets too, elsewhere: they are not in it.", err=True)


@click.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d"]),
    help="When the copy was made, in UTC; if not given, when something was noted in it last.",
)
@AS_JSON
@with_appcontext
@without_traceback
def restored(since: datetime | None, as_json: bool) -> None:
    """Say that this ledger is a copy: nothing is pushed before `flask sync --restored`.

    Run it after pg_restore, before web, worker and clock are started. A copy that was made by
    `flask backup` says so by itself.
    """
    line = current_line()
    with line.database.read() as connection:
        copied_at = restoring.waiting_since(connection)
        age, last_at = clock_age(line, connection), restoring.last_trace(connection)
    if copied_at is None:
        copied_at = since.replace(tzinfo=UTC) if since else last_at or line.clock.now()
        if since is None and age is not None and age < timedelta(seconds=CLOCK_SECONDS):
            fail(
                "the clock runs already, so nobody knows when the copy was made - stop worker and "
                "clock, and say it with --since 2026-10-31T22:00"
            )
        moment = copied_at
        line.database.write(lambda connection: restoring.mark(connection, moment))
    if as_json:
        print_json({"copied_at": as_utc_text(copied_at), "pushes": False})
    else:
        click.echo(restoring.WAITS.format(copied_at=as_utc_text(copied_at)))
