"""The one comment that Billhook keeps on a work item for each invoice, as HTML.

The marker is plain text: what of HTML's comments and attributes survives in a comment is not
documented. Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

import re
from html import escape, unescape
from urllib.parse import quote

from connectors.connector import Report


def comment(report: Report) -> str:
    """Return the comment: invoice, state, address, and the marker by which it is found again."""
    state = re.sub(r"[^\w ,.-]", "", _plain(report.state))
    lines = [f"Invoice {escape(_plain(report.invoice))}: <b>{state}</b>"]
    if report.url:
        address = quote(report.url, safe="/:?&=%@,;.-~+")
        lines.append(f'<a href="{escape(address)}">{escape(address)}</a>')
    lines.append(f"Kept up to date by Billhook, please do not edit. {marker(report)}")
    return "".join(f"<div>{line}</div>" for line in lines)


def marker(report: Report) -> str:
    """Return the text by which the comment is found again; without one given, the invoice's.

    >>> marker(Report("workitem:1", "#1", "Acme", {}, "a-1", "paid", marker="billhook:a-1:#1]"))
    '[billhook:a-1:%231%5D]'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"[billhook:{quote(word, safe='/:.')}]"


def text_of(html: str) -> str:
    """Return what a reader sees of a comment, with single spaces."""
    return _plain(unescape(re.sub(r"<[^>]*>", " ", html)))


def _plain(text: str) -> str:
    return " ".join(text.split())
