"""`flask secrets`: tokens of systems that renew them, and a new key to seal them with."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from connectors.registry import billing_connectors
from console.current import current_line, person_at_the_keyboard
from console.terminal import AS_JSON, fail, print_json, print_table, without_traceback
from ledger import tokens
from ledger.tokens import Pair
from line import Line


@click.group()
def secrets() -> None:
    """Sealed tokens of the systems that Billhook calls."""


@secrets.command("list")
@AS_JSON
@with_appcontext
@without_traceback
def list_all(as_json: bool) -> None:
    """List which systems are connected, and what a person has to do; no token is shown."""
    line = current_line()
    with line.database.read() as connection:
        found = tokens.list_stored(connection)
    if as_json:
        print_json(found)
        return
    print_table(
        ["connector", "sealed with", "renewed", "good until", "to do"],
        [
            [
                each["name"],
                "the present key" if each["key_id"] == line.vault.key_id else "an older key",
                each["changed_at"],
                each["expires_at"],
                each["needs_reauth"],
            ]
            for each in found
        ],
        empty="No tokens are stored.",
    )


@secrets.command()
@click.argument("connector")
@with_appcontext
@without_traceback
def store(connector: str) -> None:
    """Store the refresh token of a CONNECTOR of workspace.yaml: typed unseen, or by a pipe."""
    line = current_line()
    _refuse_unknown(line, connector)
    if sys.stdin.isatty():
        refresh = click.prompt("Refresh token", hide_input=True).strip()
    else:
        refresh = sys.stdin.readline().strip()
    if not refresh.isascii() or not refresh.isprintable() or not refresh or " " in refresh:
        fail("secrets: that is no refresh token - copy it whole, without spaces")
    now, actor = line.clock.now(), person_at_the_keyboard()
    # Its access token is over already, so that the first call renews it: that proves both.
    pair = Pair("", refresh, now)
    line.database.write(
        lambda connection: tokens.store(
            connection, line.vault, connector, pair, actor=actor, now=now
        )
    )
    click.echo(f"{connector} is connected; prove it with: flask doctor")


@secrets.command()
@with_appcontext
@without_traceback
def rotate() -> None:
    """Seal all tokens with the present secret key; the old keys are not needed afterwards."""
    line = current_line()
    actor = person_at_the_keyboard()
    count = line.database.write(
        lambda connection: tokens.rotate(connection, line.vault, actor=actor, now=line.clock.now())
    )
    click.echo(f"{count} sealed with the present key. BILLHOOK_OLD_SECRET_KEYS can be emptied.")


def _refuse_unknown(line: Line, name: str) -> None:
    book = line.book()
    renewing = sorted(
        config.name
        for config in (book.workspace.connectors.values() if book else ())
        if config.system in billing_connectors() and billing_connectors()[config.system].oauth
    )
    if name not in renewing:
        there = ", ".join(renewing) or "none"
        fail(f"secrets: {name} is no connector that renews a token - there are: {there}")
