"""The one attachment that Billhook keeps on an issue for each invoice: its words and its mark.

Pure text; `connector.py` reads and writes it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from connectors.connector import Report
from connectors.note import marker, one_line, state


def attachment(report: Report) -> dict[str, Any]:
    """Return title, subtitle and metadata, which scripts can read and by which it is found."""
    return {
        "title": f"Invoice {one_line(report.invoice)}",
        "subtitle": state(report),
        "metadata": {
            "billhook": marker(report),
            "invoice": report.invoice,
            "state": state(report),
        },
    }


def address(report: Report, issue_url: str) -> str:
    """Return the attachment's address, which is its key within the issue: one for each marker.

    >>> address(Report("issue:1", "A-1", "A", {}, "a-1", "paid"), "https://x.example/i")
    'https://x.example/i#billhook/a-1'
    """
    return f"{quote(report.url or issue_url, safe='/:?&=%@,;.-~+')}#{marker(report)}"
