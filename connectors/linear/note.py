"""The one attachment that Billhook keeps on an issue for each invoice: its words and its mark.

Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from connectors.connector import Report


def attachment(report: Report) -> dict[str, Any]:
    """Return title, subtitle and metadata, which scripts can read and by which it is found."""
    state = re.sub(r"[^\w ,.-]", "", _plain(report.state))
    return {
        "title": f"Invoice {_plain(report.invoice)}",
        "subtitle": state,
        "metadata": {
            "billhook": marker(report),
            "invoice": report.invoice,
            "state": state,
        },
    }


def marker(report: Report) -> str:
    """Return the text by which the attachment is found again; without one given, the invoice's."""
    return (report.marker or report.invoice).removeprefix("billhook:")


def address(report: Report, issue_url: str) -> str:
    """Return the attachment's address, which is its key within the issue: one for each marker.

    >>> address(Report("issue:1", "A-1", "A", {}, "a-1", "paid", marker="billhook:a-1:#1"), "https://x.example/i")
    'https://x.example/i#billhook-a-1%3A%231'
    """
    where = report.url or issue_url
    return f"{quote(where, safe='/:?&=%@,;.-~+')}#billhook-{quote(marker(report), safe='')}"


def _plain(text: str) -> str:
    return " ".join(text.split())
