"""The one comment that Billhook keeps on a work package: its words and its hidden marker."""

from __future__ import annotations

import re
from urllib.parse import quote

from connectors.connector import Report


def comment(report: Report) -> str:
    """Return the comment in Markdown, the marker hidden in an HTML comment.

    The reference stands in a code span, where `#7` links nothing and `@name` calls nobody.
    """
    invoice = " ".join(report.invoice.split()).replace("`", "'")
    state = re.sub(r"[^\w ,.-]", "", " ".join(report.state.split()))
    lines = [marker(report), f"Invoice `{invoice}`: **{state}**"]
    if report.url:
        lines.append(f"<{quote(report.url, safe='/:?&=%@,;.-~+')}>")
    lines.append("Kept up to date by Billhook, please do not edit.")
    return "\n\n".join(lines)


def marker(report: Report) -> str:
    """Return the hidden line by which the comment is found again; without one, the invoice's.

    >>> marker(Report("work_package:7", "#7", "Shop", {}, "acme-1", "paid", marker="acme-1/#7"))
    '<!-- billhook:acme-1/%237 -->'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"<!-- billhook:{quote(word, safe='/:.')} -->"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two comments say the same, whatever their line ends."""
    return one.split() == other.split()
