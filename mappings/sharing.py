"""Shared files: what several customers extend, joined with each customer's own words.

Joined are nodes, before anything is checked: every value keeps the file, line and column where
it was written, so mistakes, line items and `flask rules show` name the file that says it.
Called by `book.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from . import words
from .reading import Items, Mistakes, Node, Place, Table, Text, quoted, suggestion
from .shapes import ListOf, Named, Shape, TableOf

_SHARED: Final = "shared"
_EXTENDS: Final = "extends"
_OF_THE_FILE: Final = ("format", _SHARED, _EXTENDS)
_ONE_VALUE: Final = ("order", "payment_methods", "approvers")
"""Lists that say one thing as a whole: half of another file's makes no sense of them."""
"""What a file says of itself: it is not joined."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A customer's file, joined with all that it extends."""

    file: str
    """The customer's own file."""
    key: str
    """The customer's key as written, or else the name of the file."""
    table: Table
    shared: tuple[str, ...] = ()
    """The shared files in it, nearest first."""
    is_whole: bool = True
    """All that it extends is there, so what no file says is said nowhere."""


def is_shared(table: Table) -> bool:
    """Return whether a file says that it is a shared one."""
    return _value(table, _SHARED) is not None


@dataclass(slots=True)
class SharedFiles:
    """All shared files of one version, by the name that customers extend."""

    by_name: Mapping[str, Table]
    alone: Mistakes
    """What is wrong with them whoever extends them."""
    are_all: bool = True
    """Every file could be read, so a name that is not here is nowhere."""
    extended: set[str] = field(default_factory=set)
    """The names that some customer extends."""

    @classmethod
    def of(cls, tables: Iterable[Table], *, are_all: bool = True) -> SharedFiles:
        """Return the shared files, with their mistakes noted."""
        mistakes = Mistakes()
        by_name: dict[str, Table] = {}
        for table in tables:
            usable = _without_own_words(table, mistakes)
            filled = words.SHARED.read(usable, mistakes)
            name = filled.get(_SHARED)
            if name is None:
                continue
            first = by_name.setdefault(name, usable)
            if first is not usable:
                problem = f'shared: "{name}" is a file already, {first.at.file}'
                mistakes.add(filled.place(_SHARED), f"{problem} - call them differently")
        found = cls(by_name, mistakes, are_all)
        for name, table in by_name.items():
            found._check_extends(table, mistakes, name)
        return found

    def contract(self, table: Table, mistakes: Mistakes) -> Contract:
        """Return a customer's file joined with all that it extends, nearest first."""
        self._check_extends(table, mistakes)
        near = list(self._reached(table))
        named = [table, *(self.by_name[name] for name in near)]
        is_whole = all(text.text.strip() in near for each in named for text in _extends(each))
        self.extended.update(near)
        files = [self.by_name[name] for name in near]
        for other in files:
            table = joined(table, other, mistakes)
        key = _value(table, "customer")
        return Contract(
            file=table.at.file,
            key=key.text.strip() if isinstance(key, Text) else table.at.file,
            table=table,
            shared=tuple(other.at.file for other in files),
            is_whole=is_whole,
        )

    def unused(self) -> Iterator[tuple[str, Table]]:
        """Yield name and table of the shared files that no customer extends."""
        return ((name, self.by_name[name]) for name in self.by_name.keys() - self.extended)

    def _reached(self, table: Table) -> Iterator[str]:
        """Yield what a file extends and what that extends in turn: depth first, each once."""
        seen: set[str] = set()
        waiting = [text.text.strip() for text in reversed(_extends(table))]
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.by_name:
                continue
            seen.add(name)
            yield name
            waiting += [text.text.strip() for text in reversed(_extends(self.by_name[name]))]

    def _comes_back(self, name: str, itself: str) -> bool:
        return itself in self._reached(self.by_name[name])

    def _check_extends(self, table: Table, mistakes: Mistakes, itself: str | None = None) -> None:
        """Note names of no shared file, and files that come back to themselves."""
        mistakes = mistakes.inside(_EXTENDS)
        seen: set[str] = set()
        for text in _extends(table):
            name = text.text.strip()
            if name not in self.by_name and self.are_all:
                problem = f"no shared file begins with shared: {quoted(name)}"
                mistakes.add(text.at, problem + _known(name, self.by_name))
            elif name in seen:
                mistakes.add(text.at, f"{quoted(name)} stands here twice - keep one of them")
            elif name == itself:
                mistakes.add(text.at, "a file cannot extend itself - take its name out")
            elif itself and name in self.by_name and self._comes_back(name, itself):
                problem = f"{quoted(name)} extends this file in turn"
                mistakes.add(text.at, f"{problem} - take one of the two out")
            seen.add(name)


def contracts(tables: Sequence[Table], shared: SharedFiles) -> Iterator[tuple[Contract, Mistakes]]:
    """Yield every customer's contract, with the mistakes that joining it has found."""
    for table in tables:
        if not is_shared(table):
            found = Mistakes()
            yield shared.contract(table, found), found


def joined(own: Table, other: Table, mistakes: Mistakes) -> Table:
    """Return the words of two files together; where both say one word, what it is decides.

    Lists and named entries are put together, the own ones first, but for those of `_ONE_VALUE`; of
    anything else the own value stays. Two entries of one name (two rules) are a mistake.
    """
    entries = {key.text: (key, value) for key, value in own.entries}
    for key, value in other.entries:
        word = words.SHARED.words.get(key.text)
        if word is None or key.text in _OF_THE_FILE:
            # An unknown word is a mistake that is noted already.
            continue
        if key.text in entries and key.text not in _ONE_VALUE:
            kept, first = entries[key.text]
            entries[key.text] = (kept, _together(word.shape, first, value, mistakes))
        else:
            entries.setdefault(key.text, (key, value))
    return Table(own.at, tuple(entries.values()))


def _together(shape: Shape, own: Node, other: Node, mistakes: Mistakes) -> Node:
    if isinstance(shape, ListOf):
        if shape.needs_brackets and not (isinstance(own, Items) and isinstance(other, Items)):
            # One of them is a mistake, told where it stands.
            return own
        added = _unnamed_before(shape.shape, _items(own), _items(other), mistakes)
        return Items(own.at, (*_items(own), *added))
    if isinstance(shape, Named) and isinstance(own, Table) and isinstance(other, Table):
        known = {key.text for key, _ in own.entries}
        more = (entry for entry in other.entries if entry[0].text not in known)
        return Table(own.at, (*own.entries, *more))
    if (
        isinstance(shape, TableOf)
        and shape.is_joined
        and isinstance(own, Table)
        and isinstance(other, Table)
    ):
        joined = dict(_by_word(own))
        for word, (key, value) in _by_word(other):
            if word in joined and word in shape.words:
                kept, first = joined[word]
                joined[word] = (kept, _together(shape.words[word].shape, first, value, mistakes))
            else:
                joined.setdefault(word, (key, value))
        return Table(own.at, tuple(joined.values()))
    return own


def _by_word(table: Table) -> Iterator[tuple[str, tuple[Text, Node]]]:
    return ((key.text, (key, value)) for key, value in table.entries)


def _unnamed_before(
    shape: Shape, own: Iterable[Node], other: Iterable[Node], mistakes: Mistakes
) -> Iterator[Node]:
    """Yield the entries of another file, without those whose name is taken; these are mistakes."""
    taken = {name: at for item in own for name, at in [_name_of(shape, item)] if name}
    for item in other:
        name, at = _name_of(shape, item)
        if name in taken:
            inside = mistakes.inside(f"{_naming(shape)} {quoted(name)}")
            problem = f"has the same name as the one in {taken[name].seen_from(at)}"
            inside.add(at, f"{problem} - call them differently")
        else:
            yield item


def _naming(shape: Shape) -> str:
    """Return the word by which entries name themselves: `rule:` of a rule; "" if none does."""
    if isinstance(shape, TableOf) and shape.label and shape.label[0] == shape.label[1]:
        return shape.label[0]
    return ""


def _name_of(shape: Shape, item: Node) -> tuple[str, Place]:
    naming = _naming(shape)
    value = _value(item, naming) if naming and isinstance(item, Table) else None
    return (value.text.strip() if isinstance(value, Text) else "", item.at)


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Items) else (node,)


def _extends(table: Table) -> list[Text]:
    value = _value(table, _EXTENDS)
    return [item for item in _items(value) if isinstance(item, Text)] if value else []


def _value(table: Table, word: str) -> Node | None:
    return next((value for key, value in table.entries if key.text == word), None)


def _without_own_words(table: Table, mistakes: Mistakes) -> Table:
    """Return a shared file without the words that are one customer's; each is a mistake."""
    kept = []
    for key, value in table.entries:
        word = words.CUSTOMER.words.get(key.text)
        if word and word.is_own:
            problem = f"{quoted(key.text)} belongs to one customer"
            mistakes.add(key.at, f"{problem} - write it in the customer's own file")
        else:
            kept.append((key, value))
    return Table(table.at, tuple(kept))


def _known(name: str, names: Iterable[str]) -> str:
    hint = suggestion(name, names)
    return hint or " - write one, or take the name out"


@dataclass(slots=True)
class Blame:
    """Says of mistakes in shared files with which customers they come up."""

    shared: Mistakes
    """What is wrong with shared files whoever extends them."""
    customers: dict[tuple[Place, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def sort(self, found: Mistakes, file: str, customer: str, into: Mistakes) -> None:
        """Note a customer's mistakes: those in his own file at once, the others under his name."""
        alone = set(self.shared.found)
        for at, problem in found.found:
            if at.file == file:
                into.found.append((at, problem))
            elif (at, problem) not in alone:
                self.customers[at, problem].append(customer)

    def tell(self, into: Mistakes) -> None:
        """Note each mistake of the shared files once, with the customers that it concerns."""
        into.found += self.shared.found
        for (at, problem), customers in self.customers.items():
            names = ", ".join(quoted(name) for name in customers[:3])
            more = f" and {len(customers) - 3} more" if len(customers) > 3 else ""
            into.inside(f"for customer {names}{more}").add(at, problem)
