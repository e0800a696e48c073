"""`flask connectors`: the billing systems: how they stand, connecting them, a new one to begin."""

from __future__ import annotations

import sys
from dataclasses import asdict
from urllib.parse import urlsplit

import click
from flask.cli import with_appcontext

import connections
from connections import Connected
from console.commands.scaffold import new_connector
from console.current import current_line, person_at_the_keyboard
from console.loopback import HOST, PATH, PORT, Listener, is_loopback
from console.terminal import AS_JSON, fail, print_json, without_traceback
from console.texts import clipped, one_line
from ledger.consents import LIFE
from line import Line
from mappings.model import ConnectorConfig

PROVEN_CHARACTERS = 240


@click.group()
def connectors() -> None:
    """The billing systems that drafts are pushed to."""


@connectors.command("list")
@AS_JSON
@with_appcontext
@without_traceback
def list_connectors(as_json: bool) -> None:
    """List the connectors of the active rules and how each of them stands; none is called."""
    found = connections.states(current_line())
    if as_json:
        print_json([asdict(each) for each in found])
        return
    if not found:
        click.echo("No connector stands under connectors: in the active workspace.yaml.")
    for each in found:
        click.echo(one_line(f"{each.name}: {each.system}, {each.state}"))
        for name, text in (
            ("because", each.detail),
            ("to do", each.todo),
            ("proven", clipped(each.proven, PROVEN_CHARACTERS)),
        ):
            if text:
                click.echo(one_line(f"  {name:<7} {text}"))


@connectors.command()
@click.argument("name", required=False)
@AS_JSON
@with_appcontext
@without_traceback
def check(name: str | None, as_json: bool) -> None:
    """Call each billing system, or the one of connector NAME, and say whose account answers.

    Nothing is changed there. One that rests after failures goes on if it answers. The exit code
    is 1 if one does not.
    """
    line = current_line()
    checked = [connections.check(line, each) for each in _configs(line, name)]
    gone_on = {
        each.name
        for each in checked
        if each.account is not None and connections.go_on(line, each.name, person_at_the_keyboard())
    }
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "system": each.system,
                    "is_ok": each.account is not None,
                    "account": each.account,
                    "problem": each.problem,
                    "rest_ended": each.name in gone_on,
                }
                for each in checked
            ]
        )
    else:
        for each in checked:
            told = f"answers as {each.account}" if each.account is not None else each.problem
            end = "; it rests no longer" if each.name in gone_on else ""
            mark = "ok  " if each.account is not None else "fail"
            click.echo(f"{mark}  {one_line(f'{each.name}: {told}{end}')}")
    sys.exit(1 if any(each.account is None for each in checked) else 0)


def _configs(line: Line, name: str | None) -> list[ConnectorConfig]:
    book = line.book()
    configured = book.workspace.connectors if book else {}
    if name is None:
        return list(configured.values())
    if name not in configured:
        there = ", ".join(configured) or "none"
        fail(f"connectors: {name} is not in the active workspace.yaml - there are: {there}")
    return [configured[name]]


@connectors.command()
@click.argument("name")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option(
    "--redirect",
    metavar="ADDRESS",
    help="The redirect address that is registered for your app; by default the one with --port.",
)
@click.option("--paste", is_flag=True, help="Paste the address that the browser was sent to.")
@with_appcontext
@without_traceback
def connect(name: str, port: int, redirect: str | None, paste: bool) -> None:
    """Connect NAME, for the first time or again: a person allows it in a browser.

    The browser is sent back to this machine, or, on a server without one, its address is pasted.
    """
    line = current_line()
    _configs(line, name)
    redirect = redirect or f"http://{HOST}:{port}{PATH}"
    if urlsplit(redirect).scheme not in ("http", "https") or urlsplit(redirect).fragment:
        raise click.BadParameter("write a whole address, as it is registered: https://...")
    actor = person_at_the_keyboard()
    connected: list[Connected] = []

    def answer(address: str) -> None:
        connected.append(connections.finish(line, name, address, actor))

    if paste or not is_loopback(redirect):
        _invite(connections.begin(line, name, redirect), redirect)
        answer(click.prompt("The address that the browser was sent to").strip())
    else:
        _listen(line, name, redirect, answer)
    _tell(connected[0])


def _listen(line: Line, name: str, redirect: str, answer: connections.Answer) -> None:
    connections.connecting(line, name)
    try:
        listener = Listener(redirect, answer)
    except (OSError, ValueError):
        fail(f"connectors: {redirect} cannot be listened on - choose another --port, or --paste")
    with listener:
        _invite(connections.begin(line, name, redirect), redirect)
        click.echo("Waiting for the browser to come back ...")
        came = listener.wait(LIFE.total_seconds())
    if listener.problem is not None:
        raise listener.problem
    if not came:
        fail(f"{name}: no answer within {int(LIFE.total_seconds() // 60)} minutes - begin again")


def _invite(address: str, redirect: str) -> None:
    click.echo(f"Register {redirect} as a redirect address of your app, then open:\n\n{address}\n")


def _tell(connected: Connected) -> None:
    name = connected.name
    click.echo(f"{name} is connected; what waited for it goes on.")
    for setting, value in connected.agree.items():
        click.echo(one_line(f"  {setting}: {value} - as in workspace.yaml"))
    for setting, value in connected.to_write.items():
        click.echo(one_line(f'  write {setting}: "{value}" under {name} in workspace.yaml'))
    if connected.chosen is not None:
        account = connected.accounts[connected.chosen]
        click.echo(one_line(f"  {connected.chosen}: {account} - as in workspace.yaml"))
    elif connected.accounts:
        setting = ", ".join(connected.unnamed) or "its setting"
        click.echo(one_line(f"  write one of these as {setting} under {name} in workspace.yaml:"))
        for account_id, account in connected.accounts.items():
            click.echo(one_line(f'    "{account_id}"  {account}'))
    if connected.problem is not None:
        click.echo(one_line(f"  its accounts could not be listed: {connected.problem}"))
    click.echo(f"Then prove it with: flask connectors check {name}")


connectors.add_command(new_connector)
