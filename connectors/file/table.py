"""The lines of a draft as CSV that is safe to open in a spreadsheet.

Titles are written by strangers, and a cell that begins with "=" is a formula to a
spreadsheet: https://owasp.org/www-community/attacks/CSV_Injection. Called by the connector.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from ledger.invoices import InvoiceDraft
from ledger.money import Money, printed
from ledger.spreadsheets import safe_text
from ledger.taxes import line_taxes, tax_of

COLUMNS: Final = (
    *("reference", "customer", "purchase_order", "period_from", "period_to"),
    *("line", "description", "quantity", "unit_price", "amount", "currency"),
    *("tax_code", "tax_rate", "tax_amount"),
)


def lines_as_csv(draft: InvoiceDraft) -> str:
    """Return the draft's lines as CSV, with a byte order mark, so that Excel reads the umlauts."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    taxes = line_taxes([(line.tax, line.amount) for line in draft.lines])
    for number, line in enumerate(draft.lines, 1):
        rows.writerow(
            [
                safe_text(draft.reference),
                safe_text(draft.customer.name),
                safe_text(draft.purchase_order or ""),
                draft.period_from.isoformat(),
                draft.period_to.isoformat(),
                number,
                safe_text(line.description),
                # Numbers stay numbers, also below zero: they come from decimals, not from texts.
                printed(line.quantity),
                f"{line.unit_price:f}",
                f"{Money(line.amount, draft.currency).decimal():f}",
                draft.currency,
                *_tax_cells(line.tax, taxes[number - 1], draft.currency),
            ]
        )
    return "\ufeff" + text.getvalue()


def _tax_cells(key: str, amount: int, currency: str) -> tuple[str, ...]:
    if not key:
        return ("", "", "")
    tax = tax_of(key)
    rate = f"{tax.rate.normalize():f}"
    return (safe_text(tax.code), rate, f"{Money(amount, currency).decimal():f}")
