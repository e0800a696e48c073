"""The one note that Billhook keeps on an issue: its words, and how it is told from other comments.

Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from connectors.connector import Report

_MARKUP: Final = re.compile(r"[\\{}\[\]*_+^~!|#?]|(?<!\w)-|-(?!\w)|\bbq\.|^h\d\.", re.MULTILINE)
"""What wiki text would read as markup; a hyphen inside a word is none."""


def note(report: Report) -> str:
    """Return the comment in Jira's wiki text: our reference, the state, the link, the marker.

    Wiki text by version 2 of the API, not the document format of version 3, because Data
    Center has no version 3 and Cloud still takes both.
    """
    lines = [f"Invoice {_escaped(report.invoice)}: {_escaped(report.state)}"]
    if report.url:
        lines.append(quote(report.url, safe="/:?&=%@,;.-~+"))
    lines.append(f"Kept up to date by Billhook, please do not edit. {_escaped(marker(report))}")
    return "\n".join(lines)


def marker(report: Report) -> str:
    """Return the word by which the note is found again; without one given, the invoice's.

    >>> marker(Report("worklog:1", "ACME-7", None, {}, "acme-2026-10", "paid", marker="a b"))
    'billhook/a%20b'
    """
    # No colon is left in it, because a colon and a letter may become an emoticon in wiki text.
    return "billhook/" + quote((report.marker or report.invoice).removeprefix("billhook:"))


def holds(body: str, word: str) -> bool:
    """Return whether a comment holds the marker as a whole word."""
    return word in _plain(body).split(" ")


def reads_alike(one: str, other: str) -> bool:
    """Return whether two wiki texts say the same.

    Jira Cloud keeps comments as documents and writes them back into wiki text, with escapes and
    line ends of its own; comparing letter by letter would rewrite the note at every report.
    """
    return _plain(one) == _plain(other)


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda found: "\\" + found.group(), " ".join(text.split()))


def _plain(text: str) -> str:
    return " ".join(text.replace("\\", "").split())
