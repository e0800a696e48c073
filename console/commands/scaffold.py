"""`flask sources new`, `flask connectors new`: a folder to begin with, a copy of one that lives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

import connectors
import webhooks
from connectors.registry import billing_connectors, project_connectors
from console.terminal import fail
from webhooks.registry import sources as every_source

MODEL: Final = "generic"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_STEPS: Final = """\
{folder} is a copy of the generic source and registered. Now make it the tool's own:
  1. payloads/: record deliveries, one file for each event type, and say what is expected
  2. source.py: name, docs_url, signature, signed_example, readers, ignored
  3. README.md: how to connect it, what is read, how far it is proven
`pytest tests/contracts/test_sources.py -k {key}` says what is missing; docs/adding-a-source.md
walks through it.\
"""


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Begin a new source: copy the generic one as NAME and register it.

    For people who work on Billhook itself, in a checkout.
    """
    if not _NAME.fullmatch(name) or name in every_source():
        known = ", ".join(every_source())
        raise click.BadParameter(
            f'"{name}" cannot be a new source - use small letters, digits and _, none of {known}'
        )
    root = Path(next(iter(webhooks.__path__)))
    folder = root / name
    try:
        _copy(root / MODEL, folder, name)
        made = class_of(name)
        _register(
            root / "registry.py",
            f"from .{name}.source import {made}",
            f"        {made}(),",
            entries=r"^    every: .*?^    \)",
        )
    except OSError as error:
        fail(f"{folder}: cannot be written ({error.strerror}) - do this in a checkout of Billhook")
    click.echo(_STEPS.format(folder=folder.relative_to(root.parent), key=name))


def class_of(name: str, kind: str = "Source") -> str:
    """Return the class name of a source or a connector.

    >>> class_of("acme_tracker"), class_of("acme_books", "Connector")
    ('AcmeTrackerSource', 'AcmeBooksConnector')
    """
    return "".join(word.capitalize() for word in name.split("_")) + kind


def _copy(model: Path, folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / "payloads").mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    code = (model / "source.py").read_text(encoding="utf-8")
    for old, fresh in (
        (class_of(MODEL), class_of(name)),
        (f'"{MODEL}"', f'"{name}"'),
        ('name = "Any script"', f'name = "{name.replace("_", " ").title()}"'),
    ):
        code = code.replace(old, fresh)
    # What only its author can know is left open; the contract asks for it.
    code = re.sub(r'    (replay|proven) = (?:".*"|\((?:.|\n)*?\n    \))\n', r'    \1 = ""\n', code)
    (folder / "source.py").write_text(code, encoding="utf-8")
    types = "\n".join(f"| `{each}` | |" for each in every_source()[MODEL].readers)
    (folder / "README.md").write_text(_README.format(name=name, types=types), encoding="utf-8")
    for payload in sorted((model / "payloads").glob("*.json")):
        text = payload.read_text(encoding="utf-8").replace(f'"{MODEL}"', f'"{name}"')
        text = re.sub(r'"origin": ".*"', '"origin": "copied, to be replaced"', text, count=1)
        (folder / "payloads" / f"{MODEL}-{payload.name}").write_text(text, encoding="utf-8")


_README: Final = """\
# {name}

How the admin connects it: which page, which address, which secret, which events.

| event type | gives |
|---|---|
{types}

## How far it is proven
"""


CONNECTOR_MODEL: Final = "file"
_CONNECTOR_STEPS: Final = """\
{folder} is a copy of the connector that writes files, registered, and it works. Now make it the \
system's own, the contract passing all the way:
  1. stand_in.py: a small stateful server that behaves as the vendor documents
  2. connector.py: name, docs_url, settings, abilities, then one method after the other
  3. README.md: settings, how a draft is pushed, how far it is proven; a row in the README's table
  4. {test}: what the contract does not cover
`pytest tests/contracts -k {key}` says what is missing; docs/adding-a-connector.md explains it.\
"""


@click.command("new")
@click.argument("name")
def new_connector(name: str) -> None:
    """Begin a new connector: copy the one that writes files as NAME and register it.

    For people who work on Billhook itself, in a checkout.
    """
    known = (*billing_connectors(), *project_connectors())
    if not _NAME.fullmatch(name) or name in known:
        raise click.BadParameter(
            f'"{name}" cannot be a new connector - use small letters, digits and _, none of '
            f"{', '.join(known)}"
        )
    root = Path(next(iter(connectors.__path__)))
    folder, test = root / name, Path("tests/connectors") / f"test_{name}.py"
    made = class_of(name, "Connector")
    try:
        _copy_connector(root / CONNECTOR_MODEL, folder, name)
        tests = root.parent / test
        tests.parent.mkdir(parents=True, exist_ok=True)
        tests.write_text(_CONNECTOR_TEST.format(key=name, made=made), encoding="utf-8")
        _register(
            root / "registry.py",
            f"from .{name}.connector import {made}",
            f"    {made}.key: {made},",
            entries=r"^BILLING: .*?^}",
        )
    except OSError as error:
        fail(f"{folder}: cannot be written ({error.strerror}) - do this in a checkout of Billhook")
    click.echo(_CONNECTOR_STEPS.format(folder=folder.relative_to(root.parent), test=test, key=name))


def _copy_connector(model: Path, folder: Path, name: str) -> None:
    folder.mkdir()
    made, title = class_of(name, "Connector"), name.replace("_", " ").title()
    for source in sorted(model.glob("*.py")):
        code = source.read_text(encoding="utf-8")
        for old, fresh in (
            (class_of(CONNECTOR_MODEL, "Connector"), made),
            (f'"{CONNECTOR_MODEL}"', f'"{name}"'),
            (f'"{CONNECTOR_MODEL}: ', f'"{name}: '),
            (f"'{CONNECTOR_MODEL}: ", f"'{name}: "),
            ('name = "Files in a folder"', f'name = "{title}"'),
        ):
            code = code.replace(old, fresh)
        (folder / source.name).write_text(code, encoding="utf-8")
    settings = "\n".join(
        f"| `{each.name}` | {each.help} |"
        for each in billing_connectors()[CONNECTOR_MODEL].settings
    )
    readme = _CONNECTOR_README.format(title=title, settings=settings)
    (folder / "README.md").write_text(readme, encoding="utf-8")


_CONNECTOR_README: Final = """\
# {title}

What it is, and what stands for a draft there.

## Settings

| setting | what it is |
|---|---|
{settings}

## How far it is proven

Not at all: it is a copy of the connector that writes files.
"""
_CONNECTOR_TEST: Final = '''\
"""What the shared contract does not say about this connector."""

from __future__ import annotations

from pathlib import Path

from connectors.{key}.connector import {made}
from connectors.{key}.stand_in import contract_setup
from tests.contracts.spoiled_http import NoHttp


def test_the_check_names_the_account(tmp_path: Path) -> None:
    connector = contract_setup(tmp_path).connect(NoHttp())
    assert isinstance(connector, {made})
    assert connector.check()
'''


def _register(registry: Path, imported: str, entry: str, *, entries: str) -> None:
    """Write two lines into a registry, each where the alphabet has it."""
    text = registry.read_text(encoding="utf-8")
    text = _inserted(text, imported, re.findall(r"^from \.\w+\.\w+ import \w+$", text, re.M))
    (block,) = re.findall(entries, text, re.M | re.S)
    told = [line for line in block.splitlines() if line.startswith(" ") and line.endswith(",")]
    registry.write_text(text.replace(block, _inserted(block, entry, told)), encoding="utf-8")


def _inserted(text: str, added: str, lines: list[str]) -> str:
    after = max((line for line in lines if line < added), default=None)
    if after is None:
        return text.replace(lines[0], f"{added}\n{lines[0]}", 1)
    return text.replace(f"{after}\n", f"{after}\n{added}\n", 1)
