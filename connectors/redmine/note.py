"""The one note that Billhook keeps on an issue: plain words, and a marker at its end.

Redmine's texts are Textile, Markdown or plain, as its administrator chose. Only plain words look
the same in all of them, and an HTML comment would be seen in Textile.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from connectors.connector import Report


def text(report: Report) -> str:
    """Return the note."""
    state = re.sub(r"[^\w ,.-]", "", " ".join(report.state.split()))
    lines = [f"Invoice {' '.join(report.invoice.split())}: {state}"]
    if report.url:
        lines.append(quote(report.url, safe="/:?&=%@,;.-~+"))
    lines.append(f"Kept up to date by Billhook, please do not edit. {marker(report)}")
    return "\n\n".join(lines)


def marker(report: Report) -> str:
    """Return the word by which the note is found again; without one, the invoice's.

    >>> marker(Report("issue:7", "#7", "Portal", {}, "acme-1", "paid", marker="acme-1/#7"))
    '(billhook acme-1/%237)'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"(billhook {quote(word, safe='/.')})"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two notes say the same, whatever their line ends."""
    return one.split() == other.split()
