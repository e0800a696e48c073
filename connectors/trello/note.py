"""The one comment that Billhook keeps on a card: its words and its marker. Pure text."""

from __future__ import annotations

import re
from urllib.parse import quote

from connectors.connector import Report


def comment(report: Report) -> str:
    """Return the comment in Trello's Markdown.

    Reference and marker stand in code spans, where an `@name` calls nobody.
    """
    invoice = " ".join(report.invoice.split()).replace("`", "'")
    state = re.sub(r"[^\w ,.-]", "", " ".join(report.state.split()))
    lines = [f"Invoice `{invoice}`: **{state}**"]
    if report.url:
        lines.append(quote(report.url, safe="/:?&=%@,;.-~+"))
    lines.append(f"Kept up to date by Billhook, please do not edit. {marker(report)}")
    return "\n\n".join(lines)


def marker(report: Report) -> str:
    """Return the words by which the comment is found again; without any given, the invoice's.

    >>> marker(Report("card:1", "#1", None, {}, "acme-2026-10", "paid", marker="a `b`"))
    '`billhook:a%20%60b%60`'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"`billhook:{quote(word, safe='/:.')}`"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two comments say the same, whatever their line ends."""
    return one.split() == other.split()
