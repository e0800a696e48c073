"""What happens when what was billed changes afterwards: work that is opened again, corrections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.crediting import POLICIES
from ledger.reopening import REOPENED

from ..phrases import kinds_named
from ..reading import Mistakes
from ..shapes import Filled, OneOf, Word

COMPLETIONS: Final = ("milestone.completed", "work.completed")
REOPENED_WORD: Final = OneOf(REOPENED)
RULE_WORDS: Final[Mapping[str, Word]] = {
    "reopened": Word(
        REOPENED_WORD,
        "what happens when it is opened again after it was billed: credit (default), hold or flag",
    ),
}
WORDS: Final[Mapping[str, Word]] = {
    "corrections": Word(
        OneOf(POLICIES),
        "where corrections of open and paid invoices go: next invoice (default) or credit note",
    ),
}
EXPECT_WORDS: Final[Mapping[str, Word]] = {
    "reopened": Word(REOPENED_WORD, "what happens when it is opened again after it was billed"),
}


def check_reopened(rule: Filled, mistakes: Mistakes) -> None:
    """Note a mistake where a rule's `reopened` is about events that are never opened again."""
    if "reopened" not in rule.places:
        return
    at = rule.place("reopened")
    if rule.get("bill") == "nothing":
        mistakes.add(at, "reopened: is about what was billed, and nothing is - leave it out")
        return
    when = rule.get("when")
    named = kinds_named(when.get("event", ())) if when else ()
    others = [kind for kind in named if kind not in COMPLETIONS]
    if named and not others:
        return
    what = f"a {others[0]} is" if others else "other events are"
    problem = f"{what} never opened again"
    todo = f"write event: {COMPLETIONS[0]} or {COMPLETIONS[1]} under when:, or leave reopened: out"
    mistakes.add(at, f"{problem} - {todo}")
