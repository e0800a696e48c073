"""A contract as it is after sharing, each value with the place where it was written.

Called by `flask rules show`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .reading import Items, Node, Place, Table, Text

_COLUMN: Final = 60
"""Where the places begin, if the line is not longer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One value of a contract."""

    path: str
    """Words and positions from 1: `rules.2.bill.quantity`."""
    text: str
    at: Place

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        place = {"file": self.at.file, "line": self.at.line, "column": self.at.column}
        return {"path": self.path, "value": self.text, **place}


def origins(node: Node, path: str = "") -> Iterator[Origin]:
    """Yield every value below a node, in order, with where it was written."""
    if isinstance(node, Text):
        yield Origin(path, node.text, node.at)
        return
    for name, child in _children(node):
        yield from origins(child, f"{path}.{name}" if path else name)


def printed(node: Table) -> Iterator[str]:
    """Yield a contract as lines of YAML, with `# file:line` behind every value.

    Read again, they are the same words and values.
    """
    for text, at in _lines(node, ""):
        yield f"{text.ljust(_COLUMN)}  # {at}" if at else text


def _children(node: Items | Table) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Items):
        yield from ((str(number), item) for number, item in enumerate(node.items, 1))
    else:
        yield from ((key.text, value) for key, value in node.entries)


def _lines(node: Node, indent: str) -> Iterator[tuple[str, Place | None]]:
    if isinstance(node, Table):
        for key, value in node.entries:
            yield from _beside(f"{indent}{_spelled(key)}:", value, indent + "  ")
    elif isinstance(node, Items):
        for item in node.items:
            if isinstance(item, Text) or not list(_children(item)):
                yield from _beside(f"{indent}-", item, indent + "  ")
                continue
            first, *others = _lines(item, indent + "  ")
            yield f"{indent}- {first[0].lstrip()}", first[1]
            yield from others


def _beside(start: str, value: Node, indent: str) -> Iterator[tuple[str, Place | None]]:
    """Yield what begins a line, with its value on the same line where it is a single one."""
    if isinstance(value, Text):
        yield f"{start} {_spelled(value)}", value.at
    elif not list(_children(value)):
        yield f"{start} {'[]' if isinstance(value, Items) else '{}'}", value.at
    else:
        yield start, None
        yield from _lines(value, indent)


def _spelled(text: Text) -> str:
    """Return a value as it may stand in YAML: as it was typed if it stood without quotes."""
    if text.is_plain and text.text.isprintable():
        return text.text
    # JSON's quotes are YAML's; no character in them moves a terminal's cursor.
    letters = json.dumps(text.text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in letters)
