"""Shapes that a value in a rule file may have: each one checks and describes itself.

A shape is declared once in `words.py`; `checking.py` reads nodes with it and `schema.py` prints it
as JSON Schema for editors, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from .reading import Items, Mistakes, Node, Place, Table, Text, odd_letters, quoted, suggestion


class Bad:
    """The value of a node with a mistake in it; the mistake is noted already."""


BAD: Final = Bad()

MOST_UNKNOWN: Final = 20
"""How many unknown words of one table are named one by one."""


class Shape(Protocol):
    """What a value may look like."""

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        """Return the value, or `BAD` with at least one mistake noted."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the value."""
        ...


@dataclass(frozen=True, slots=True)
class Phrase:
    """One value on one line, understood by a function that raises ValueError with what to do."""

    is_a: str
    """What belongs here, in words: "a day like 2026-01-31"."""
    understand: Callable[[str], Any] = str
    pattern: str | None = None
    """A regular expression for editors; `understand` decides."""
    most: int = 200
    is_secret: bool = False
    """A wrong value is not shown in the message."""
    may_be_lines: bool = False
    suggests: Mapping[str, str] = field(default_factory=dict)
    """What an editor offers, each with its meaning; other values are allowed, too."""

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        if not isinstance(node, Text):
            found = "a list" if isinstance(node, Items) else "a table"
            hint = f"write {self.is_a}, in quotes if it has brackets or braces"
            mistakes.add(node.at, f"{found} cannot stand here - {hint}")
            return BAD
        text = node.text.strip()
        if problem := self._unfit(text, node):
            mistakes.add(node.at, problem)
            return BAD
        try:
            return self.understand(text)
        except ValueError as error:
            shown = "this value" if self.is_secret else quoted(text)
            odd = "" if self.is_secret else odd_letters(text)
            why = f": {odd}" if odd else error
            mistakes.add(node.at, f"{shown} is not {self.is_a}{why}")
            return BAD

    def _unfit(self, text: str, node: Text) -> str | None:
        """Return what is wrong with a text whatever it should mean."""
        if not text:
            return f"has no value - write {self.is_a}, or leave the word out"
        if node.is_plain and text in ("~", "null", "Null", "NULL"):
            return f"{text} is no value here - write {self.is_a}, or leave the word out"
        if len(text) > self.most:
            return f"is longer than {self.most} characters - shorten it"
        lines = text.split("\n") if self.may_be_lines else [text]
        if not all(line.isprintable() for line in lines):
            return "holds a line break or an invisible character - write it on one line"
        return None

    def schema(self) -> dict[str, Any]:
        # An editor takes `012` and `4500.00` for numbers, so both are allowed everywhere.
        described: dict[str, Any] = {"type": ["string", "number"]}
        if self.pattern:
            described["pattern"] = self.pattern
        if self.suggests:
            return {"anyOf": [OneOf(self.suggests).schema(), described]}
        return described


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few fixed words, each with its meaning."""

    choices: Mapping[str, str]

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        phrase = Phrase(f"one of: {', '.join(self.choices)}", self._chosen)
        return phrase.read(node, mistakes)

    def _chosen(self, text: str) -> str:
        if text not in self.choices:
            near = suggestion(text, self.choices)
            raise ValueError(near if "did you mean" in near and len(self.choices) > 1 else "")
        return text

    def schema(self) -> dict[str, Any]:
        # `format: 1` is a number to an editor and a text to us.
        numbers = {int(choice): told for choice, told in self.choices.items() if choice.isdecimal()}
        # Editors show the meanings beside the choices; JSON Schema itself has no word for them.
        meanings = [*self.choices.values(), *numbers.values()]
        return {"enum": [*self.choices, *numbers], "enumDescriptions": meanings}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; one value alone counts as a list of one, unless `needs_brackets`."""

    shape: Shape
    needs_brackets: bool = False
    least: int = 1

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        if not isinstance(node, Items):
            if self.needs_brackets:
                mistakes.add(node.at, "must be a list - start each entry with a dash")
                return BAD
            only = self.shape.read(node, mistakes)
            return BAD if only is BAD else (only,)
        if len(node.items) < self.least:
            mistakes.add(node.at, "the list is empty - write at least one entry")
            return BAD
        values = [self.shape.read(item, mistakes) for item in node.items]
        return tuple(value for value in values if value is not BAD) or BAD

    def schema(self) -> dict[str, Any]:
        item = self.shape.schema()
        several = {"type": "array", "items": item, "minItems": self.least}
        return several if self.needs_brackets else {"anyOf": [item, several]}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a table: the shape of its value, and its meaning for people."""

    shape: Shape
    help: str
    required: bool = False
    names_entries: bool = False
    """Each entry names itself in messages: `rule "Travel"` says more than `rules`."""
    is_own: bool = False
    """It says who the customer is or what was agreed with him: never in a shared file."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A table that was read: the good values by word, and where each stands."""

    at: Place
    values: Mapping[str, Any]
    places: Mapping[str, Place]
    is_whole: bool
    """Nothing is wrong or missing anywhere in it."""

    def __getitem__(self, word: str) -> Any:
        return self.values[word]

    def get(self, word: str, default: Any = None) -> Any:
        """Return the value of a word, or the default if it was not written or is wrong."""
        return self.values.get(word, default)

    def place(self, word: str) -> Place:
        """Return where the value of a word stands, or else the table."""
        return self.places.get(word, self.at)


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table of fixed words."""

    words: Mapping[str, Word]
    label: tuple[str, str] | None = None
    """(what it is, the word that names it): ("rule", "rule") makes `rule "Engineering hours"`."""
    open_words: Mapping[str, Word] = field(default_factory=dict)
    """By prefix: words whose end the admin chooses, like `fields.` for `fields.priority`."""
    others: Word | None = None
    """The shape of words that are not known here; None refuses them."""
    is_joined: bool = False
    """A customer's words are joined with those of a shared file one by one, not as a whole."""

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        # A table with mistakes is returned too, so that its good words are checked further.
        if not isinstance(node, Table):
            known = ", ".join(list(self.words)[:4])
            mistakes.add(
                node.at, f'must be a table of "word: value" lines - with words like {known}'
            )
            return BAD
        mistakes = self._named(node, mistakes)
        before = len(mistakes.found)
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        meant = {key.text for key, _ in node.entries}
        unknown = 0
        for key, child in node.entries:
            word = self._word(key.text)
            if word is None:
                unknown += 1
                if unknown > MOST_UNKNOWN:
                    continue
                hint = _hint(key.text, child, self._all_words())
                mistakes.add(key.at, f"unknown word {quoted(key.text)}{hint}")
                meant.update(name for name in self.words if f'"{name}"' in hint)
                continue
            inside = mistakes if word.names_entries else mistakes.inside(key.text)
            value = word.shape.read(child, inside)
            places[key.text] = child.at
            if value is not BAD:
                values[key.text] = value
        if unknown > MOST_UNKNOWN:
            told = f"{unknown - MOST_UNKNOWN} more unknown words"
            mistakes.add(node.at, f"{told} - see docs/mapping.md for what belongs here")
        for name, word in self.words.items():
            if word.required and name not in meant:
                mistakes.add(node.at, f'the word "{name}" is missing - {word.help}')
        return Filled(node.at, values, places, is_whole=len(mistakes.found) == before)

    def _word(self, name: str) -> Word | None:
        if name in self.words:
            return self.words[name]
        for prefix, word in self.open_words.items():
            if name.startswith(prefix) and name != prefix:
                return word
        return self.others

    def _all_words(self) -> list[str]:
        return [*self.words, *(f"{prefix}..." for prefix in self.open_words)]

    def _named(self, node: Table, mistakes: Mistakes) -> Mistakes:
        """Return the mistakes with the table's own name in the words that say where."""
        if self.label is None:
            return mistakes
        what, naming = self.label
        for key, value in node.entries:
            if key.text == naming and isinstance(value, Text):
                return mistakes.inside(f"{what} {quoted(value.text)}")
        return mistakes.inside(what)

    def schema(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "type": "object",
            "properties": {name: _described(word) for name, word in self.words.items()},
            "additionalProperties": _described(self.others) if self.others else False,
        }
        if required := [name for name, word in self.words.items() if word.required]:
            described["required"] = required
        if self.open_words:
            described["patternProperties"] = {
                f"^{prefix.replace('.', '[.]')}.+": _described(word)
                for prefix, word in self.open_words.items()
            }
        return described


def _hint(unknown: str, value: Node, known: list[str]) -> str:
    if odd := odd_letters(unknown):
        near = suggestion(unknown, known)
        return f": {odd}" + (near.replace(" - ", "; ", 1) if "did you mean" in near else "")
    if unknown.isdecimal():
        return " - write decimals with a point: 80.00"
    if " " in unknown and isinstance(value, Text) and value.is_plain and not value.text:
        # Between braces, what stands behind a comma is a word of its own.
        return " - put the whole text in quotes if this belongs to it"
    return suggestion(unknown, known)


def _described(word: Word) -> dict[str, Any]:
    told = word.help
    if isinstance(word.shape, Phrase) and not word.shape.is_a.startswith("a text"):
        told += f" - write {word.shape.is_a}"
    return {"description": told, **word.shape.schema()}


@dataclass(frozen=True, slots=True)
class Named:
    """A table whose words the admin chooses: endpoints, connectors, accounts, fields."""

    name: Phrase
    value: Shape
    what: str
    """What each entry is, to say where a mistake is: "source"."""

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        if not isinstance(node, Table):
            mistakes.add(
                node.at, f'must be a table of "name: value" lines, one for each {self.what}'
            )
            return BAD
        values: dict[str, tuple[Place, Any]] = {}
        for key, child in node.entries:
            inside = mistakes.inside(f"{self.what} {quoted(key.text)}")
            name = self.name.read(key, inside)
            value = self.value.read(child, inside)
            if name is not BAD and value is not BAD:
                values[str(name)] = (key.at, value)
        return values

    def schema(self) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "object", "additionalProperties": self.value.schema()}
        if self.name.pattern:
            described["propertyNames"] = {"pattern": self.name.pattern}
        return described


@dataclass(frozen=True, slots=True)
class WordOr:
    """A fixed word, or else a table: `bill: nothing`, `expect: hold`."""

    choices: Mapping[str, str]
    table: TableOf

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        if isinstance(node, Text):
            return OneOf(self.choices).read(node, mistakes)
        return self.table.read(node, mistakes)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [OneOf(self.choices).schema(), self.table.schema()]}


@dataclass(frozen=True, slots=True)
class PhraseOr:
    """One value, or a table that says more: `unit_price: 0.10`, `unit_price: {volume: ...}`."""

    phrase: Phrase
    table: TableOf

    def read(self, node: Node, mistakes: Mistakes) -> Any:
        return (self.phrase if isinstance(node, Text) else self.table).read(node, mistakes)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.phrase.schema(), self.table.schema()]}
