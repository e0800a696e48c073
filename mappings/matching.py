"""Which customer takes an event, and which of its rules fits. Called by `pricing.py`.

Compiled once and indexed; the first rule that fits wins. Every comparison ignores case, and `*`
stands for any characters. A condition on something that is not known yet is neither true nor
false: the event waits, nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from ledger.events import Event

from .model import (
    BillableCondition,
    Condition,
    DayCondition,
    HolidayCondition,
    Person,
    Range,
    RangeCondition,
    TextCondition,
)
from .phrases import TIME_KINDS, WEEKDAYS

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:[.][0-9]{1,15})?(?:E[+-][0-9])?", re.ASCII)

Values = tuple[str, ...] | None
"""What an event says about a key, folded to one case; None: it is not known yet."""


@dataclass(slots=True)
class Seen:
    """An event as conditions see it. `person` is None if nobody of ours is known to have worked."""

    event: Event
    person: Person | None
    billable_when_not_said: str = "yes"
    _values: dict[str, Values] = field(default_factory=dict)

    def values(self, key: str) -> Values:
        """Return what the event says about a key of `when:`, () if nothing."""
        try:
            return self._values[key]
        except KeyError:
            look_up = _LOOK_UP.get(key)
            found = look_up(self) if look_up else _field_texts(self.event.fields, key)
            self._values[key] = found
            return found


def _told(text: str | None, seen: Seen) -> Values:
    """Return a text that a tool may tell later: events that name a thing by id are filled in."""
    if text is None:
        return None if seen.event.about else ()
    return (text.casefold(),)


def _of_person(text: str | None, seen: Seen) -> Values:
    if seen.person is None:
        is_missing = seen.event.person is None and seen.event.kind not in TIME_KINDS
        return () if is_missing else None
    return () if text is None else (text.casefold(),)


def activity_of(event: Event) -> str:
    """Return the kind of work, "" if the tool does not say.

    Tools that name an activity have it in `fields.activity`, those that book time on tasks of
    their own in `fields.task`.
    """
    for name in ("activity", "task"):
        told = event.fields.get(name)
        if isinstance(told, str) and told:
            return told
    return ""


_LOOK_UP: Final[Mapping[str, Callable[[Seen], Values]]] = {
    "event": lambda seen: (seen.event.kind,),
    "source": lambda seen: (seen.event.source.casefold(),),
    "endpoint": lambda seen: (seen.event.endpoint.casefold(),),
    "project": lambda seen: _told(seen.event.project, seen),
    "item": lambda seen: _told(seen.event.item, seen),
    "title": lambda seen: _told(seen.event.title, seen),
    "person": lambda seen: _of_person(seen.person.name if seen.person else None, seen),
    "role": lambda seen: _of_person(seen.person.role if seen.person else None, seen),
    "labels": lambda seen: tuple(label.casefold() for label in seen.event.labels),
    "activity": lambda seen: _texts(activity_of(seen.event)),
    "weekday": lambda seen: (WEEKDAYS[seen.event.on.weekday()],),
}


def field_at(fields: Mapping[str, Any], key: str) -> Any:
    """Return a tool's own field by its path (`fields.priority.name`), None if there is none."""
    path = key.removeprefix("fields.")
    if path in fields:
        return fields[path]
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def number_of(value: Any) -> Decimal | None:
    """Return the number that a tool's own field says, None if it says none that is bearable.

    A stored number with a fraction comes back as text, and scripts may send texts to begin with.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    text = str(value)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _field_texts(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = field_at(fields, key)
    members = value if isinstance(value, list | tuple) else [value]
    return tuple(text for member in members for text in _texts(member))


def _texts(value: Any) -> tuple[str, ...]:
    """Return how an admin may write a JSON value: 3.0 is also 3, true is also yes."""
    if isinstance(value, bool):
        return ("yes", "true") if value else ("no", "false")
    if isinstance(value, str) and not value[:1].isdecimal():
        return (value.casefold(),)
    if isinstance(value, int):
        return (str(value),)
    number = number_of(value)
    if number is not None:
        return (str(value).casefold(), f"{number:f}", f"{number.normalize():f}")
    return (value.casefold(),) if isinstance(value, str) else ()


class TextTest:
    """A `TextCondition` ready to be asked."""

    def __init__(self, condition: TextCondition) -> None:
        self.key = condition.key
        patterns = [pattern.casefold() for pattern in condition.patterns]
        self.exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self.wild = tuple(tuple(pattern.split("*")) for pattern in patterns if "*" in pattern)

    def __call__(self, seen: Seen) -> bool | None:
        """Return whether the event fits, None if that is not known yet."""
        values = seen.values(self.key)
        if values is None:
            return None
        return any(
            value in self.exact or any(fits_wildcard(pieces, value) for pieces in self.wild)
            for value in values
        )


def fits_wildcard(pieces: Sequence[str], value: str) -> bool:
    """Return whether a text holds the pieces between the stars, in order, without overlap.

    One pass over the text whatever the pattern: a stranger's title cannot make it slow.
    """
    first, *middle, last = pieces
    if len(value) < len(first) + len(last):
        return False
    if not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for piece in middle:
        position = value.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return True


def is_within(limits: Range, value: Any) -> bool:
    """Return whether a number lies in a range; what is not a number does not."""
    value = number_of(value)
    if value is None:
        return False
    if limits.low is not None and not (
        value > limits.low or (limits.is_low_included and value == limits.low)
    ):
        return False
    return limits.high is None or (
        value < limits.high or (limits.is_high_included and value == limits.high)
    )


Test = Callable[[Seen], bool | None]


def compiled(condition: Condition) -> Test:
    """Return a condition as a function: True, False, or None for not known yet."""
    match condition:
        case TextCondition():
            return TextTest(condition)
        case RangeCondition(key="seconds", range=limits):
            return lambda seen: is_within(limits, seen.event.seconds)
        case RangeCondition(key=key, range=limits):
            return lambda seen: is_within(limits, field_at(seen.event.fields, key))
        case BillableCondition(is_billable=wanted):
            return lambda seen: _is_billable(seen, wanted)
        case DayCondition(first=first, last=last):
            return lambda seen: (
                (first is None or first <= seen.event.on)
                and (last is None or seen.event.on <= last)
            )
        case HolidayCondition(is_holiday=wanted, days=days):
            return lambda seen: (seen.event.on in days) is wanted


Asked = Sequence[tuple[str, Test]]
"""Conditions that must all fit, each with the word that may turn out to be not known yet."""


def asked(conditions: Iterable[Condition]) -> Asked:
    """Return conditions ready to be asked together."""
    return [
        (condition.key if isinstance(condition, TextCondition) else "billable", compiled(condition))
        for condition in conditions
    ]


def unknown_word(tests: Asked, seen: Seen) -> str | None:
    """Return None if they do not fit, "" if they do, else the word that cannot be decided."""
    unknown = ""
    for key, test in tests:
        fits = test(seen)
        if fits is False:
            return None
        if fits is None:
            unknown = unknown or key
    return unknown


def _is_billable(seen: Seen, wanted: bool) -> bool | None:
    if seen.event.billable is not None:
        return seen.event.billable is wanted
    if seen.billable_when_not_said == "hold":
        return None
    return (seen.billable_when_not_said == "yes") is wanted


class Index:
    """Finds the few entries whose conditions can fit an event, without asking the others.

    Each entry is filed under its rarest text condition: an exact text as it is, a pattern by
    what stands before its first star. Entries without such a condition are always candidates.
    """

    def __init__(self, entries: Iterable[Sequence[Test]]) -> None:
        fileable = [[test for test in tests if _is_fileable(test)] for tests in entries]
        crowd = Counter(slot for tests in fileable for test in tests for slot in _slots(test))
        self._exact: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._prefixes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._unfiled: list[int] = []
        for position, tests in enumerate(fileable):
            if not tests:
                self._unfiled.append(position)
                continue
            rarest = min(tests, key=lambda test: sum(crowd[slot] for slot in _slots(test)))
            for key, text, is_prefix in _slots(rarest):
                (self._prefixes if is_prefix else self._exact)[key][text].append(position)
        self._keys = tuple({*self._exact, *self._prefixes})
        self._lengths = {
            key: tuple(sorted({len(prefix) for prefix in table}))
            for key, table in self._prefixes.items()
        }

    def candidates(self, seen: Seen) -> Sequence[int]:
        """Return the positions of all entries that may fit, in order."""
        found = [self._unfiled] if self._unfiled else []
        for key in self._keys:
            found += self._filed(key, seen.values(key))
        if len(found) == 1:
            return found[0]
        return sorted({position for positions in found for position in positions})

    def _filed(self, key: str, values: Values) -> Iterable[list[int]]:
        exact, prefixes = self._exact.get(key, {}), self._prefixes.get(key, {})
        if values is None:
            yield from exact.values()
            yield from prefixes.values()
            return
        for value in values:
            if value in exact:
                yield exact[value]
            for length in self._lengths.get(key, ()):
                if (prefix := value[:length]) in prefixes:
                    yield prefixes[prefix]


def _is_fileable(test: Test) -> bool:
    return isinstance(test, TextTest) and all(pieces[0] for pieces in test.wild)


def _slots(test: Test) -> set[tuple[str, str, bool]]:
    """Return where a text condition is filed: (key, text, whether the text is only a prefix)."""
    if not isinstance(test, TextTest):
        return set()
    exact = {(test.key, text, False) for text in test.exact}
    return exact | {(test.key, pieces[0], True) for pieces in test.wild}
