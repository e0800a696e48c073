"""From line items to the lines on the paper: entries are summed up, every cent stays explained.

The amount of an entry is fixed when it is priced. Entries that are printed together show
the sum of their quantities; where that, times the unit price, is not the sum of their
amounts, one line named `ROUNDING` carries the difference. So the total is the same
however entries are spread over invoices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from .corrections import LineItem
from .events import canonical_json
from .invoices import PrintedLine, coding_of
from .layouts import Layout
from .money import exponent, line_amount
from .subjects import line_from_row
from .sums import AGREED, ROUNDING

ALL_IN_ONE: Final = ("all in one",)
"""The grouping of entries that share a line with everything else of the same text and price."""
PLAIN: Final = Layout()
_NUMBER: Final = re.compile(r"([^0-9]*)([0-9]*)")


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line item with its number in the ledger, and what it is of."""

    id: int
    line: LineItem
    subject_id: int | None = None
    edit_id: int | None = None
    """The edit by hand that it comes from."""


def numbered(row: Mapping[Any, Any]) -> NumberedLine:
    """Return a stored line item (a row's mapping)."""
    return NumberedLine(row["id"], line_from_row(row), row["subject_id"], row["edit_id"])


def print_lines(
    lines: Sequence[NumberedLine],
    corrected: Mapping[int, str],
    layout: Layout = PLAIN,
) -> tuple[PrintedLine, ...]:
    """Return the lines of an invoice, in an order that does not depend on arrival.

    `corrected` gives the invoice reference of each billed line that is taken back here.
    """
    lines = settled(lines)
    together: dict[tuple[object, ...], list[NumberedLine]] = {}
    priced = [each for each in lines if each.line.kind != "counted"]
    for each in sorted(priced, key=_order):
        together.setdefault(_printed_together(each, corrected), []).append(each)
    counted: dict[str, list[int]] = {}
    for each in sorted(lines, key=lambda each: each.id):
        if each.line.kind == "counted":
            counted.setdefault(each.line.pool, []).append(each.id)
    texts = {(each.rule, each.period_from): each.text for each in layout.labels}
    groups = [
        (group, _text(group[0].line, corrected, texts))
        for group in together.values()
        if _is_printed(group)
    ]
    groups = _all_in_one(groups, corrected)
    if layout.order:
        groups.sort(key=_sort_key(layout))
    if layout.texts or layout.first:
        groups = _by_hand(groups, keys_of(lines, corrected), layout)
    printed = [_print(group, text, counted) for group, text in groups]
    currency = lines[0].line.currency if lines else ""
    # Each tax is calculated on a sum of its own, and each account has its own: so each makes up
    # for its own rounding.
    missing: Counter[tuple[str, str]] = Counter()
    for each in priced:
        missing[each.line.tax, each.line.coding] += each.line.amount
    for one in printed:
        missing[one.tax, one.coding.key] -= one.amount
    for (tax, coding), minor in sorted(missing.items()):
        if minor:
            unit_price = Decimal(minor).scaleb(-exponent(currency))
            line = PrintedLine(ROUNDING, Decimal("1.00"), unit_price, minor, tax=tax)
            printed.append(replace(line, coding=coding_of(coding)))
    return tuple(printed)


def settled(lines: Sequence[NumberedLine]) -> list[NumberedLine]:
    """Return the lines of an invoice without those that cancel each other out on it.

    These are lines that are taken back on the same invoice, with what takes them back, and the
    sums of a pool that come to nothing together.
    """
    there = {each.id for each in lines}
    taken_back = {each.line.corrects_id for each in lines} & there
    left = [
        each for each in lines if each.id not in taken_back and each.line.corrects_id not in there
    ]
    sums: dict[tuple[object, ...], list[NumberedLine]] = {}
    for each in left:
        if each.line.kind == "sum":
            sums.setdefault(_of_one_sum(each.line), []).append(each)
    gone = {
        each.id
        for some in sums.values()
        if len(some) > 1
        and not sum(each.line.quantity for each in some)
        and not sum(each.line.amount for each in some)
        for each in some
    }
    return [each for each in left if each.id not in gone]


def _of_one_sum(line: LineItem) -> tuple[object, ...]:
    return (
        *(line.pool, line.rule, line.grouping, line.unit_price, line.tax, line.project),
        *(line.period_from, line.adjusts_id),
    )


def _printed_together(each: NumberedLine, corrected: Mapping[int, str]) -> tuple[object, ...]:
    line = each.line
    reference = corrected.get(line.corrects_id or 0, "")
    # What an agreement takes off is printed with the line that it takes it off.
    own: tuple[object, ...] = () if line.grouping else (line.adjusts_id or each.id,)
    if line.kind == "sum" and not line.grouping:
        # What a pool comes to, and what changes of it while it is amended.
        own = (line.pool,)
    # What came late keeps its own line: its text may name its own month.
    period = line.period_from
    price = (line.unit_price, line.tax, line.coding)
    return (line.rule, line.grouping, price, line.project, period, reference, *own)


def _all_in_one(
    groups: Sequence[tuple[list[NumberedLine], str]], corrected: Mapping[int, str]
) -> list[tuple[list[NumberedLine], str]]:
    """Return the groups, those in one that share their line with whatever reads the same."""
    merged: dict[tuple[object, ...], tuple[list[NumberedLine], str]] = {}
    for group, text in groups:
        first = group[0].line
        is_shared = first.grouping == ALL_IN_ONE and first.kind != "agreement"
        reference = corrected.get(first.corrects_id or 0, "")
        prefix = text.removesuffix(first.description)
        for each in group:
            line = each.line
            # An agreement has a text of its own, and goes with the first line that it is about.
            said = first if line.kind == "agreement" else line
            price = (line.unit_price, line.tax, line.coding)
            alike = (said.description, prefix, price, reference)
            key, said = (alike, said) if is_shared else ((group[0].id,), first)
            merged.setdefault(key, ([], prefix + said.description))[0].append(each)
    return list(merged.values())


def _text(
    line: LineItem, corrected: Mapping[int, str], labels: Mapping[tuple[str, date], str]
) -> str:
    """Return the text of a line: what it corrects, or its own period where it came late, first."""
    if line.corrects_id is not None:
        return f"Correction to {corrected[line.corrects_id]}: {line.description}"
    label = labels.get((line.rule, line.period_from))
    return f"{label}: {line.description}" if label else line.description


def keys_of(lines: Sequence[NumberedLine], corrected: Mapping[int, str]) -> dict[int, str]:
    """Return the key of each line item by its id: the same for all that are printed as one line.

    It stays as it is when a line item is withdrawn and comes anew, say with another quantity, so
    that what a person did to a line outlasts every assembling. It is a list as JSON, of the most
    certain first; price and rule stand last, because they may change and the line is still the
    one that was meant. A counted line has none of its own: its pool is printed.
    """
    by_id = {each.id: each for each in lines}
    keys = {}
    for each in lines:
        if each.line.kind == "counted":
            continue
        # What an agreement takes off is printed with the line that it takes it off.
        about = by_id.get(each.line.adjusts_id or 0, each) if not each.line.grouping else each
        line = about.line
        keys[each.id] = canonical_json(
            [
                *(_own(about), line.grouping, line.project, line.period_from.isoformat()),
                corrected.get(line.corrects_id or 0, ""),
                line.rule,
                f"{line.unit_price.normalize():f} {line.tax}{line.coding}",
            ]
        )
    return keys


def _own(each: NumberedLine) -> str:
    """Return what tells a line from others of the same grouping."""
    line = each.line
    if line.grouping == ALL_IN_ONE:
        return line.description
    if line.grouping:
        return ""
    if each.edit_id is not None and line.kind == "discount":
        return f"discount {each.edit_id}"
    if each.subject_id is not None:
        return f"subject {each.subject_id}"
    return f"{line.kind} {line.pool} {line.description}"


def _by_hand(
    groups: Sequence[tuple[list[NumberedLine], str]], keys: Mapping[int, str], layout: Layout
) -> list[tuple[list[NumberedLine], str]]:
    """Return the groups with the texts that a person gave them, in the order of that person."""
    texts: dict[str, str] = {}
    for each in layout.texts:
        texts.setdefault(each.key, each.text)
    place = {key: at for at, key in enumerate(layout.first)}

    def told(group: Sequence[NumberedLine], text: str) -> str:
        return next((texts[keys[one.id]] for one in group if keys[one.id] in texts), text)

    def at(group: Sequence[NumberedLine]) -> int:
        return min(place.get(keys[one.id], len(place)) for one in group)

    renamed = [(group, told(group, text)) for group, text in groups]
    return sorted(renamed, key=lambda pair: at(pair[0]))


def _is_printed(group: Sequence[NumberedLine]) -> bool:
    """Return whether an agreement has left anything of what is printed together.

    An entry of nothing at no price says nothing: it stands for a period without work.
    """
    if all(each.line.kind == "entry" for each in group):
        return any(each.line.quantity or each.line.unit_price for each in group)
    if all(each.line.kind != "agreement" for each in group):
        return True
    quantity = sum((each.line.quantity for each in group), Decimal(0))
    return bool(quantity or sum(each.line.amount for each in group))


def _print(group: Sequence[NumberedLine], text: str, counted: dict[str, list[int]]) -> PrintedLine:
    """Return a group as one line. The entries counted in its pool are named on its first line."""
    first = group[0].line
    quantity = sum((each.line.quantity for each in group), Decimal(0))
    return PrintedLine(
        description=text,
        quantity=quantity,
        unit_price=first.unit_price,
        amount=line_amount(quantity, first.unit_price, first.currency).minor,
        line_items=(
            *(each.id for each in group),
            *(id_ for each in group for id_ in counted.pop(each.line.pool, ())),
        ),
        tax=first.tax,
        coding=coding_of(first.coding),
    )


def _sort_key(layout: Layout) -> Callable[[tuple[list[NumberedLine], str]], tuple[object, ...]]:
    """Return what groups are sorted by; where that is equal they stay as they would be without."""
    rank = {rule: position for position, rule in enumerate(layout.rules)}
    keys: dict[str, Callable[[Sequence[NumberedLine], str], object]] = {
        "project": lambda group, _: _natural(group[0].line.project),
        "day": lambda group, _: min(each.line.on for each in group),
        "item": lambda group, _: min(_natural(each.line.item) for each in group),
        "person": lambda group, _: min(_natural(each.line.person) for each in group),
        "rule": lambda group, _: rank.get(group[0].line.rule, len(rank)),
        "description": lambda _, text: _natural(text),
        "amount": lambda group, _: -sum(each.line.amount for each in group),
    }
    chosen = [keys[word] for word in layout.order]

    def sort_key(printed: tuple[list[NumberedLine], str]) -> tuple[object, ...]:
        group, text = printed
        return (_rank(group[0].line), *(key(group, text) for key in chosen))

    return sort_key


def _natural(text: str | None) -> tuple[tuple[str, int, str], ...]:
    """Return what a text sorts by, its numbers by their value: ACME-9 comes before ACME-10."""
    parts = _NUMBER.findall((text or "").casefold())
    return tuple((words, len(digits.lstrip("0")), digits.lstrip("0")) for words, digits in parts)


def _rank(line: LineItem) -> tuple[int, bool]:
    """Return where agreements stand: behind the work, in the order in which they are applied.

    What one only tells (so many hours are left) stands behind what it takes off.
    """
    if line.kind == "discount":
        return len(AGREED) + 1, False
    if line.kind != "agreement":
        return 0, False
    kinds = [at for at, kind in enumerate(AGREED, 1) if line.pool.startswith(kind)]
    return (kinds or [1])[0], not line.amount


def _order(each: NumberedLine) -> tuple[object, ...]:
    line = each.line
    return (
        _rank(line),
        # Discounts that a person gave stand in the order in which they were given.
        each.edit_id or 0,
        line.project or "",
        line.rule,
        line.grouping,
        line.on,
        line.description,
        line.unit_price,
        line.quantity,
        line.corrects_id or 0,
        each.id,
    )
