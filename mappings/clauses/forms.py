"""What invoices look like: language, order of lines, scope, timesheet, and what came late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.homes import HOLD, NEXT_INVOICE, OWN_INVOICE
from ledger.layouts import ORDERS

from ..atoms import YES_NO
from ..conditions import WHEN, conditions
from ..descriptions import ALONE, MOST_IN_LINES, Description, differing, invoice_text
from ..languages import ENGLISH
from ..model import Condition
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word
from .setting import Setting

LATE: Final = OneOf(
    {
        NEXT_INVOICE: "today's invoice takes it, and its text begins with its own period",
        OWN_INVOICE: "it gets a supplementary invoice of its own period",
        HOLD: "the same, and a person always approves that one",
    }
)
ORDER: Final = OneOf(ORDERS)
SCOPE: Final = TableOf(
    {
        "text": Word(Phrase("a text"), "the text, as the contract says it", required=True),
        "when": Word(WHEN, "the events that it is about; without it, every one"),
    },
    label=("scope", "text"),
)
INVOICE_TEXT: Final = Phrase("a text", invoice_text, most=MOST_IN_LINES, may_be_lines=True)
"""A memo or a footer."""
WORDS: Final[Mapping[str, Word]] = {
    "order": Word(ListOf(ORDER), "what lines are ordered by, the first word first"),
    "scope": Word(
        ListOf(SCOPE, needs_brackets=True),
        "what was agreed, in the contract's words: the first that fits gives {scope}",
        names_entries=True,
    ),
    "timesheet": Word(YES_NO, "yes: the list of time entries goes with each invoice"),
    "late": Word(
        LATE, "where work goes whose period was billed already: next invoice, own invoice or hold"
    ),
}
RULE_WORDS: Final[Mapping[str, Word]] = {
    "late": Word(LATE, "where this rule's late work goes, if not like the others"),
}
BILL_WORDS: Final[Mapping[str, Word]] = {}


@dataclass(frozen=True, slots=True)
class Scope:
    """A piece of what was agreed, as invoices call it, and the events that belong to it."""

    text: str
    when: tuple[Condition, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Form:
    """What invoices look like: language, order of lines, scope, timesheet, and what came late."""

    language: str = ENGLISH
    order: tuple[str, ...] = ()
    """Of `ledger.layouts.ORDERS`; empty: project, rule, group, day."""
    scopes: tuple[Scope, ...] = ()
    """The first that fits is used."""
    has_timesheet: bool = False
    late: str | None = None
    """None: the next invoice, without a label."""
    contract: str | None = None
    """The reference of the contract."""


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Form:
    """Return what a customer's file says of it, with every mistake noted."""
    order: Sequence[str] = filled.get("order", ())
    for position, word in enumerate(order):
        if word in order[:position]:
            problem = f"{word} stands twice - take the second one out"
            mistakes.inside("order").add(filled.place("order"), problem)
    scopes: dict[str, Scope] = {}
    for entry in filled.get("scope", ()):
        text, when = entry.get("text"), entry.get("when")
        inside = mistakes.inside(f"scope {quoted(text)}" if text else "scope")
        catches_all = next((each for each in scopes.values() if not each.when), None)
        if catches_all is not None:
            earlier = catches_all.at.seen_from(entry.at)
            problem = f"is never reached: the one in {earlier} fits every event"
            inside.add(entry.at, f"{problem} - give that one a when:, or put it last")
        found = conditions(when, setting, inside.inside("when")) if when else ()
        if text is not None:
            scopes.setdefault(f"{text} {entry.at}", Scope(text, found, entry.at))
    return Form(
        language=filled.get("language", ENGLISH),
        order=tuple(order),
        scopes=tuple(scopes.values()),
        has_timesheet=filled.get("timesheet") == "yes",
        late=filled.get("late"),
        contract=filled.get("contract"),
    )


def check_text(
    bill: Filled,
    description: Description,
    one_line_per: Sequence[str],
    schedule: str,
    customer: Filled,
    mistakes: Mistakes,
) -> None:
    """Note what a rule's text and its lines contradict each other in.

    `bill` and `customer` are the tables that they stand in; `schedule` is the rule's.
    """
    if ALONE in one_line_per and len(one_line_per) > 1:
        problem = "all puts everything on one line - leave the other words out, or leave out all"
        mistakes.inside("one_line_per").add(bill.place("one_line_per"), problem)
    elif problem := differing(description, one_line_per, schedule) or "":
        mistakes.inside("description").add(bill.place("description"), problem)
    if "scope" not in customer.places:
        for word, names in (
            ("description", description.words),
            ("one_line_per", tuple(one_line_per)),
        ):
            if "scope" in names:
                problem = "{scope} needs scope: - list there what was agreed"
                mistakes.inside(word).add(bill.place(word), problem)
