"""`flask tokens` and `flask signin-link`: who may use the API and look at the pages."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import click
from flask.cli import with_appcontext

from console.current import current_line, person_at_the_keyboard
from console.terminal import AS_JSON, print_json, print_table, without_traceback
from ledger.access import ROLES, create_token, list_tokens, revoke_token, sign_link
from ledger.events import as_utc_text


@click.group()
def tokens() -> None:
    """Tokens for the API and for /metrics."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")
@click.option(
    "--days", type=click.IntRange(1, 3650), help="Days until it expires; never if left out."
)
@AS_JSON
@with_appcontext
@without_traceback
def create(name: str, role: str, days: int | None, as_json: bool) -> None:
    """Make a token and show it, this once. NAME is what it signs approvals with."""
    line = current_line()
    now = line.clock.now()
    expires_at = None if days is None else now + timedelta(days=days)
    actor = person_at_the_keyboard()
    text = line.database.write(
        lambda connection: create_token(
            connection, name, role, actor=actor, now=now, expires_at=expires_at
        )
    )
    if as_json:
        until = None if expires_at is None else as_utc_text(expires_at)
        print_json({"name": name, "role": role, "token": text, "expires_at": until})
        return
    click.echo(text)
    click.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


@tokens.command("list")
@AS_JSON
@with_appcontext
@without_traceback
def list_all(as_json: bool) -> None:
    """List all tokens ever made, without the tokens themselves."""
    line = current_line()
    with line.database.read() as connection:
        found = list_tokens(connection, line.clock.now())
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "role", "holds", "expires", "last used"],
        [
            [
                each["name"],
                each["role"],
                "yes" if each["is_valid"] else "no",
                each["expires_at"],
                each["last_used_at"],
            ]
            for each in found
        ],
        empty="No tokens yet. Make one with: flask tokens create NAME --role viewer",
    )


@tokens.command()
@click.argument("name")
@with_appcontext
@without_traceback
def revoke(name: str) -> None:
    """End a token at once."""
    line = current_line()
    actor = person_at_the_keyboard()
    line.database.write(
        lambda connection: revoke_token(connection, name, actor=actor, now=line.clock.now())
    )
    click.echo(f"{name} lets nobody in any more.")


@click.command("signin-link")
@AS_JSON
@with_appcontext
@without_traceback
def signin_link(as_json: bool) -> None:
    """Print a link that signs one person in, once, within 15 minutes."""
    line = current_line()
    where = line.settings.base_url or f"http://localhost:{line.settings.port}"
    link = sign_link(line.settings.secret_key, line.clock.now())
    url = f"{where}/signin?{urlencode({'link': link})}"
    if as_json:
        print_json({"url": url})
    else:
        click.echo(url)
