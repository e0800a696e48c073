"""`flask sources`: what is supported, and what a recorded body says. Needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Any

import click

from connectors.registry import project_connectors
from console.commands.scaffold import new
from console.terminal import AS_JSON, fail, print_json, print_table
from console.texts import one_line
from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Reading
from webhooks.registry import sources as every_source
from webhooks.source import Source

_COLUMNS = ("kind", "subject", "on", "project", "item", "person", "seconds", "title")


@click.group()
def sources() -> None:
    """The tools that tell Billhook about work."""


@sources.command("list")
@AS_JSON
def list_sources(as_json: bool) -> None:
    """List the supported tools: what they tell, how they sign, what they are asked and told."""
    every = [_told_of(source) for source in every_source().values()]
    if as_json:
        print_json(every)
        return
    for told in every:
        poll = told["poll"]
        asked = [f"every {poll['seconds']} s for changes"] if poll["seconds"] else []
        asked += ["for the entries of a period"] if poll["entries"] else []
        click.echo(f"{told['key']}: {told['name']} - {told['docs_url']}")
        for name, text in (
            ("tells", ", ".join(told["kinds"])),
            ("signed", told["signature"] or "has no webhooks, it is only asked"),
            ("replay", told["replay"]),
            ("asked", ", ".join(asked) or "no"),
            ("told", told["write_back"] or "no"),
            ("proven", told["proven"]),
            ("reads", ", ".join(told["events"])),
        ):
            click.echo(f"  {name:<7} {text}")


def _told_of(source: Source) -> dict[str, Any]:
    connector = project_connectors().get(source.key)
    return {
        "key": source.key,
        "name": source.name,
        "docs_url": source.docs_url,
        "kinds": list(source.kinds),
        "signature": source.signature.scheme if source.signature else None,
        "replay": source.replay,
        "poll": {
            "seconds": connector.poll_seconds if connector and connector.polls else None,
            "entries": bool(connector and connector.lists_entries),
        },
        "write_back": connector.tells if connector else None,
        "proven": source.proven,
        "events": sorted(source.readers),
        "ignored": dict(sorted(source.ignored.items())),
    }


@sources.command("read")
@click.argument("tool")
@click.argument("file", type=click.File("rb"))
@click.option("--header", "headers", multiple=True, metavar="'K: V'", help="A header it came with.")
@click.option("--endpoint", help="The endpoint's name in the events; the tool's key if not given.")
@AS_JSON
def read(
    tool: str, file: IO[bytes], headers: Sequence[str], endpoint: str | None, as_json: bool
) -> None:
    """Show the events in a recorded body: FILE, or - for standard input.

    What is ignored gives no events, and the reason on standard error.
    """
    source = every_source().get(tool)
    if source is None:
        known = ", ".join(every_source())
        raise click.BadParameter(f'"{tool}" is not supported - use one of {known}')
    delivery = Delivery(
        headers=dict(_header(header) for header in headers),
        body=file.read(),
        received_at=datetime.now(UTC),
        endpoint=source.key if endpoint is None else endpoint,
    )
    try:
        reading = source.normalize(delivery)
    except PayloadError as error:
        fail(f"{source.key}: {error}")
    except UnsupportedEventTypeError as error:
        fail(str(error))
    if reading.ignored is not None:
        click.echo(one_line(f"{source.key}: ignored: {reading.ignored}"), err=True)
    for about in reading.asks:
        told = f"{source.key}: only says that {about} changed: the tool is asked about it"
        click.echo(one_line(told), err=True)
    if as_json:
        print_json([event.as_json() for event in reading.events])
        return
    _print_reading(reading)


def _header(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f'"{header}" is no header - write it as "Name: value"')
    return name.strip().lower(), value.strip()


def _print_reading(reading: Reading) -> None:
    if reading.events:
        rows = [[event.as_json()[column] for column in _COLUMNS] for event in reading.events]
        print_table(_COLUMNS, rows, empty="no events")
    for fact in reading.facts:
        told = (fact.project, fact.item, fact.title)
        click.echo(one_line(f"remembered of {fact.about}: {', '.join(filter(None, told))}"))


sources.add_command(new)
