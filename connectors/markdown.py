"""The note that Billhook keeps on an issue of a tool whose comments are Markdown.

Pure text; the connectors read and write it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from connectors.connector import Report


def comment(report: Report) -> str:
    """Return the note: a hidden marker, our reference, the state, the link.

    The reference stands in a code span, where a `#7` links nothing and an `@name` calls nobody.
    """
    reference = _plain(report.invoice).replace("`", "'")
    state = re.sub(r"[^\w ,.-]", "", _plain(report.state))
    lines = [marker(report), f"Invoice `{reference}`: **{state}**"]
    if report.url:
        lines.append("<" + quote(report.url, safe="/:?&=%@,;.-~+") + ">")
    lines.append("Kept up to date by Billhook, please do not edit.")
    return "\n\n".join(lines)


def marker(report: Report) -> str:
    """Return the hidden line by which the note is found again; without one given, the invoice's.

    >>> marker(Report("issue:1", "#7", "acme/site", {}, "acme-2026-10", "paid", marker="a -->"))
    '<!-- billhook:a%20--%3E -->'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"<!-- billhook:{quote(word, safe='/:.')} -->"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two notes say the same, whatever their line ends."""
    return one.split() == other.split()


def _plain(text: str) -> str:
    return " ".join(text.split())
