"""YAML read as text with positions: what the admin typed, and where. Called by `book.py`.

Nothing is interpreted here: `no`, `012`, `12:30` and `120.00` keep their spelling. What makes
YAML dangerous or ambiguous (aliases, tags, merge keys, duplicate keys) is refused.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import yaml

MOST_BYTES: Final = 256 * 1024
MOST_NODES: Final = 20_000
MOST_DEPTH: Final = 20
MOST_REFUSALS: Final = 100
"""How many anchors, aliases and double words are named, before a file is read no further."""


class Place(NamedTuple):
    """Where something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def seen_from(self, other: Place) -> str:
        """Return how a message at another place names this one: "line 12", or with its file."""
        return f"line {self.line}" if self.file == other.file else str(self)


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it was typed. `is_plain` is False if it stood in quotes or in a block."""

    at: Place
    text: str
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    at: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Words and their values, in the order of the file; no word stands twice."""

    at: Place
    entries: tuple[tuple[Text, Node], ...]


Node = Text | Items | Table


@dataclass(slots=True)
class Mistakes:
    """Collects every mistake of every file. `inside` narrows the words that say where."""

    found: list[tuple[Place, str]] = field(default_factory=list)
    trail: tuple[str, ...] = ()

    def add(self, at: Place, problem: str) -> None:
        """Note one mistake: what is wrong and what to do."""
        where = ", ".join(self.trail)
        self.found.append((at, _printable(f"{where}: {problem}" if where else problem)))

    def inside(self, *words: str) -> Mistakes:
        """Return the same collection, with more words to say where a mistake is."""
        return Mistakes(self.found, (*self.trail, *(word[:80] for word in words)))

    def lines(self) -> list[str]:
        """Return one line a mistake, by file and position, none twice."""
        ordered = sorted(set(self.found))
        return [
            f"{_printable(at.file)}:{at.line}:{at.column}: {problem}" for at, problem in ordered
        ]


def quoted(text: str) -> str:
    """Return a piece of a file as it may be shown in a message: short, on one line, printable."""
    shown = _printable(text)
    return f'"{shown[:60]}..."' if len(shown) > 60 else f'"{shown}"'


def odd_letters(text: str) -> str:
    """Return which letter of a text looks like another or cannot be seen; "" if none does.

    Such letters come in by copying: a Cyrillic letter or a space without width is no mistake
    that anybody sees.
    """
    for number, letter in enumerate(text, 1):
        if letter.isascii() and letter.isprintable():
            continue
        name = unicodedata.name(letter, "a control character")
        if not letter.isprintable():
            return f"character {number} cannot be seen, it is {name} - type the text anew"
        if not name.startswith("LATIN"):
            return f"character {number} is {name} - type the text anew"
    return ""


def _printable(text: str) -> str:
    """Return a text that neither moves a terminal's cursor nor breaks the line."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def suggestion(wrong: str, known: Iterable[str], *, likeness: int = 60) -> str:
    """Return ` - did you mean "unit_price"?`, or what is known if nothing is near.

    `likeness` is how near a word must be to be meant, in percent.
    """
    choices = sorted(known)
    near = difflib.get_close_matches(wrong[:60], choices, n=1, cutoff=likeness / 100)
    if near:
        return f' - did you mean "{near[0]}"?'
    if not choices:
        return ""
    return " - known here: " + ", ".join(choices[:25]) + (", ..." if len(choices) > 25 else "")


class _Stop(Exception):
    """Reading on makes no sense; the mistake is noted already."""


def read(name: str, text: str, mistakes: Mistakes) -> Table | None:
    """Return the table that a file holds; None if it cannot be read, with the mistakes noted."""
    start = Place(name, 1, 1)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        mistakes.add(start, "holds characters that are no Unicode text - save the file as UTF-8")
        return None
    if size > MOST_BYTES:
        mistakes.add(start, f"longer than {MOST_BYTES // 1024} KiB - split it into several files")
        return None
    text = text.removeprefix("\ufeff")
    try:
        return _Reader(name, text, mistakes).document()
    except _Stop:
        return None
    except yaml.reader.ReaderError as error:
        at = _place_of(name, text, error.position)
        mistakes.add(at, "a character that YAML does not allow - delete it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "quoted scalar" in (error.context or "") and error.context_mark:
            # Where the quotation mark was opened says more than where the file ends.
            mark = error.context_mark
        at = Place(name, mark.line + 1, mark.column + 1) if mark else start
        mistakes.add(at, _syntax(text, at, error.problem or error.context or "broken off"))
    return None


def _place_of(name: str, text: str, position: int) -> Place:
    """Return where a byte position of the UTF-8 text stands."""
    before = text.encode()[: max(position, 0)].decode(errors="ignore")
    return Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax(text: str, at: Place, problem: str) -> str:
    """Return a parser's complaint in words that say what to do."""
    lines = text.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "a tab at the start of the line - indent with spaces"
    if "${" in line and "did not find expected" in problem:
        return 'between brackets or braces, ${NAME} needs quotes - write "${NAME}"'
    if "alias" in problem or "alphabetic or numeric" in problem:
        return 'a value that starts with * or & - put it in quotes: "*"'
    if "mapping values are not allowed" in problem:
        return "a second colon, or a wrong indentation - put texts that hold a colon in quotes"
    if "cannot start any token" in problem:
        return "a value may not start like this - put it in quotes"
    if "quoted scalar" in problem or "unexpected end of stream" in problem:
        return "a quotation mark is opened and never closed - close it"
    return f"cannot be read as YAML ({problem}) - check indentation, brackets and quotes"


class _Reader:
    """Builds nodes from the parser's event stream, so that limits hold before memory is used."""

    def __init__(self, name: str, text: str, mistakes: Mistakes) -> None:
        self._name = name
        self._start = Place(name, 1, 1)
        self._mistakes = mistakes
        self._before = len(mistakes.found)
        self._nodes = 0
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)

    def document(self) -> Table | None:
        """Return the one table that a file has to be."""
        next(self._events)  # The stream starts.
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            self._mistakes.add(self._start, "is empty - see docs/mapping.md for what belongs here")
            return None
        node = self._node(next(self._events), 0)
        next(self._events)  # The document ends.
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._mistakes.add(self._at(after), "a second document (---) - one file holds one")
            return None
        if not isinstance(node, Table):
            self._mistakes.add(node.at, 'must be "word: value" lines - see docs/mapping.md')
            return None
        return node

    def _at(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._name, mark.line + 1, mark.column + 1) if mark else self._start

    def _node(self, event: yaml.Event, depth: int) -> Node:
        at = self._at(event)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._mistakes.add(at, f"more than {MOST_NODES} values - split it into several files")
            raise _Stop
        if len(self._mistakes.found) - self._before >= MOST_REFUSALS:
            self._mistakes.add(at, "too many mistakes to name them all - correct these first")
            raise _Stop
        if depth > MOST_DEPTH:
            self._mistakes.add(at, f"nested deeper than {MOST_DEPTH} levels - check the brackets")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            alias = f"*{event.anchor}"
            problem = f"a YAML alias ({quoted(alias)}) is not allowed"
            self._mistakes.add(at, f"{problem} - put it in quotes if a wildcard is meant")
            return Text(at, alias)
        if getattr(event, "anchor", None) is not None:
            self._mistakes.add(at, 'a YAML anchor is not allowed - put a text with "&" in quotes')
        if getattr(event, "tag", None) is not None:
            self._mistakes.add(at, 'a YAML tag is not allowed - put a text with "!" in quotes')
        if isinstance(event, yaml.ScalarEvent):
            return Text(at, event.value, is_plain=event.style is None or event.style == "")
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(at, tuple(self._items(depth)))
        return Table(at, tuple(self._entries(depth)))

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Text):
                self._mistakes.add(key.at, "a list or table cannot be a word - check the brackets")
            elif key.is_plain and key.text == "<<":
                self._mistakes.add(key.at, "the merge key << is not allowed - write the values out")
            elif key.text in seen:
                first = seen[key.text]
                problem = f"{quoted(key.text)} stands here twice, first in line {first.line}"
                self._mistakes.add(key.at, f"{problem} - keep one of them")
            else:
                seen[key.text] = key.at
                yield key, value
