"""One of our drafts as a transaction of hledger or beancount.

Texts are written by strangers: none of them may become syntax. So each is one line without control
characters, in beancount as a quoted string, in hledger as the value of a tag that has no colon and
no bracket in it (`date:` and `[2026-01-01]` would move a posting to another day).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ledger.errors import RejectedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import Money, printed
from ledger.taxes import line_taxes, tax_of

BEANCOUNT, HLEDGER = "beancount", "hledger"
ENDINGS: Final = {BEANCOUNT: "beancount", HLEDGER: "journal"}
HEADING: Final = (
    "; Written by Billhook. When the invoice is sent, change ! into *; the rest is compared with "
    "Billhook.\n"
)
# A colon that looks like one, and brackets that are none, in the eyes of hledger.
_HARMLESS: Final = str.maketrans({":": "\ua789", "[": "(", "]": ")"})
_ACCOUNTS: Final = {
    BEANCOUNT: re.compile(r"(Assets|Liabilities|Equity|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+"),
    HLEDGER: re.compile(r"[^\W_][\w.&'-]*(:[^\W_][\w.&'-]*| [\w.&'-]+)*"),
}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where an invoice stands in the books."""

    receivable: str
    revenue: str
    tax: str


def account(text: str, dialect: str, where: str) -> str:
    """Return an account's name; raise RejectedError if it is none."""
    if not _ACCOUNTS[dialect].fullmatch(text):
        raise RejectedError(
            f'journal: {where}: "{text[:60]}" is no account of {dialect} - write it like '
            "Income:Services"
        )
    return text


def written(draft: InvoiceDraft, accounts: Accounts, dialect: str) -> str:
    """Return the transaction of a draft, or of a credit note, as the text of a file."""
    flag = "*" if draft.credits else "!"
    what = f"Credit note {draft.reference}" if draft.credits else f"Invoice {draft.reference}"
    payee = plain(draft.customer.name, dialect)
    lines = [HEADING.rstrip("\n")]
    if dialect == BEANCOUNT:
        links = " ".join(f"^{each}" for each in (draft.reference, draft.credits) if each)
        head = f"{draft.period_to} {flag} {quoted(payee)} {quoted(what)} {links}"
    else:
        # Numbers are read as they are meant, whatever the journal around says.
        lines.append("decimal-mark .\n")
        payee = payee.replace(";", ",").replace("|", "/")
        head = f"{draft.period_to} {flag} ({draft.reference}) {payee} | {what}"
    lines.append(head)
    lines += _said({"billhook": draft.content_hash(), **header(draft, dialect)}, "  ", dialect)
    for name, minor, said in _postings(draft, accounts):
        lines.append(f"  {name}  {_decimal(minor, draft.currency)} {draft.currency}")
        lines += _said(said, "    ", dialect)
    return "\n".join(lines) + "\n"


def header(draft: InvoiceDraft, dialect: str) -> dict[str, str]:
    """Return what stands above the lines, as it is written."""
    terms = None if draft.days_until_due is None else f"{draft.days_until_due} days"
    said = {
        "period": f"{draft.period_from} to {draft.period_to}",
        "terms": terms,
        "purchase-order": draft.purchase_order,
        "memo": draft.memo,
        "footer": draft.footer,
        "credits": draft.credits,
    }
    found = {name: plain(value or "", dialect) for name, value in said.items()}
    return {name: value for name, value in found.items() if value}


def plain(text: str, dialect: str) -> str:
    """Return a stranger's text as it can stand in a journal: on one line, without controls."""
    kept = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text)
    kept = " ".join(kept.split())
    return kept if dialect == BEANCOUNT else kept.translate(_HARMLESS)


def quoted(text: str) -> str:
    """Return a text as a string of beancount."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _postings(
    draft: InvoiceDraft, accounts: Accounts
) -> Iterator[tuple[str, int, Mapping[str, str]]]:
    """Yield account, amount and what is said of it; the amounts sum to zero."""
    yield accounts.receivable, draft.total.minor, {}
    taxes = line_taxes([(line.tax, line.amount) for line in draft.lines])
    for line, tax in zip(draft.lines, taxes, strict=True):
        inside = tax if line.tax and tax_of(line.tax).is_included else 0
        yield (
            line.coding.account or accounts.revenue,
            inside - line.amount,
            _line(line, inside, draft.currency),
        )
    for total in draft.taxes:
        yield accounts.tax, -total.amount, {"tax": total.tax.key}


def _line(line: PrintedLine, tax_inside: int, currency: str) -> dict[str, str]:
    said = {
        "text": line.description,
        "quantity": printed(line.quantity),
        "unit-price": f"{line.unit_price:f}",
        "item": line.coding.item or "",
        "tracking": ", ".join(f"{name} = {value}" for name, value in line.coding.tracking),
        "tax-code": line.coding.tax_code or "",
        "line-tax": line.tax,
    }
    if tax_inside:
        said["tax-inside"] = _decimal(tax_inside, currency)
    return {name: value for name, value in said.items() if value or name == "text"}


def _said(said: Mapping[str, str], indent: str, dialect: str) -> Iterator[str]:
    for name, value in said.items():
        text = plain(value, dialect)
        yield (
            f"{indent}{name}: {quoted(text)}"
            if dialect == BEANCOUNT
            else (f"{indent}; {name}:{text}")
        )


def _decimal(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).decimal():f}"
