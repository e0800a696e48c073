"""The note about an invoice: how it reads, how it is found again, when it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.connector import Report
from connectors.note import HTML, MARKDOWN, MARKDOWN_SEEN, PLAIN, Comment, Form, keep, marker
from ledger.errors import OutcomeUnknownError

FORMS = (PLAIN, MARKDOWN, MARKDOWN_SEEN, HTML)
REPORT = Report(
    subject="task:1",
    item="#1",
    project="Acme shop",
    fields={},
    invoice="acme-2026-10",
    state="draft",
    url="https://billhook.example/i?a=1&copy=<2>",
    marker="billhook:acme-2026-10:#1",
)


class Comments:
    """The comments of ours in a tool, and what was written."""

    def __init__(self, *texts: str) -> None:
        self.here = [Comment(str(number), text) for number, text in enumerate(texts)]
        self.changed: list[str] = []

    def create(self, text: str) -> Comment:
        self.here.append(Comment(str(len(self.here)), text))
        return self.here[-1]

    def change(self, comment: Comment, text: str) -> None:
        self.changed.append(comment.id)
        self.here[int(comment.id)] = replace(comment, text=text)

    def keep(self, form: Form, report: Report = REPORT) -> Comment:
        return keep(form, report, iter(self.here), self.create, self.change, tool="tool")


@pytest.mark.parametrize("form", FORMS)
def test_a_note_is_written_once_and_changed_in_place(form: Form) -> None:
    comments = Comments("Thanks!", "See billhook/acme-2026-10%3A%2312 as well")
    assert comments.keep(form).id == "2"
    assert comments.keep(form).id == "2"
    assert comments.changed == []
    assert comments.keep(form, replace(REPORT, state="paid")).id == "2"
    assert comments.changed == ["2"]
    assert [each.text for each in comments.here[2:]] == [form.text(replace(REPORT, state="paid"))]


@pytest.mark.parametrize("form", FORMS)
def test_a_marker_that_begins_another_one_is_not_taken_for_it(form: Form) -> None:
    longer = replace(REPORT, marker=f"{REPORT.marker}2")
    assert not form.holds(form.text(longer), REPORT)
    assert not form.holds(form.text(REPORT), longer)


@pytest.mark.parametrize("form", FORMS)
def test_line_ends_written_anew_are_no_change(form: Form) -> None:
    text = form.text(REPORT)
    assert form.reads_alike(text.replace("\n\n", "\r\n").replace("<p>", "<p >") + "\n", text)
    assert not form.reads_alike(text, form.text(replace(REPORT, state="paid")))


@pytest.mark.parametrize("error", [KeyError, IndexError, TypeError, ValueError])
def test_an_answer_that_names_no_comment_leaves_open_whether_it_was_written(
    error: type[Exception],
) -> None:
    def create(text: str) -> Comment:
        raise error

    with pytest.raises(OutcomeUnknownError, match=r"tool: task:1: .* may have been written"):
        keep(PLAIN, REPORT, [], create, lambda comment, text: None, tool="tool")


@pytest.mark.parametrize("invoice", ["@all", "#1", "`a`", "--> <b>&", "</p><script>", "a\n\n# big"])
def test_a_reference_calls_nobody_and_changes_no_layout(invoice: str) -> None:
    odd = replace(REPORT, invoice=invoice, marker=invoice, state="**paid** <b>", url=None)
    plain = PLAIN.text(odd).split("\n\n")
    assert plain[0] == f"Invoice {' '.join(invoice.split())}: paid b"
    assert len(plain) == 3
    line, _, hidden = MARKDOWN.text(odd).split("\n\n")
    assert line.startswith("Invoice `")
    assert line.endswith("`: **paid b**")
    assert line.count("`") == 2
    assert hidden == f"<!-- {marker(odd)} -->"
    assert hidden.count("-->") == 1
    assert HTML.text(odd).count("<") == 8


def test_an_address_stays_one_address() -> None:
    quoted = "https://billhook.example/i?a=1&copy=%3C2%3E"
    assert f"<{quoted}>" in MARKDOWN.text(REPORT)
    assert f"\n{quoted}\n" in PLAIN.text(REPORT)
    assert f'<p><a href="{quoted.replace("&", "&amp;")}">' in HTML.text(REPORT)
    assert quoted in HTML.words(HTML.text(REPORT))
