"""Books: who the customer is at the accounting system, and where its lines stand in the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.invoices import Coding

from ..atoms import TEXT, YES_NO
from ..reading import Mistakes, Place
from ..shapes import Filled, Named, Phrase, TableOf, Word
from .setting import Setting

_CODING: Final[Mapping[str, Word]] = {
    "item": Word(TEXT, "the item, product or service there"),
    "account": Word(TEXT, "the revenue account there: 200"),
    "tax_code": Word(TEXT, "the tax code there: OUTPUT2"),
    "tracking": Word(
        Named(TEXT, TEXT, "tracking"), "cost centres, classes or categories there: name and value"
    ),
}
BOOKS: Final = TableOf(
    {
        "customer": Word(
            Phrase("an id as the billing system shows it"), "the customer's id there: C-17"
        ),
        "create": Word(YES_NO, "yes: it is created there if no customer fits; default no"),
        **_CODING,
    },
    is_joined=True,
)
WORDS: Final[Mapping[str, Word]] = {
    "books": Word(BOOKS, "who the customer is in the accounting system, and where its lines stand"),
}
BILL_WORDS: Final[Mapping[str, Word]] = {
    "books": Word(TableOf(_CODING), "where the line stands in the books, if not like the others"),
}
EXPECT_WORDS: Final[Mapping[str, Word]] = {
    "books": Word(TableOf(_CODING), "where the line stands in the books; what is not said may be"),
}


@dataclass(frozen=True, slots=True)
class Books:
    """What a customer's file says of the accounting system."""

    remote_id: str | None = None
    """The customer's id there."""
    may_be_created: bool = False
    coding: Coding = field(default_factory=Coding)
    """Of all lines whose rule says nothing else."""
    words: tuple[str, ...] = ()
    """Those that are said, as they are written."""
    at: Place | None = None
    """Where `books:` stands; None: nowhere."""


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Books:  # noqa: ARG001
    """Return what a customer's file says of the books, with every mistake noted."""
    said: Filled | None = filled.get("books")
    if said is None:
        return Books()
    inside = mistakes.inside("books")
    if said.is_whole and not said.places:
        inside.add(said.at, "says nothing - write customer:, create: or where lines stand")
    at = said.place("customer")
    if "customer" in said.places and at.file != filled.place("customer").file:
        problem = "is one customer's id - write it into that customer's own file"
        inside.inside("customer").add(at, problem)
    return Books(
        remote_id=said.get("customer"),
        may_be_created=said.get("create") == "yes",
        coding=coding_of(said),
        words=tuple(said.places),
        at=filled.place("books"),
    )


def coding_of(said: Filled | None) -> Coding:
    """Return where something stands in the books, by a `books:` that says so."""
    if said is None:
        return Coding()
    return Coding(
        item=said.get("item"),
        account=said.get("account"),
        tax_code=said.get("tax_code"),
        tracking=tuple(
            sorted((name, value) for name, (_, value) in said.get("tracking", {}).items())
        ),
    )
