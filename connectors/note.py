"""The one note that Billhook keeps about an invoice on a thing in a project tool.

What it says is the same everywhere; a `Form` is how a tool writes it. `keep` writes it and changes
it in place. Connectors bring the comments that their own account wrote, and the two requests.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from connectors.connector import Report
from ledger.errors import OutcomeUnknownError

_KEPT: Final = "Kept up to date by Billhook, please do not edit."
_TAG: Final = re.compile(r"<[^>]*>")


def plain_words(text: str) -> list[str]:
    """Return the words of a text, without the backticks of code spans."""
    return text.replace("`", " ").split()


@dataclass(frozen=True, slots=True)
class Form:
    """How a tool writes notes: what stands around their parts, by default nothing."""

    line: str = "{}\n\n"
    invoice: str = "{}"
    state: str = "{}"
    marker: str = "{}"
    link: Callable[[str], str] = str
    escape: Callable[[str], str] = str
    """What keeps the invoice's reference from being read as markup."""
    words: Callable[[str], list[str]] = plain_words
    """What somebody reads of a note. Tools write line ends and markup anew in their own way."""

    def text(self, report: Report) -> str:
        """Return the note: invoice, state and address, and the marker as its last line."""
        invoice = self.invoice.format(self.escape(one_line(report.invoice)))
        lines = [f"Invoice {invoice}: {self.state.format(self.escape(state(report)))}"]
        if report.url:
            lines.append(self.link(quote(report.url, safe="/:?&=%@,;.-~+")))
        lines += [_KEPT, self.marker.format(self.escape(marker(report)))]
        return "".join(map(self.line.format, lines)).rstrip()

    def reads_alike(self, one: str, other: str) -> bool:
        """Return whether two notes say the same."""
        return self.words(one) == self.words(other)

    def holds(self, text: str, report: Report) -> bool:
        """Return whether a text has the report's marker as a whole word."""
        return marker(report) in self.words(text)


def _anchor(address: str) -> str:
    return '<a href="{0}">{0}</a>'.format(html.escape(address))


PLAIN: Final = Form()
"""Plain words, which look the same in every markup."""
MARKDOWN: Final = Form(
    invoice="`{}`",
    state="**{}**",
    marker="<!-- {} -->",
    link="<{}>".format,
    escape=lambda text: text.replace("`", "'"),
)
"""The reference stands in a code span, where a `#7` links nothing and an `@name` calls nobody; the
marker is hidden."""
MARKDOWN_SEEN: Final = replace(MARKDOWN, marker="`{}`", link=str)
"""The same for a tool that shows HTML comments, or throws them away."""
HTML: Final = Form(
    line="<p>{}</p>",
    state="<strong>{}</strong>",
    link=_anchor,
    escape=html.escape,
    words=lambda text: html.unescape(_TAG.sub(" ", text)).split(),
)
"""The marker is plain text: what a tool keeps of HTML's comments and attributes is its own."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of our own account. Somebody else may have copied a note, marker and all."""

    id: str
    """Safe in a path."""
    text: str
    url: str = ""


def keep(
    form: Form,
    report: Report,
    ours: Iterable[Comment],
    create: Callable[[str], Comment],
    change: Callable[[Comment, str], object],
    *,
    tool: str,
) -> Comment:
    """Return the note, after writing it if there is none, or changing it if it says something else.

    `ours` is read up to the note. Raise OutcomeUnknownError where the answer to a new comment does
    not say which one it is: `create` may raise what comes of reading it.
    """
    text = form.text(report)
    for comment in ours:
        if form.holds(comment.text, report):
            if not form.reads_alike(comment.text, text):
                change(comment, text)
            return comment
    try:
        return create(text)
    except (LookupError, TypeError, ValueError) as error:
        raise OutcomeUnknownError(
            f"{tool}: {report.subject}: the answer to a new comment does not say which one it is;"
            " it may have been written"
        ) from error


def marker(report: Report) -> str:
    """Return the word by which a note is found again; without one given, the invoice's.

    No colon is left in it: some tools make a picture of a colon and the letter after it.

    >>> marker(Report("task:12", "12", None, {}, "acme-2026-10", "paid", marker="billhook:a b:#7"))
    'billhook/a%20b%3A%237'
    """
    return "billhook/" + quote((report.marker or report.invoice).removeprefix("billhook:"))


def tag_beginning(report: Report) -> str:
    """Return how the tag of an invoice begins; its state follows.

    The reference is one word, so that it ends where the space is.

    >>> tag_beginning(Report("entry:7", None, None, {}, "acme 10", "paid"))
    'billhook: acme_10 '
    """
    return f"billhook: {'_'.join(report.invoice.split())} "


def state(report: Report) -> str:
    """Return the invoice's state without anything that could be markup."""
    return re.sub(r"[^\w ,.-]", "", one_line(report.state))


def one_line(text: str) -> str:
    """Return a text with single spaces, so that it stays on its line."""
    return " ".join(text.split())
