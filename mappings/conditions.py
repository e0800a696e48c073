"""The words of `when:`, and the conditions that they mean. Rules, factors and scopes share them."""

from __future__ import annotations

from typing import Final

from ledger.events import KINDS

from . import phrases
from .atoms import DAY, PATTERNS, YES_NO
from .clauses.setting import Setting, check_known
from .model import (
    BillableCondition,
    Condition,
    DayCondition,
    HolidayCondition,
    RangeCondition,
    TextCondition,
)
from .reading import Mistakes, Place, quoted
from .shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word

WEEKDAYS: Final = OneOf({name: f"the day of the work is a {name}" for name in phrases.WEEKDAYS})

WHEN: Final = TableOf(
    {
        "event": Word(
            ListOf(
                Phrase(
                    "a kind of event",
                    phrases.event_kind,
                    suggests={kind: KINDS[kind] for kind in phrases.PRICEABLE},
                )
            ),
            "kinds of event: " + ", ".join(phrases.PRICEABLE),
        ),
        "source": Word(PATTERNS, "the tool that told us: jira, github, generic"),
        "endpoint": Word(PATTERNS, "the endpoint that was told"),
        "project": Word(PATTERNS, "the project as the tool calls it"),
        "item": Word(PATTERNS, "the key or number of the issue"),
        "title": Word(PATTERNS, "the title of the issue, milestone or release"),
        "person": Word(PATTERNS, "the name of the person who worked, from people:"),
        "role": Word(PATTERNS, "the role of the person who worked"),
        "activity": Word(PATTERNS, "the kind of work, as the tool's own field says it"),
        "labels": Word(PATTERNS, "one of the labels"),
        "billable": Word(YES_NO, "what the tool says about the entry"),
        "seconds": Word(
            Phrase(
                "a comparison like: at least 900, more than 0, between 900 and 3600",
                phrases.comparison,
            ),
            "the time of the entry",
        ),
        "on": Word(
            TableOf(
                {
                    "from": Word(DAY, "the first day, included"),
                    "to": Word(DAY, "the last day, included"),
                }
            ),
            "the day of the work",
        ),
        "weekday": Word(ListOf(WEEKDAYS), "the weekday of the work: saturday, sunday"),
        "holiday": Word(YES_NO, "yes: the day of the work is one of holidays:"),
    },
    open_words={"fields.": Word(PATTERNS, "a field of the tool by its path, or a comparison")},
)


def conditions(when: Filled, setting: Setting, mistakes: Mistakes) -> tuple[Condition, ...]:
    """Return the conditions of one `when:`, with every mistake noted."""
    found: list[Condition] = []
    for key, value in when.values.items():
        if key == "seconds":
            found.append(RangeCondition(key, value))
        elif key == "billable":
            found.append(BillableCondition(value == "yes"))
        elif key == "holiday":
            if not setting.holidays:
                problem = "no holidays are named - list their days under holidays:"
                mistakes.inside(key).add(when.place(key), problem)
            found.append(HolidayCondition(value == "yes", setting.holidays))
        elif key == "on":
            first, last = value.get("from"), value.get("to")
            if first and last and first > last:
                mistakes.inside(key).add(value.at, "from: is later than to: - swap them")
            elif value.is_whole and not value.places:
                mistakes.inside(key).add(value.at, "has no day - write from:, to: or both")
            found.append(DayCondition(first, last))
        elif key.startswith("fields.") and phrases.is_comparison(value[0]):
            found += _compared_field(key, value, when.place(key), mistakes)
        else:
            found.append(TextCondition(key, value))
    if setting.workspace:
        names = [person.name for person in setting.workspace.people]
        for name in when.get("person", ()):
            if "*" not in name:
                check_known("person", name, names, when.place("person"), mistakes.inside("person"))
    return tuple(found)


def _compared_field(
    key: str, value: tuple[str, ...], at: Place, mistakes: Mistakes
) -> list[Condition]:
    try:
        if len(value) > 1:
            raise ValueError(" - one comparison stands alone, between ... and ... gives two limits")
        return [RangeCondition(key, phrases.comparison(value[0]))]
    except ValueError as error:
        mistakes.inside(key).add(at, f"{quoted(value[0])} is not a comparison{error}")
        return []
