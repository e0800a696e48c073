"""The one note that Billhook keeps on an issue or a commit: its words and its hidden marker.

Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from connectors.connector import Report

LONGEST_DESCRIPTION: Final = 140
"""https://docs.github.com/en/rest/commits/statuses#create-a-commit-status"""


def comment(report: Report) -> str:
    """Return the comment in GitHub's Markdown, the marker hidden in an HTML comment.

    The reference stands in a code span, where a `#7` links nothing and an `@name` calls nobody.
    """
    lines = [
        marker(report),
        f"Invoice `{_plain(report.invoice).replace('`', chr(39))}`: **{_state(report)}**",
    ]
    if report.url:
        lines.append(f"<{_address(report.url)}>")
    lines.append("<sub>Kept up to date by Billhook, please do not edit.</sub>")
    return "\n\n".join(lines)


def marker(report: Report) -> str:
    """Return the hidden line by which the comment is found again; without one given, the invoice's.

    >>> marker(Report("issue:1", "#7", "acme/site", {}, "acme-2026-10", "paid", marker="a -->"))
    '<!-- billhook:a%20--%3E -->'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    return f"<!-- billhook:{quote(word, safe='/:.')} -->"


def description(report: Report) -> str:
    """Return the words beside a commit status, which GitHub shows as plain text."""
    return f"Invoice {_plain(report.invoice)}: {_state(report)}"[:LONGEST_DESCRIPTION]


def context(report: Report) -> str:
    """Return the name of the commit status: one for each invoice."""
    return f"billhook/{_plain(report.invoice)}"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two comments say the same, whatever their line ends."""
    return one.split() == other.split()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _state(report: Report) -> str:
    return re.sub(r"[^\w ,.-]", "", _plain(report.state))


def _address(url: str) -> str:
    return quote(url, safe="/:?&=%@,;.-~+")
