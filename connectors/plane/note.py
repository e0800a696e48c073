"""The one comment that Billhook keeps on a work item: its words and its marker. Pure text."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Final
from urllib.parse import quote

from connectors.connector import Report

_TAG: Final = re.compile(r"<[^>]*>")


def comment(report: Report) -> str:
    """Return the comment in HTML, which is what Plane keeps."""
    invoice, state = (" ".join(text.split()) for text in (report.invoice, report.state))
    lines = [f"Invoice <code>{escape(invoice)}</code>: <strong>{escape(state)}</strong>"]
    if report.url:
        address = escape(quote(report.url, safe="/:?&=%@,;.-~+"))
        lines.append(f'<a href="{address}">{address}</a>')
    ours = f"<code>{escape(marker(report))}</code>"
    lines.append(f"Kept up to date by Billhook, please do not edit. {ours}")
    return "".join(f"<p>{line}</p>" for line in lines)


def marker(report: Report) -> str:
    """Return the words by which the comment is found again; without any given, the invoice's.

    >>> marker(Report("workitem:1", "#1", None, {}, "acme-2026-10", "paid", marker="a <b>"))
    'billhook:a%20%3Cb%3E;'
    """
    word = (report.marker or report.invoice).removeprefix("billhook:")
    # What ends it keeps one marker from being the beginning of another.
    return f"billhook:{quote(word, safe='/:.')};"


def reads_alike(one: str, other: str) -> bool:
    """Return whether two comments say the same; Plane writes HTML anew in its own way."""
    return _words(one) == _words(other)


def _words(html: str) -> list[str]:
    return unescape(_TAG.sub(" ", html)).split()
