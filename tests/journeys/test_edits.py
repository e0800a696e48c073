"""What people do to drafts by hand outlasts every re-computation, and every cent is explained."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

import worker
from ledger import replay, tables
from ledger.approvals import ApprovalError
from ledger.audit import audit
from ledger.edits import Discount, EditError, HoldBack, NewOrder, NewText, Wanted, make, undo
from ledger.explain import explain
from ledger.held import first_held
from tests.databases import copy_sqlite
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

OCTOBER, TODAY = "acme-2026-10", "acme-2026-11"
LOGIN, BEN = "senior engineering, ACME-7 Login", "junior engineering, ACME-7 Login"
SEARCH = "senior engineering, ACME-8 Search"
TAXED = """\
taxes:
  - {tax: DE19, name: VAT, rate: 19 %}
  - {tax: DE7, name: VAT, rate: 7 %}
tax: DE19
"""


def edit(office: Office, wanted: Wanted, reference: str = OCTOBER, **other: Any) -> int:
    """Edit a draft and settle; return the edit's id."""
    edit_id = make_only(office, wanted, reference, **other)
    office.settle()
    return edit_id


def make_only(
    office: Office, wanted: Wanted, reference: str = OCTOBER, content_hash: str | None = None
) -> int:
    return office.line.database.write(
        partial(
            make,
            reference=reference,
            wanted=wanted,
            made_by="mia",
            content_hash=content_hash,
            now=office.clock.now(),
        )
    )


def take_out(office: Office, edit_id: int, reference: str = OCTOBER) -> None:
    undone = partial(undo, reference=reference, edit_id=edit_id, undone_by="mia")
    office.line.database.write(partial(undone, now=office.clock.now()))
    office.settle()


def three_lines(office: Office) -> None:
    office.tell(
        *(issue(7), issue(8, title="Search"), worklog(1, seconds=3600)),
        *(worklog(2, seconds=3600, account="acc-ben"), worklog(3, seconds=7200, issue_id=8)),
    )
    assert [line[0] for line in office.printed(OCTOBER)] == [LOGIN, BEN, SEARCH]


def again(number: int, seconds: int, version: int = 2, **other: Any) -> Any:
    return worklog(number, seconds=seconds, version=version, kind="worklog_updated", **other)


def gone(number: int, version: int = 9, **other: Any) -> Any:
    return worklog(number, seconds=0, version=version, kind="worklog_deleted", **other)


def states(office: Office) -> list[str]:
    return [row["state"] for row in office.rows(tables.draft_edit)]


def held_lines(office: Office) -> list[str]:
    with office.line.database.read() as connection:
        return [each.what for each in first_held(connection, "line", 20, office.clock.now())]


def is_sound(office: Office) -> bool:
    with office.line.database.read() as connection:
        return audit(connection, office.clock.now() + timedelta(seconds=25)) == []


def explained(office: Office, reference: str = OCTOBER) -> dict[str, Any]:
    with office.line.database.read() as connection:
        return explain(connection, reference)


def test_edits_outlast_new_entries_changed_ones_new_prices_and_a_renamed_rule(
    office: Office,
) -> None:
    three_lines(office)
    edit(office, NewText(1, "Login, as agreed on the phone"))
    edit(office, NewOrder((3,)))
    edit(office, HoldBack(3))
    edit(office, Discount("For the delay", percent=Decimal(10)))
    expected = [
        (SEARCH, "2.00", 24000),
        ("Login, as agreed on the phone", "1.00", 12000),
        ("For the delay", "-360.00", -3600),
    ]
    assert office.printed(OCTOBER) == expected
    office.tell(again(1, 7200), worklog(4, seconds=3600), worklog(5, seconds=60, account="acc-ben"))
    expected[1:] = [
        ("Login, as agreed on the phone", "3.00", 36000),
        ("For the delay", "-600.00", -6000),
    ]
    assert office.printed(OCTOBER) == expected
    # The rate was wrong, and the rule has another name: these are the same lines.
    office.change("acme.yaml", "hourly: 120.00", "hourly: 100.00")
    office.change("acme.yaml", "hourly: 80.00", "hourly: 70.00")
    office.change("acme.yaml", "rule: Engineering hours", "rule: Hours")
    office.activate()
    office.line.database.write(
        lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
    )
    office.settle()
    assert office.printed(OCTOBER) == [
        (SEARCH, "2.00", 20000),
        ("Login, as agreed on the phone", "3.00", 30000),
        ("For the delay", "-500.00", -5000),
    ]
    assert states(office) == ["standing"] * 4
    assert office.seconds_billed() == 7200 + 3600 + 7200 + 3600 + 60
    assert is_sound(office)


def test_an_edit_without_its_line_waits_for_it(office: Office) -> None:
    three_lines(office)
    edit(office, NewText(3, "The new search"))
    office.tell(gone(3, issue_id=8))
    assert states(office) == ["without effect"]
    assert [line[0] for line in office.printed(OCTOBER)] == [LOGIN, BEN]
    office.tell(worklog(6, seconds=3600, issue_id=8))
    assert states(office) == ["standing"]
    assert [line[0] for line in office.printed(OCTOBER)] == [LOGIN, BEN, "The new search"]


def test_the_last_text_of_a_line_counts_and_undone_it_says_what_it_said(office: Office) -> None:
    three_lines(office)
    first = edit(office, NewText(1, "One"))
    second = edit(office, NewText(1, "Two"))
    assert (office.printed(OCTOBER)[0][0], states(office)) == (
        "Two",
        ["without effect", "standing"],
    )
    take_out(office, second)
    assert office.printed(OCTOBER)[0][0] == "One"
    take_out(office, first)
    assert office.printed(OCTOBER)[0][0] == LOGIN
    assert states(office) == ["undone", "undone"]
    with pytest.raises(EditError, match="was undone by mia already"):
        take_out(office, first)


def test_an_edit_voids_an_approval_at_once_and_nothing_unseen_is_approved(office: Office) -> None:
    three_lines(office)
    office.approve(OCTOBER)
    make_only(office, Discount("A present", amount=Decimal("50.00")))
    assert office.invoice(OCTOBER)["state"] == "draft"
    with pytest.raises(ApprovalError, match="was edited just now"):
        office.approve(OCTOBER)
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 39000)}
    assert [row["state"] for row in office.log("invoice.approval_void")] == ["draft"]
    office.bill(OCTOBER)
    with pytest.raises(EditError, match="is pushed - only a draft can be edited"):
        edit(office, NewText(1, "Too late"))
    assert is_sound(office)


def test_an_edit_that_was_seen_by_no_assembling_does_not_go_out(office: Office) -> None:
    three_lines(office)
    office.approve(OCTOBER)
    make_only(office, HoldBack(1))
    # As if its approval had come in between.
    office.line.database.write(
        lambda connection: connection.execute(
            update(tables.invoice)
            .where(tables.invoice.c.reference == OCTOBER)
            .values(state="approved")
        )
    )
    # Its push begins before anybody has assembled it again.
    (push,) = [stage for stage in worker.STAGES if stage.name == "push"]
    worker.run(office.line, push)
    assert office.invoices() == {OCTOBER: ("draft", 44000)}
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 32000)}


def test_a_draft_that_was_edited_is_approved_by_a_person_only(office: Office) -> None:
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    three_lines(office)
    edit(office, NewText(1, "Another text"))
    office.clock.go_on(3600)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "draft"
    assert office.invoice(OCTOBER)["warnings"] == ["it was edited by hand"]


def test_a_discount_has_the_taxes_of_what_it_is_taken_off_and_is_explained(office: Office) -> None:
    office.change("acme.yaml", "rates:\n", f"{TAXED}rates:\n")
    office.change(
        "acme.yaml", "when: {event: [time.logged", "when: {item: ACME-7, event: [time.logged"
    )
    office.rules["acme.yaml"] = office.rules["acme.yaml"].replace(
        "when_no_rule_fits",
        "  - rule: Reduced\n    when: {event: time.logged}\n"
        '    bill: {description: "{item} {title}", quantity: hours, unit_price: rate, tax: DE7}\n'
        "when_no_rule_fits",
    )
    office.activate()
    office.tell(issue(7), issue(8, title="Search"))
    office.tell(worklog(1, seconds=3600), worklog(3, seconds=7200, issue_id=8))
    assert office.invoice(OCTOBER)["net"] == 36000
    edit(office, Discount("As agreed", amount=Decimal("100.00")))
    content = office.invoice(OCTOBER)["content"]
    assert [(line["amount"], line["tax"]) for line in content["lines"]][2:] == [
        (-3333, "DE19 19 %"),
        (-6667, "DE7 7 %"),
    ]
    assert [tax["amount"] for tax in content["taxes"]] == [1647, 1213]
    told = explained(office)
    assert told["adds_up"]
    steps = told["lines"][2]["line_items"][0]["steps"]
    assert steps == [
        "33.33 EUR of 120.00 EUR, what is due on this invoice with DE19 19 %",
        "given by mia at 2026-11-22T09:00:00Z (edit 1)",
    ]
    office.bill(OCTOBER)
    assert is_sound(office)


def test_discounts_never_take_off_more_than_there_is(office: Office) -> None:
    three_lines(office)
    edit(office, Discount("Half", percent=Decimal("50")))
    edit(office, Discount("A lot", amount=Decimal("1000.00")))
    assert office.invoices() == {OCTOBER: ("draft", 0)}
    assert office.printed(OCTOBER)[3:] == [("Half", "-440.00", -22000), ("A lot", "-1.00", -22000)]
    office.tell(gone(1), gone(2, account="acc-ben"), gone(3, issue_id=8))
    assert office.invoice(OCTOBER)["state"] == "canceled"
    assert is_sound(office)


def test_what_cannot_be_edited_is_refused_with_what_to_do(office: Office) -> None:
    three_lines(office)
    edit(office, Discount("A present", percent=Decimal("0.5")))
    seen = office.invoice(OCTOBER)["content_hash"]
    office.tell(again(1, 7200))
    for wanted, problem in (
        (NewText(9, "x"), "has 4 lines - there is no line 9"),
        (NewText(1, " "), "a text is one line"),
        (NewText(1, "two\nlines"), "a text is one line"),
        (NewOrder((1, 1)), "names each line once"),
        (HoldBack(4), "line 4 follows from the others"),
        (Discount("x", percent=Decimal(101)), "at most 100 %"),
        (Discount("x", amount=Decimal("0.001")), "more decimal places than EUR allows"),
        (Discount("x"), "a percentage or an amount"),
    ):
        with pytest.raises(EditError, match=problem):
            make_only(office, wanted)
    with pytest.raises(EditError, match="has changed since it was shown"):
        make_only(office, NewText(1, "x"), content_hash=seen)
    with pytest.raises(EditError, match="no such invoice"):
        make_only(office, NewText(1, "x"), "acme-1999-01")
    with pytest.raises(EditError, match="has no edit 99"):
        take_out(office, 99)
    assert states(office) == ["standing"]


Step = tuple[str, int, int]
ACCOUNTS = {1: "acc-ana", 2: "acc-ben", 3: "acc-ana", 4: "acc-ben"}
ISSUES = {1: 7, 2: 7, 3: 8, 4: 8}
PRICES = {"acc-ana": 120, "acc-ben": 80}
STEPS = st.tuples(
    st.sampled_from(("log", "log", "delete", "text", "order", "hold", "discount", "undo", "remap")),
    st.integers(1, 4),
    st.integers(0, 5),
)


@given(steps=st.lists(STEPS, min_size=3, max_size=10))
@settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_sequence_of_changes_and_edits_keeps_the_edits_and_the_balance(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    folder = tmp_path_factory.mktemp("edits")
    url = copy_sqlite(sqlite_template, folder / "firm.sqlite3")
    with open_office(folder, url) as office:
        office.tell(issue(7), issue(8, title="Search"))
        logged: dict[int, int] = {}
        done: dict[int, Any] = {}
        for version, (what, which, much) in enumerate(steps, 2):
            _step(office, what, which, much, version, logged, done)
            rows = {row["id"]: row for row in office.rows(tables.draft_edit)}
            assert {id_: rows[id_]["value"] for id_ in done} == done
            assert office.seconds_billed() == sum(logged.values())
            if office.rows(tables.invoice):
                _adds_up(office)
        assert is_sound(office)
        for row in office.rows(tables.draft_edit):
            if row["state"] != "undone":
                take_out(office, row["id"])
        hours = {number: -(-seconds // 900) * 900 for number, seconds in logged.items()}
        due = sum(hours[n] * PRICES[ACCOUNTS[n]] // 36 for n in hours)
        drafts = office.invoices()
        assert drafts == ({OCTOBER: ("draft", due)} if due else {})
        assert is_sound(office)


def _step(
    office: Office,
    what: str,
    which: int,
    much: int,
    version: int,
    logged: dict[int, int],
    done: dict[int, Any],
) -> None:
    about = {"account": ACCOUNTS[which], "issue_id": ISSUES[which]}
    if what == "log":
        logged[which] = 600 * (much + 1)
        office.tell(again(which, logged[which], version, **about))
    elif what == "delete":
        logged.pop(which, None)
        office.tell(gone(which, version, **about))
    elif what == "remap":
        office.line.database.write(
            lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
        )
        office.settle()
    elif what == "undo":
        if which in done:
            take_out(office, which)
            del done[which]
    elif OCTOBER in office.invoices() and which <= len(office.printed(OCTOBER)):
        wanted: dict[str, Wanted] = {
            "text": NewText(which, f"text {version}"),
            "order": NewOrder((which,)),
            "hold": HoldBack(which),
            "discount": Discount("less", percent=Decimal(much * 7 + 1)),
        }
        try:
            edit_id = edit(office, wanted[what])
        except EditError as error:
            assert "follows from the others" in str(error)  # noqa: PT017
            return
        done[edit_id] = office.rows(tables.draft_edit)[-1]["value"]


def _adds_up(office: Office) -> None:
    """Assert that the draft is just its open lines: none that is held back, all discounts."""
    row = office.invoice(OCTOBER)
    items = [each for each in office.rows(tables.line_item) if each["state"] == "open"]
    on_it = [each for each in items if each["invoice_id"] == row["id"]]
    assert sum(each["amount"] for each in on_it) == row["total"] >= 0
    elsewhere = [each for each in items if each["invoice_id"] is None]
    assert all(each["edit_id"] is not None and each["kind"] == "entry" for each in elsewhere)


def test_edits_go_on_while_a_pushed_draft_is_amended_and_end_with_its_invoice(
    office: Office,
) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    three_lines(office)
    edit(office, NewText(1, "Login, as agreed"))
    edit(office, Discount("For you", percent=Decimal(10)))
    office.bill(OCTOBER)
    office.tell(again(1, 7200))
    assert office.printed(OCTOBER)[0] == ("Login, as agreed", "2.00", 24000)
    assert office.printed(OCTOBER)[3] == ("For you", "-560.00", -5600)
    assert explained(office)["adds_up"]
    office.bill(OCTOBER)
    assert [one["total"] for one in office.remote(OCTOBER)] == [50400]
    assert office.violations() == []
    # What comes late is on another invoice, and nobody has edited that.
    office.tell(worklog(9, seconds=3600))
    assert office.printed(TODAY) == [(LOGIN, "1.00", 12000)]
    assert states(office) == ["standing", "standing"]


def test_edits_are_on_the_draft_that_bills_again_what_was_on_a_void_invoice(
    office: Office,
) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: stripe\nafter_push: finalize")
    office.activate()
    three_lines(office)
    edit(office, NewText(1, "Login, as agreed"))
    edit(office, NewOrder((3,)))
    edit(office, Discount("For you", amount=Decimal("40.00")))
    office.bill(OCTOBER)
    office.stripe.happen("void", office.invoice(OCTOBER)["remote_id"])
    office.deliver_mail()
    assert office.printed(f"{OCTOBER}-2") == [
        (SEARCH, "2.00", 24000),
        ("Login, as agreed", "1.00", 12000),
        (BEN, "1.00", 8000),
        ("For you", "-1.00", -4000),
    ]
    assert states(office) == ["standing"] * 3
    assert office.violations() == []


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ("update line_item set invoice_id = 1 where id = 1", "is held back by a person"),
        ("update draft_edit set state = 'undone' where kind = 'hold'", "is open, but on no draft"),
        (
            "update line_item set edit_id = null where kind = 'discount'",
            "names no rule",
        ),
    ],
)
def test_the_audit_sees_what_is_wrong_with_edits(office: Office, planted: str, told: str) -> None:
    three_lines(office)
    edit(office, HoldBack(1))
    edit(office, Discount("For you", percent=Decimal(10)))
    assert office.violations() == []
    office.line.database.write(lambda connection: connection.execute(text(planted)))
    assert any(told in each for each in office.violations()), office.violations()
