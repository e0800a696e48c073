"""`flask sources new`: a folder to begin a new tool with, copied from a source that lives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

import webhooks
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
        _register(root / "registry.py", name)
    except OSError as error:
        fail(f"{folder}: cannot be written ({error.strerror}) - do this in a checkout of Billhook")
    click.echo(_STEPS.format(folder=folder.relative_to(root.parent), key=name))


def class_of(name: str) -> str:
    """Return the class name of a source.

    >>> class_of("acme_tracker")
    'AcmeTrackerSource'
    """
    return "".join(word.capitalize() for word in name.split("_")) + "Source"


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


def _register(registry: Path, name: str) -> None:
    text = registry.read_text(encoding="utf-8")
    made = class_of(name)
    imports = re.findall(r"^from \.\w+\.source import \w+$", text, re.MULTILINE)
    entries = re.findall(r"^        \w+\(\),$", text, re.MULTILINE)
    for lines, added in (
        (imports, f"from .{name}.source import {made}"),
        (entries, f"        {made}(),"),
    ):
        after = max((line for line in lines if line < added), default=None)
        if after is None:
            text = text.replace(lines[0], f"{added}\n{lines[0]}", 1)
        else:
            text = text.replace(f"{after}\n", f"{after}\n{added}\n", 1)
    registry.write_text(text, encoding="utf-8")
