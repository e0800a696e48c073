"""The plan is what the line does: activating afterwards gives the same lines and drafts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select

import planning
import worker
from ledger import changes, replay, tables
from ledger.changes import Change, Draft
from ledger.database import Database
from ledger.events import canonical_json
from line import Line
from mappings.book import Book
from planning import Act, Rehearsal, activation, rehearse
from tests.databases import copy_sqlite
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone, open_office, total

OCTOBER, TODAY, PHASE = "acme-2026-10", "acme-2026-11", "acme-2026-10-05"
AUTUMN: Final = date(2026, 10, 1)
CHANGES: Final[dict[str, tuple[str, str, str]]] = {
    "rate": ("acme.yaml", "hourly: 120.00", "hourly: 130.00"),
    "rate in the middle of the month": (
        "acme.yaml",
        "rates:\n",
        "rates:\n  - {role: senior, from: 2026-10-15, hourly: 140.00}\n",
    ),
    "rounding": ("acme.yaml", "up to 15 minutes", "up to 6 minutes"),
    "text": ("acme.yaml", "engineering, {item}", "work on {item}"),
    "lines of their own": ("acme.yaml", "      one_line_per: [item, person]\n", ""),
    "terms": ("acme.yaml", "net 30", "net 14"),
    "terms of another": ("beta.yaml", "net 30", "net 14"),
    "no address": ("beta.yaml", "billing_email: ap@beta.example\n", ""),
    "a person": (
        "workspace.yaml",
        "people:\n",
        "people:\n  - {person: Zoe, role: senior, accounts: {jira: acc-zoe}}\n",
    ),
    "a project": ("acme.yaml", "project: [ACME,", "project: [ACME, GAMMA,"),
    "a project of two": ("acme.yaml", "project: [ACME,", "project: [ACME, BETA,"),
    "a price": ("acme.yaml", "unit_price: 4500.00", "unit_price: 4750.00"),
    "weekly": ("acme.yaml", "invoice: monthly", "invoice: weekly"),
    "a name": ("acme.yaml", "rule: Engineering hours", "rule: Hours"),
    "a line more": ("acme.yaml", "rates:\n", "# The rates of the year.\nrates:\n"),
    "free": (
        "acme.yaml",
        "rules:\n",
        "rules:\n  - {rule: Free, when: {item: ACME-9}, bill: nothing}\n",
    ),
    "another currency": ("acme.yaml", "currency: EUR", "currency: USD"),
}


def busy_month(office: Office) -> None:
    """Tell and bill what a month brings: late, held, corrected, pushed, canceled and approved."""
    office.tell(issue(7), issue(8, project="BETA"), issue(9, title="Search"))
    office.tell(*(worklog(number, seconds=3000 + 60 * number) for number in range(1, 5)))
    office.tell(worklog(5, seconds=1800, account="acc-ben", issue_id=9))
    office.bill(OCTOBER)
    office.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    office.tell(worklog(2, seconds=3600, version=2, kind="worklog_deleted"))
    office.tell(worklog(6, seconds=1234, day=20), worklog(7, seconds=5000, issue_id=9, day=28))
    office.tell(worklog(8, seconds=4000, account="acc-zoe", day=9), worklog(9, seconds=100_000))
    office.tell(worklog(10, seconds=4000, issue_id=77), total(9000, version=3))
    office.tell(worklog(20, seconds=3600, issue_id=8), worklog(21, seconds=400, issue_id=8))
    closed = milestone("closed", at="2026-10-05T08:00:00Z")
    again = milestone("closed", at="2026-10-06T08:00:00Z", number=4)
    office.tell(closed, again, endpoint="github")
    # A draft whose only line is gone again.
    opened = milestone("opened", at="2026-10-06T09:00:00Z", number=4)
    office.tell(opened, endpoint="github")
    office.tell(worklog(30, seconds=3600, issue_id=10), issue(10, project="GAMMA"))
    office.approve("beta-2026-10")


def change(office: Office, name: str) -> None:
    """Make one of `CHANGES`, where it can be made still."""
    file, old, new = CHANGES[name]
    if not new or new not in office.rules[file]:
        office.rules[file] = office.rules[file].replace(old, new, 1)


def try_out(office: Office, since: date | None) -> Act[Any]:
    return activation(office.line, Book.load(office.rules), since=since, by="mia")


def activate(office: Office, since: date | None) -> None:
    """Activate the rules, then price and assemble, and nothing else."""
    book = Book.load(office.rules)
    askable = office.line.askable(book)
    now = office.clock.now()
    office.line.database.write(
        lambda connection: planning.activate(
            connection, book, askable, since=since, by="mia", now=now
        )
    )
    price(office.line)


def price(line: Line) -> None:
    stages = [stage for stage in worker.STAGES if stage.name in ("map", "assemble")]
    while sum(worker.run(line, stage) for stage in stages):
        pass


def written(database: Database) -> dict[str, list[str]]:
    """Return every byte that pricing and assembling have written, without the rows' own ids."""
    with database.read() as connection:
        references = dict(
            connection.execute(select(tables.invoice.c.id, tables.invoice.c.reference)).all()
        )

        def rows(table: Table, *but: str) -> list[str]:
            found = []
            for row in connection.execute(select(table)).mappings():
                told = {name: value for name, value in row.items() if name not in ("id", *but)}
                told["invoice_id"] = references.get(told.get("invoice_id"))
                if told["state"] != "withdrawn":
                    found.append(canonical_json(told))
            return sorted(found)

        return {
            "lines": rows(tables.line_item),
            "invoices": rows(tables.invoice),
            "subjects": rows(tables.subject),
            "customers": rows(tables.customer),
        }


def check_that_the_plan_comes_true(office: Office, since: date | None) -> None:
    before = written(office.line.database)
    with rehearse(office.line, try_out(office, since)) as rehearsal:
        planned = written(rehearsal.scratch)
        check_that_the_plan_adds_up(rehearsal)
        assert rehearsal.failed == []
    assert written(office.line.database) == before
    activate(office, since)
    assert written(office.line.database) == planned


def check_that_the_plan_adds_up(rehearsal: Rehearsal) -> None:
    """Check that the changes of lines are those of the drafts, and these those in all."""
    with rehearsal.look() as connection:
        by_customer: dict[tuple[str, str], int] = {}
        for draft in changes.drafts(connection):
            some = list(changes.changes_of(connection, draft))
            each = list(changes.changes_of(connection, draft, each_line=True))
            for kind in (some, each):
                gained = sum(one.after - one.before for one in kind)
                assert gained == draft.after - draft.before or not draft.reference, draft
            assert sum(one.count for one in some) == len(each)
            key = (draft.customer, draft.currency)
            by_customer[key] = by_customer.get(key, 0) + draft.after - draft.before
        told = {
            (each.customer, each.currency): each.after - each.before
            for each in changes.totals(connection)
        }
        assert told == {key: gained for key, gained in by_customer.items() if gained}


def planned(
    office: Office, since: date | None = None, *, each_line: bool = False
) -> list[tuple[Draft, list[Change]]]:
    """Return what a plan shows."""
    with rehearse(office.line, try_out(office, since)) as plan, plan.look() as connection:
        return [
            (draft, list(changes.changes_of(connection, draft, each_line=each_line)))
            for draft in changes.drafts(connection)
        ]


@pytest.mark.parametrize("since", [None, AUTUMN, date(2026, 10, 15)])
def test_activating_after_a_plan_gives_what_was_planned(office: Office, since: date | None) -> None:
    busy_month(office)
    for name in ("rate", "rounding", "terms", "a person", "free", "terms of another"):
        change(office, name)
    check_that_the_plan_comes_true(office, since)
    # And once more, from where that has led.
    for name in ("a project of two", "weekly", "rate in the middle of the month"):
        change(office, name)
    check_that_the_plan_comes_true(office, since)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """Give an SQLite file with the busy month in it."""
    folder = tmp_path_factory.mktemp("month")
    path = folder / "month.sqlite3"
    with open_office(folder, copy_sqlite(sqlite_template, path)) as office:
        busy_month(office)
    return path


STEPS: Final = st.lists(
    st.tuples(
        st.sets(st.sampled_from(sorted(CHANGES)), max_size=4),
        st.sampled_from([None, AUTUMN, date(2026, 10, 4), date(2026, 10, 28)]),
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(STEPS)
def test_any_change_of_rules_comes_true(month: Path, steps: list[tuple[set[str], Any]]) -> None:
    with TemporaryDirectory() as folder:
        url = copy_sqlite(month, Path(folder) / "copy.sqlite3")
        with open_office(Path(folder), url) as office:
            for names, since in steps:
                for name in sorted(names):
                    change(office, name)
                check_that_the_plan_comes_true(office, since)


@pytest.mark.parametrize("what", ["held", "all", "acme", AUTUMN])
def test_a_remap_comes_true(office: Office, what: str | date) -> None:
    busy_month(office)
    change(office, "rate")
    activate(office, None)
    do: Callable[..., int]
    if isinstance(what, date):
        judged = replay.unbilled_since(what)
        do = lambda connection, now: replay.remap_since(connection, what, actor="mia", now=now)  # noqa: E731
    elif what == "acme":
        judged = replay.unbilled_of(what)
        do = lambda connection, now: replay.remap_customer(connection, what, actor="mia", now=now)  # noqa: E731
    else:
        judged = replay.HELD if what == "held" else replay.UNBILLED
        remap = replay.remap_held if what == "held" else replay.remap_all
        do = lambda connection, now: remap(connection, actor="mia", now=now)  # noqa: E731
    with rehearse(office.line, Act(do, judged)) as rehearsal:
        expected = written(rehearsal.scratch)
    office.line.database.write(lambda connection: do(connection, office.clock.now()))
    price(office.line)
    assert written(office.line.database) == expected


def told(changes_: list[Change]) -> list[tuple[tuple[str, ...], int, int, int]]:
    return [(each.why, each.count, each.before, each.after) for each in changes_]


def test_a_new_rate_is_shown_by_its_steps_and_equal_changes_together(office: Office) -> None:
    office.tell(issue(7), *(worklog(number, seconds=3600) for number in range(1, 4)))
    office.tell(worklog(4, seconds=3600, account="acc-ben"))
    change(office, "rate")
    change(office, "a line more")
    assert planned(office) == []
    ((draft, (rate,)),) = planned(office, AUTUMN)
    assert (draft.reference, draft.state_before, draft.state_after) == (OCTOBER, "draft", "draft")
    assert (draft.before, draft.after, draft.terms) == (44000, 47000, ())
    assert told([rate]) == [(("unit price 120.00 -> 130.00",), 3, 36000, 39000)]
    assert rate.steps_before == (
        "rate 120.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:12)",
        "1.00 x 120.00 = 120.00 EUR",
    )
    assert rate.steps_after[0].startswith("rate 130.00 EUR per hour")
    ((_, each),) = planned(office, AUTUMN, each_line=True)
    assert [(one.count, one.before, one.after) for one in each] == [(1, 12000, 13000)] * 3


def test_only_work_from_the_day_on_is_priced_again(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600, day=14), worklog(2, seconds=3600, day=15))
    change(office, "rate")
    ((draft, _),) = planned(office, date(2026, 10, 15))
    assert (draft.before, draft.after) == (24000, 25000)


def test_what_was_held_and_what_will_be_is_shown_with_the_reason(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600, account="acc-zoe"), worklog(2, seconds=3600))
    change(office, "a person")
    ((draft, (found,)),) = planned(office)
    assert (draft.before, draft.after) == (12000, 24000)
    assert found.why[0].startswith('was held: rule "Engineering hours": unknown person "acc-zoe"')
    assert (found.before, found.after, found.steps_before) == (0, 12000, ())
    assert found.steps_after[-1] == "1.00 x 120.00 = 120.00 EUR"
    activate(office, None)
    office.rules["workspace.yaml"] = office.rules["workspace.yaml"].replace("acc-zoe", "acc-zo")
    ((draft, (found,)),) = planned(office, AUTUMN)
    assert (draft.before, draft.after) == (24000, 12000)
    assert found.why[0].startswith('is held: rule "Engineering hours": unknown person "acc-zoe"')
    assert (found.before, found.after, found.steps_after) == (12000, 0, ())


def test_what_is_held_for_another_reason_is_on_no_draft(office: Office) -> None:
    office.tell(worklog(1, seconds=3600, issue_id=8), issue(8, project="GAMMA"))
    change(office, "a project")
    office.change("acme.yaml", "rules:\n", "rules:\n  - {rule: Ours, when: {}, bill: nothing}\n")
    office.change("acme.yaml", "when: {}", "when: {project: GAMMA}")
    ((draft, (found,)),) = planned(office)
    assert (draft.customer, draft.reference, draft.state_after) == ("acme", "", None)
    assert (found.currency, found.count) == ("", 1)
    was, now = found.why
    assert was.startswith('was held: no customer takes project "GAMMA"')
    assert now.startswith('is not billed: rule "Ours"')


def test_new_terms_show_on_drafts_without_pricing_anything(office: Office) -> None:
    office.tell(issue(8, project="BETA"), worklog(1, seconds=3600, issue_id=8))
    office.approve("beta-2026-10")
    change(office, "terms of another")
    ((draft, lines),) = planned(office)
    assert (draft.state_before, draft.state_after, lines) == ("approved", "draft", [])
    assert draft.terms == ("days until it is due: 30 -> 14",)
    change(office, "no address")
    ((draft, _),) = planned(office)
    assert draft.state_after == "blocked"
    assert "email: ap@beta.example -> none" in draft.terms
    assert any(each.startswith("blocked: nobody to send it to") for each in draft.terms)


def test_lines_that_move_are_shown_on_both_drafts(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, day=28))
    change(office, "weekly")
    found = {draft.reference: (draft, lines) for draft, lines in planned(office, AUTUMN)}
    assert sorted(found) == [OCTOBER, "acme-2026-W40", "acme-2026-W44"]
    old, moves = found[OCTOBER]
    assert (old.state_after, old.before, old.after) == ("canceled", 24000, 0)
    assert [each.why[-1] for each in moves] == [
        "moves to acme-2026-W40",
        "moves to acme-2026-W44",
    ]
    new, comes = found["acme-2026-W40"]
    assert (new.state_before, new.before, new.after) == (None, 0, 12000)
    assert [each.why[-1] for each in comes] == [f"comes from {OCTOBER}"]
    assert [(each.before, each.after) for each in moves] == [(12000, 0), (12000, 0)]
    assert [(each.before, each.after) for each in comes] == [(0, 12000)]


def test_what_is_billed_is_not_in_a_plan(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    change(office, "rate")
    assert planned(office, AUTUMN) == []


def test_deliveries_that_are_not_read_yet_are_counted(office: Office) -> None:
    assert office.post(issue(7)) == 202
    with rehearse(office.line, try_out(office, None)) as rehearsal:
        assert rehearsal.unread == 1


def test_a_plan_leaves_no_file_behind(office: Office) -> None:
    with rehearse(office.line, try_out(office, None)) as rehearsal:
        path = Path(str(rehearsal.scratch.engine.url.database))
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.parent.exists()


def test_what_was_free_is_priced_again_since_a_day(office: Office) -> None:
    before = office.rules["acme.yaml"]
    office.tell(issue(9), worklog(1, seconds=3600, issue_id=9))
    change(office, "free")
    activate(office, AUTUMN)
    office.rules["acme.yaml"] = before
    ((draft, _),) = planned(office, AUTUMN)
    assert (draft.before, draft.after) == (0, 12000)


def test_a_total_is_planned_by_all_that_was_told_of_it(office: Office) -> None:
    office.tell(issue(7), total(3600, version=1, before=600), total(7200, version=2, before=3600))
    change(office, "rate")
    check_that_the_plan_comes_true(office, AUTUMN)
