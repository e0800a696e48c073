"""`docs/corrections.md`: each cell of its tables is played, and what it says is what happens.

The rows of a table are states of an invoice, its columns are changes of an entry on it. A row is
one play: every change happens to an entry of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import worker
from connectors.http import Request
from ledger import tables
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, moved

PAGE: Final = Path(__file__).parents[2] / "docs" / "corrections.md"
OCTOBER, SECOND, NEXT = "acme-2026-10", "acme-2026-10-2", "acme-2026-11"
NOTE = "acme-2026-10-credit"
WORTH, UP, DOWN = 12000, 18000, 6000
BALLAST = 20
"""An entry that nothing happens to, so that the invoice is never emptied."""


def tables_of(page: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield policy, state and the cells of each row; the policy is the heading above the table."""
    heading = ""
    header: list[str] = []
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif cells[0] == "state":
            header = cells
        elif header and not set(line) <= set("|-"):
            yield heading, cells[0], dict(zip(header[1:], cells[1:], strict=True))


ROWS = {
    (policy, state): cells for policy, state, cells in tables_of(PAGE.read_text(encoding="utf-8"))
}


def entry(number: int, *, seconds: int = 3600, version: int = 1, **changes: Any) -> Any:
    """Return the body of a webhook about an entry on an issue of its own."""
    body = worklog(number, seconds=seconds, version=version, issue_id=100 + number, **changes)
    return body if version == 1 else {**body, "webhookEvent": "worklog_updated"}


def elsewhere_in_time(number: int) -> Any:
    """Return the body of a webhook about an entry that is of September by now."""
    body = entry(number, version=2)
    body["worklog"]["started"] = "2026-09-07T10:00:00.000+0200"
    return body


def deleted(number: int) -> Any:
    """Return the body of a webhook about an entry that is gone."""
    return {**entry(number, version=2), "webhookEvent": "worklog_deleted"}


Change = Callable[[int], list[Any]]
CHANGES: dict[str, tuple[Change, int, str]] = {
    "edited up": (lambda at: [entry(at, seconds=5400, version=2)], UP, ""),
    "edited down": (lambda at: [entry(at, seconds=1800, version=2)], DOWN, ""),
    "deleted": (lambda at: [deleted(at)], 0, ""),
    "restored": (lambda at: [deleted(at), entry(at, version=3)], WORTH, ""),
    "moved to another issue": (
        lambda at: [
            issue(120),
            {
                **worklog(at, seconds=3600, version=2, issue_id=120),
                "webhookEvent": "worklog_updated",
            },
        ],
        WORTH,
        "",
    ),
    "moved to another project of the customer": (
        lambda at: [moved(100 + at, version=9, project="SHOP")],
        WORTH,
        "",
    ),
    "moved to another customer": (
        lambda at: [moved(100 + at, version=9, project="BETA")],
        WORTH,
        "beta-2026-10",
    ),
    "dated into another period": (lambda at: [elsewhere_in_time(at)], WORTH, "acme-2026-09"),
}
"""What is told of the entry, what it is worth afterwards in cents, and where it goes if it does."""
NUMBER = {change: number for number, change in enumerate(CHANGES, 1)}


def all_changes(office: Office) -> None:
    """Let every change happen."""
    for change, (bodies, _, _) in CHANGES.items():
        for body in bodies(NUMBER[change]):
            assert office.post(body) == 202


def change_all(office: Office) -> None:
    """Let every change happen, and the line follow."""
    all_changes(office)
    office.settle()


def happen(*steps: tuple[str, int | None]) -> Callable[[Office], None]:
    """Return the play in which things happen to the invoice at Stripe before the changes."""

    def play(office: Office) -> None:
        office.bill(OCTOBER)
        for what, amount in steps:
            office.stripe.happen(what, office.invoice(OCTOBER)["remote_id"], amount)
        office.deliver_mail()
        change_all(office)

    return play


def blocked(office: Office) -> None:
    """Change everything while the draft is blocked."""
    office.change("acme.yaml", "billing_email: ap@acme.example\n", "")
    office.activate()
    assert office.invoice(OCTOBER)["state"] == "blocked"
    change_all(office)


def approved(office: Office) -> None:
    """Change everything between an approval and its push."""
    office.approve(OCTOBER)
    all_changes(office)
    for stage in worker.STAGES:
        if stage.name != "push":
            while worker.run(office.line, stage):
                pass


def being_pushed(office: Office) -> None:
    """Change everything in the middle of the push."""

    def in_the_middle(request: Request) -> None:
        if "/add_lines" in request.url:
            office.outside.after = lambda request: None
            all_changes(office)

    office.outside.after = in_the_middle
    office.approve(OCTOBER)
    office.settle()


def touched(office: Office) -> None:
    """Change everything, here and there, and try to push it."""
    office.bill(OCTOBER)
    (remote,) = office.remote(OCTOBER)
    lines = office.stripe.book.table("lines")[remote["id"]]["data"]
    lines[-1].update(description="Somebody else's words", amount=1)
    change_all(office)
    office.approve(OCTOBER)
    office.settle()


FINAL = ("finalize", None)
STATES: dict[str, Callable[[Office], None]] = {
    "draft": change_all,
    "blocked": blocked,
    "approved": approved,
    "approved and being pushed": being_pushed,
    "pushed as a draft": happen(),
    "pushed as a draft that somebody touched": touched,
    "open": happen(FINAL),
    "partially paid": happen(FINAL, ("pay", 5000)),
    "paid": happen(FINAL, ("pay", None)),
    "refunded": happen(FINAL, ("pay", None), ("refund", None)),
    "disputed": happen(FINAL, ("pay", None), ("dispute", None)),
    "uncollectible": happen(FINAL, ("write_off", None)),
    "void": happen(FINAL, ("void", None)),
    "deleted": happen(("delete", None)),
}
POLICIES: dict[str, list[str]] = {
    "corrections: next invoice": list(STATES),
    # In the other states it makes no difference.
    "corrections: credit note": ["open", "partially paid", "paid", "refunded", "disputed"],
}
"""Headings of tables, which are what is written into the customer's file; and the rows of each."""


def found(office: Office, number: int) -> list[tuple[str, str, int]]:
    """Return where the lines of an entry stand that are open, or billed on what is not void."""
    invoices = {row["id"]: row for row in office.rows(tables.invoice)}
    (subject,) = [
        row["id"] for row in office.rows(tables.subject) if row["name"] == f"worklog:{number}"
    ]
    return [
        (invoices[row["invoice_id"]]["reference"], row["state"], row["amount"])
        for row in office.rows(tables.line_item)
        if row["subject_id"] == subject
        and row["state"] in ("open", "billed")
        and not invoices[row["invoice_id"]]["released_at"]
    ]


def expected(word: str, worth: int, goes_to: str) -> list[tuple[str, str, int]]:
    """Return where the lines of an entry stand if a cell says this."""
    was = (OCTOBER, "billed", WORTH)
    new = [(goes_to, "open", worth)]
    match word:
        case "replaced":
            return [(OCTOBER, "open", worth)]
        case "again":
            return [(SECOND, "open", worth)]
        case "gone":
            return []
        case "elsewhere":
            return new
        case "unchanged":
            return [was]
        case "amended" | "conflict":
            here = [(OCTOBER, "open", -WORTH), (OCTOBER, "open", worth)]
            return [was, *here[: 2 if worth else 1]]
        case "amended, and elsewhere" | "conflict, and elsewhere":
            return [was, (OCTOBER, "open", -WORTH), *new]
        case "next":
            return [was, (NEXT, "open", -WORTH), (NEXT, "open", worth)]
        case "back":
            return [was, (NEXT, "open", -WORTH)]
        case "credited":
            return [was, (NOTE, "open", -WORTH), (NOTE, "open", worth)]
        case "credited back":
            return [was, (NOTE, "open", -WORTH)]
        case "credited back, and elsewhere":
            return [was, (NOTE, "open", -WORTH), *new]
        case "back, and elsewhere":
            return [was, (NEXT, "open", -WORTH), *new]
    raise AssertionError(f'docs/corrections.md: the word "{word}" is not known here')


def check_invoice(office: Office, words: set[str]) -> None:
    """Check what the words of a row say of the invoice itself."""
    row = office.invoice(OCTOBER)
    texts = [line["description"] for line in row["content"]["lines"]]
    if "conflict" in words:
        assert (row["state"], row["conflict"]["kept"]) == ("blocked", None)
        (remote,) = office.remote(OCTOBER)
        shown = office.stripe.book.table("lines")[remote["id"]]["data"]
        assert [line for line in shown if line["description"] == "Somebody else's words"]
        assert len(shown) == len(CHANGES) + 1
    elif "amended" in words:
        assert row["state"] == "draft"
        assert not [text for text in texts if "Correction" in text]
        assert len(texts) == len(CHANGES) + 1 - 3
        assert "it takes back what was billed before" in row["warnings"]
    elif "replaced" in words:
        assert row["state"] in ("draft", "blocked")
        assert {"senior engineering, ACME-120 Login", "senior engineering, SHOP-106 Login"} < set(
            texts
        )
    else:
        assert row["state"] == "pushed"
    if "again" in words:
        (warning,) = office.invoice(SECOND)["warnings"]
        assert f"its work stood on {OCTOBER}" in warning


def play(office: Office, policy: str, state: str) -> None:
    """Play a row, compare each of its cells, and end with everything billed that can be."""
    office.change("acme.yaml", "send_to: files", f"send_to: stripe\n{policy}")
    office.change("acme.yaml", "[ACME,", "[ACME, SHOP,")
    office.activate()
    office.tell(*(issue(100 + at) for at in (*NUMBER.values(), BALLAST)))
    office.tell(*(entry(at) for at in NUMBER.values()), entry(BALLAST, seconds=36000))
    assert office.invoices() == {OCTOBER: ("draft", WORTH * (len(CHANGES) + 10))}
    STATES[state](office)
    cells = ROWS[policy, state]
    wrong = {}
    for change, word in cells.items():
        _, worth, goes_to = CHANGES[change]
        seen = found(office, NUMBER[change])
        if seen != expected(word, worth, goes_to):
            wrong[f"{state} x {change}: {word}"] = seen
    assert wrong == {}
    check_invoice(office, set(cells.values()))
    assert office.violations() == []
    bill_everything(office)
    assert office.violations() == []


def bill_everything(office: Office) -> None:
    """Approve and push every draft that is left."""
    for reference, (state, _) in office.invoices().items():
        if state == "draft":
            office.bill(reference)
    for reference, (state, total) in office.invoices().items():
        if state == "pushed" and not office.invoice(reference)["released_at"]:
            for remote in office.remote(reference):
                assert remote["total"] == total or office.invoice(reference)["conflict"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("policy", "state"), ROWS, ids=[re.sub(r"\W+", "-", " ".join(each)) for each in ROWS]
)
def test_what_the_table_says_is_what_happens(office: Office, policy: str, state: str) -> None:
    play(office, policy, state)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("state", ["approved and being pushed", "open", "void"])
def test_it_happens_on_postgresql_too(office: Office, state: str) -> None:
    play(office, "corrections: next invoice", state)


def test_the_tables_name_every_state_and_every_change() -> None:
    assert {policy for policy, _ in ROWS} == set(POLICIES)
    for policy, states in POLICIES.items():
        assert [state for known, state in ROWS if known == policy] == states
    assert all(list(cells) == list(CHANGES) for cells in ROWS.values())
