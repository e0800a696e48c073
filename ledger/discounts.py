"""What the discounts that a person gave on a draft come to. Pure; called by `handwork.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from .corrections import LineItem
from .events import as_utc_text
from .homes import Home
from .money import Money, allocate, line_amount
from .printing import NumberedLine, settled
from .sums import coding_of_most

if TYPE_CHECKING:
    from .handwork import Edit

RULE: Final = "Discount by hand"
"""What discounts that a person gives name as their rule."""


def discounts_on(
    home: Home, lines: Sequence[NumberedLine], given: Sequence[Edit]
) -> list[tuple[int, LineItem]]:
    """Return the lines of the discounts that a person gave on a draft, one for each tax. Pure.

    Each is of what the draft comes to without such discounts; together they take off no more.
    """
    priced = [each for each in settled(lines) if each.line.kind not in ("counted", "discount")]
    bases: dict[str, int] = {}
    for each in priced:
        bases[each.line.tax] = bases.get(each.line.tax, 0) + each.line.amount
    left = {tax: base for tax, base in sorted(bases.items()) if base > 0}
    wanted: list[tuple[int, LineItem]] = []
    for edit in given:
        for tax, off in _shares(edit, {tax: bases[tax] for tax in left}, home.currency).items():
            minor = min(off, left[tax])
            if minor:
                left[tax] -= minor
                of_tax = [each for each in priced if each.line.tax == tax]
                line = _discount(edit, home, of_tax, bases[tax], minor, is_cut=minor != off)
                wanted.append((edit.id, line))
    return wanted


def _shares(edit: Edit, bases: Mapping[str, int], currency: str) -> dict[str, int]:
    """Return what a discount takes off for each tax, in minor units."""
    if "percent" in edit.value:
        factor = Decimal(edit.value["percent"]).scaleb(-2)
        return {
            tax: line_amount(Money(base, currency).decimal(), factor, currency).minor
            for tax, base in bases.items()
        }
    if not bases:
        return {}
    parts = allocate(edit.value["amount"], [Fraction(base) for base in bases.values()])
    return dict(zip(bases, parts, strict=True))


def _discount(
    edit: Edit,
    home: Home,
    lines: Sequence[NumberedLine],
    base: int,
    minor: int,
    *,
    is_cut: bool,
) -> LineItem:
    of, off = Money(base, home.currency), Money(minor, home.currency)
    last = max(lines, key=lambda each: each.id).line
    taxed = f" with {last.tax}" if last.tax else ""
    what = f"of {of}, what is due on this invoice{taxed}"
    if "percent" in edit.value and not is_cut:
        quantity, unit_price = of.decimal(), Decimal(edit.value["percent"]).scaleb(-2)
        how = f"{edit.value['percent']} % {what}"
    else:
        quantity, unit_price = Decimal("1.00"), off.decimal()
        how = f"{off} {what}" + (": no more is left to take it off" if is_cut else "")
    return LineItem(
        customer=last.customer,
        project=None,
        item=None,
        person=None,
        on=max(each.line.on for each in lines),
        description=edit.value["text"],
        quantity=-quantity,
        unit_price=unit_price,
        currency=home.currency,
        amount=-minor,
        seconds=0,
        rule=RULE,
        mapping_version=last.mapping_version,
        grouping=(),
        schedule=home.period.schedule,
        period_from=home.period.first,
        period_to=home.period.last,
        steps=(how, f"given by {edit.made_by} at {as_utc_text(edit.made_at)} (edit {edit.id})"),
        event_id=None,
        kind="discount",
        tax=last.tax,
        coding=coding_of_most((each.line.coding, each.line.amount) for each in lines),
    )
