"""From line items to the lines on the paper: entries are summed up, every cent stays explained.

The amount of an entry is fixed when it is priced. Entries that are printed together show
the sum of their quantities; where that, times the unit price, is not the sum of their
amounts, one line named `ROUNDING` carries the difference. So the total is the same
however entries are spread over invoices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .corrections import LineItem
from .invoices import PrintedLine
from .money import exponent, line_amount
from .sums import ROUNDING


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line item with its number in the ledger."""

    id: int
    line: LineItem


def print_lines(
    lines: Sequence[NumberedLine], corrected: Mapping[int, str]
) -> tuple[PrintedLine, ...]:
    """Return the lines of an invoice, in an order that does not depend on arrival.

    `corrected` gives the invoice reference of each billed line that is taken back here.
    """
    together: dict[tuple[object, ...], list[NumberedLine]] = {}
    priced = [each for each in lines if each.line.kind != "counted"]
    for each in sorted(priced, key=_order):
        together.setdefault(_printed_together(each, corrected), []).append(each)
    counted: dict[str, list[int]] = {}
    for each in sorted(lines, key=lambda each: each.id):
        if each.line.kind == "counted":
            counted.setdefault(each.line.pool, []).append(each.id)
    printed = [
        _print(group, corrected, counted) for group in together.values() if _is_printed(group)
    ]
    currency = lines[0].line.currency if lines else ""
    # Each tax is calculated on a sum of its own, so each makes up for its own rounding.
    for tax in sorted({each.line.tax for each in priced}):
        exact = sum(each.line.amount for each in priced if each.line.tax == tax)
        difference = exact - sum(line.amount for line in printed if line.tax == tax)
        if difference:
            unit_price = Decimal(difference).scaleb(-exponent(currency))
            line = PrintedLine(ROUNDING, Decimal("1.00"), unit_price, difference, tax=tax)
            printed.append(line)
    return tuple(printed)


def _printed_together(each: NumberedLine, corrected: Mapping[int, str]) -> tuple[object, ...]:
    line = each.line
    reference = corrected.get(line.corrects_id or 0, "")
    # What an agreement takes off is printed with the line that it takes it off.
    own = () if line.grouping else (line.adjusts_id or each.id,)
    return (line.rule, line.grouping, line.unit_price, line.project, line.tax, reference, *own)


def _is_printed(group: Sequence[NumberedLine]) -> bool:
    """Return whether an agreement has left anything of what is printed together."""
    if all(each.line.kind != "agreement" for each in group):
        return True
    quantity = sum((each.line.quantity for each in group), Decimal(0))
    return bool(quantity or sum(each.line.amount for each in group))


def _print(
    group: Sequence[NumberedLine],
    corrected: Mapping[int, str],
    counted: dict[str, list[int]],
) -> PrintedLine:
    """Return a group as one line. The entries counted in its pool are named on its first line."""
    first = group[0].line
    quantity = sum((each.line.quantity for each in group), Decimal(0))
    description = first.description
    if first.corrects_id is not None:
        description = f"Correction to {corrected[first.corrects_id]}: {description}"
    return PrintedLine(
        description=description,
        quantity=quantity,
        unit_price=first.unit_price,
        amount=line_amount(quantity, first.unit_price, first.currency).minor,
        line_items=(
            *(each.id for each in group),
            *(id_ for each in group for id_ in counted.pop(each.line.pool, ())),
        ),
        tax=first.tax,
    )


def _order(each: NumberedLine) -> tuple[object, ...]:
    line = each.line
    return (
        line.kind == "agreement",
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
