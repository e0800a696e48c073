"""The one note that Billhook keeps on a task: its words, and how it is told from other comments.

Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

from urllib.parse import quote

from connectors.connector import Report


def note(report: Report) -> str:
    """Return the comment as plain text: our reference, the state, the link, the marker."""
    lines = [f"Invoice {_plain(report.invoice)}: {_plain(report.state)}"]
    if report.url:
        lines.append(quote(report.url, safe="/:?&=%@,;.-~+"))
    lines.append(f"Kept up to date by Billhook, please do not edit. {marker(report)}")
    return "\n".join(lines)


def marker(report: Report) -> str:
    """Return the word by which the note is found again; without one given, the invoice's.

    >>> marker(Report("task:12", "12", None, {}, "acme-2026-10", "paid", marker="a b"))
    'billhook/a%20b'
    """
    # The prefix goes, so that the word is as short as it can be.
    return "billhook/" + quote((report.marker or report.invoice).removeprefix("billhook:"))


def holds(text: str, word: str) -> bool:
    """Return whether a comment holds the marker as a whole word."""
    return word in text.split()


def reads_alike(one: str, other: str) -> bool:
    """Return whether two comments say the same, whatever their line ends."""
    return one.split() == other.split()


def _plain(text: str) -> str:
    return " ".join(text.split())
