"""Whatever stops is in one list, with reason, age and amount at risk, and its command goes on.

The states are those that the audit knows (`ledger/audit/reasons.py`, `states.py`): a state that is
added there has to be in the list, or be named here as one that needs nobody.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Table, update

import clock
from app import create_app
from ledger import held, tables
from ledger.audit import reasons, states
from ledger.claims import MOST_ATTEMPTS, NEVER
from ledger.held_kinds import PASSED_OVER, Kind, kinds_of
from ledger.money import Money
from tests.journeys.house import issue, worklog
from tests.journeys.office import JIRA_ASKED, Office, open_office

OCTOBER = "acme-2026-10"
NEEDS_NOBODY = {
    (tables.subject, "nothing"),
    (tables.subject, "gone"),
    (tables.invoice, "draft"),
    (tables.invoice, "approved"),
    (tables.invoice, "pushed"),
    (tables.invoice, "canceled"),
    *((table, state) for table, fine in reasons._FINE.items() for state in fine),
} - {(tables.fact, "unknown")}
"""States that speak for themselves: nothing is lost if nobody ever looks at them."""
STATES = sorted(
    {
        *((table, state) for table, fine in reasons._FINE.items() for state in fine),
        *((table, state) for table, told in reasons._WITH_REASON.items() for state in told),
        *((tables.invoice, state) for state in states.EDGES if state is not None),
    },
    key=lambda pair: (pair[0].name, pair[1]),
)


@pytest.fixture
def firm(office: Office) -> Office:
    """Give an office with something in every table, in which Jira is asked and told."""
    return filled(office)


@pytest.fixture
def small_firm(tmp_path: Path, sqlite_url: str) -> Iterator[Office]:
    """Give such an office on SQLite only."""
    with open_office(tmp_path, sqlite_url) as office:
        yield filled(office)


def filled(office: Office) -> Office:
    office.jira.add_project(10000, "ACME", "Acme")
    office.jira.add_issue(7, "ACME-7", "Login")
    jira = 'jira: {tool: jira, secret: ["${SECRET}", "${OLD_SECRET}"]'
    office.change("workspace.yaml", jira, jira + JIRA_ASKED)
    office.activate()
    clock.tick(office.line, 1)
    office.tell(issue(7), worklog(1, seconds=3600))
    (bill,) = office.rows(tables.invoice)
    now = office.clock.now()
    report = {"endpoint": "jira", "marker": "m", "invoice_id": bill["id"], "subject": "worklog:1"}

    def keep(connection: Any) -> None:
        leased = {"next_at": now, "state": "told"}
        hint = {"endpoint": "jira", "subject": "worklog:1"}
        connection.execute(tables.hint.insert().values(**leased, **hint))
        connection.execute(tables.report.insert().values(**leased, **report, content={}))
        # The draft is of October: it waits for its approval since then.
        due = update(tables.invoice).values(due_at=now + timedelta(days=1))
        connection.execute(due)

    office.line.database.write(keep)
    return office


def run(office: Office, command: str) -> Result:
    """Run what the list says is to be run."""
    program, *words = shlex.split(command)
    assert program == "flask"
    app = create_app(office.line)
    return app.test_cli_runner().invoke(app.cli, words, catch_exceptions=False)


def waits(office: Office, *kinds: str) -> list[held.Held]:
    with office.line.database.read() as connection:
        return held.list_held(connection, office.clock.now(), limit=200, kinds=kinds)


def set_state(office: Office, table: Table, state: str) -> int:
    """Put the first row of a table into a state; return its id."""
    row = office.rows(table)[-1] if table is tables.delivery else office.rows(table)[0]
    values: dict[str, Any] = {"state": state, "next_at": office.clock.now()}
    if table is tables.invoice:
        values |= {"reasons": ["no purchase order"]}
    elif (table, state) not in NEEDS_NOBODY:
        values |= {"reason": "because of this"}

    def change(connection: Any) -> None:
        connection.execute(update(table).where(table.c.id == row["id"]).values(**values))
        if table is tables.fact:
            connection.execute(
                update(tables.subject).values(state="held", reason="x", about=row["about"])
            )

    office.line.database.write(change)
    return int(row["id"])


@pytest.mark.parametrize(
    ("table", "state"), STATES, ids=[f"{table.name}-{state}" for table, state in STATES]
)
def test_every_state_that_needs_a_person_is_in_the_list_and_its_command_goes_on(
    small_firm: Office, table: Table, state: str
) -> None:
    firm = small_firm
    row_id = set_state(firm, table, state)
    kinds = [name for name, kind in every_kind(firm).items() if kind.table is table]
    found = [each for each in waits(firm, *kinds) if each.id == row_id] if kinds else []
    if (table, state) in NEEDS_NOBODY:
        assert found == [], f"{table.name} {state} is in the list"
        return
    assert len(found) == 1, f"{table.name} {state} rests unseen: declare it in ledger/held.py"
    (each,) = found
    expected = "no purchase order" if table is tables.invoice else "because of this"
    assert each.reason == expected
    assert each.since is not None
    told = run(firm, each.go_on)
    assert told.exit_code == 0, told.output
    firm.settle()
    row = next(row for row in firm.rows(table) if row["id"] == row_id)
    if table is tables.delivery:
        # It was read again, and was as it should be.
        assert row["reason"] != "because of this"
    else:
        assert row["state"] != state


def every_kind(office: Office) -> dict[str, Kind]:
    return kinds_of(office.clock.now()) | PASSED_OVER


def test_a_held_entry_says_since_when_and_keeps_its_age_while_it_is_judged_again(
    firm: Office,
) -> None:
    firm.tell(worklog(2, seconds=3600, account="acc-zoe"))
    begun = firm.clock.now()
    firm.clock.go_on(3600)
    assert run(firm, "flask events remap --held").exit_code == 0
    firm.settle()
    (each,) = waits(firm, "subject")
    assert each.since == begun
    assert each.what == "worklog:2"
    assert 'unknown person "acc-zoe"' in each.reason
    # Once it is priced, nothing is left of it.
    zoe = "people:\n  - {person: Zoe, role: senior, accounts: {jira: acc-zoe}}"
    firm.change("workspace.yaml", "people:", zoe)
    firm.activate()
    assert waits(firm, "subject") == []
    assert {row["since_at"] for row in firm.rows(tables.subject)} == {None}


def test_what_stands_on_drafts_is_at_risk_where_one_amount_can_be_named(firm: Office) -> None:
    firm.line.database.write(
        lambda connection: connection.execute(update(tables.customer).values(state="failed"))
    )
    (each,) = waits(firm, "customer")
    assert each.at_risk == Money(12000, "EUR")
    firm.line.database.write(
        lambda connection: connection.execute(update(tables.subject).values(state="failed"))
    )
    (each,) = waits(firm, "subject")
    assert each.at_risk == Money(12000, "EUR")
    firm.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated", account="acc-zoe"))
    # Nobody knows yet what it is worth now.
    (each,) = waits(firm, "subject")
    assert each.at_risk is None


def test_a_single_held_entry_is_priced_again_by_its_number(firm: Office) -> None:
    firm.tell(*(worklog(number, seconds=60, account="acc-zoe") for number in (2, 3)))
    first, second = waits(firm, "subject")
    assert first.go_on == f"flask events remap {first.id}"
    assert run(firm, first.go_on).output == "1 subjects are priced again.\n"
    rows = {row["id"]: row["state"] for row in firm.rows(tables.subject)}
    assert (rows[first.id], rows[second.id]) == ("waiting", "held")
    told = run(firm, "flask events remap 99")
    assert told.exit_code == 1
    assert "99 cannot be priced again" in told.output


def test_a_draft_waits_for_its_approval_once_its_period_is_over(firm: Office) -> None:
    assert waits(firm, "approval") == []
    firm.clock.go_on(2 * 86_400)
    (each,) = waits(firm, "approval")
    assert (each.what, each.at_risk) == (OCTOBER, Money(12000, "EUR"))
    assert run(firm, each.go_on).exit_code == 0
    assert waits(firm, "approval") == []


@pytest.mark.parametrize("name", ["retry", "push"])
def test_an_invoice_that_has_stopped_goes_on_by_either_name(firm: Office, name: str) -> None:
    firm.approve(OCTOBER)

    def stop(connection: Any) -> None:
        stopped = {"problem": "the totals differ", "next_at": NEVER}
        connection.execute(update(tables.invoice).values(**stopped))

    firm.line.database.write(stop)
    firm.settle()
    (each,) = waits(firm, "push")
    assert each.at_risk == Money(12000, "EUR")
    assert each.go_on == f"flask invoices retry {OCTOBER}"
    assert run(firm, each.go_on.replace("retry", name)).exit_code == 0
    firm.settle()
    assert waits(firm, "push") == []
    assert firm.invoices() == {OCTOBER: ("pushed", 12000)}


def test_a_draft_that_could_not_be_judged_is_in_the_list_and_goes_on(firm: Office) -> None:
    stopped = {"problem": "approve has stopped the worker", "next_at": NEVER}
    stopped |= {"attempts": MOST_ATTEMPTS, "unended": MOST_ATTEMPTS}
    firm.line.database.write(
        lambda connection: connection.execute(update(tables.invoice).values(**stopped))
    )
    (each,) = waits(firm, "invoice")
    assert each.reason == "approve has stopped the worker"
    assert run(firm, each.go_on).exit_code == 0
    assert waits(firm, "invoice") == []
    assert firm.rows(tables.invoice)[0]["next_at"] == firm.clock.now()


def test_everything_of_a_customer_goes_on_together(firm: Office) -> None:
    firm.approve(OCTOBER)

    def stop(connection: Any) -> None:
        connection.execute(update(tables.invoice).values(problem="away", next_at=NEVER))
        connection.execute(update(tables.customer).values(state="failed", reason="an error"))

    firm.line.database.write(stop)
    assert run(firm, "flask invoices retry --customer acme").exit_code == 0
    firm.settle()
    assert firm.invoices() == {OCTOBER: ("pushed", 12000)}
    assert waits(firm, "customer", "push") == []
    assert run(firm, "flask invoices retry --customer nobody").exit_code == 1
    assert run(firm, "flask invoices retry").exit_code == 2


def test_what_was_passed_over_is_summed_up_and_still_reachable(firm: Office) -> None:
    for number in (8, 9):
        firm.tell(issue(number))
    told = json.loads(run(firm, "flask waiting --json").output)
    assert told["held"] == []
    (summed_up,) = told["passed_over"]
    assert (summed_up["kind"], summed_up["where"], summed_up["count"]) == ("ignored", "jira", 3)
    each = waits(firm, "ignored")
    assert len(each) == 3
    assert run(firm, each[0].go_on).exit_code == 0


def test_the_command_lists_pages_and_filters(firm: Office) -> None:
    assert "Nothing waits for a person." in run(firm, "flask waiting").output
    firm.tell(*(worklog(number, seconds=60, account="acc-zoe") for number in (2, 3, 4)))
    firm.clock.go_on(2 * 86_400)
    first = run(firm, "flask waiting --limit 2").output
    assert "worklog:2 for 2 d" in first
    assert "-> flask events remap" in first
    assert "120.00 EUR at risk" not in first
    (after,) = (line for line in first.splitlines() if line.startswith("There may be more: "))
    rest = run(firm, after.removeprefix("There may be more: ")).output
    assert "worklog:4" in rest
    assert f"acme: {OCTOBER} for 1 d, 120.00 EUR at risk" in rest
    assert "worklog:2" not in rest
    only = json.loads(run(firm, "flask waiting --json --customer acme").output)
    assert {each["kind"] for each in only["held"]} == {"subject", "approval"}
    assert run(firm, "flask waiting --customer beta").output == "Nothing waits for a person.\n"
    assert run(firm, "flask waiting --after nothing").exit_code == 2


def test_a_draft_that_somebody_changed_at_the_billing_system_waits_for_a_decision(
    firm: Office,
) -> None:
    found: dict[str, Any] = {
        "theirs": {},
        "differences": ["another text"],
        "seen_at": "",
        "kept": None,
    }
    told = {"state": "blocked", "conflict": found, "reasons": ["somebody has changed it"]}
    firm.line.database.write(
        lambda connection: connection.execute(update(tables.invoice).values(**told))
    )
    (each,) = waits(firm, "conflict", "invoice")
    assert (each.kind, each.at_risk) == ("conflict", Money(12000, "EUR"))
    assert each.go_on == f"flask invoices resolve {OCTOBER} --keep theirs"
    decided = {**found, "kept": "ours"}
    firm.line.database.write(
        lambda connection: connection.execute(update(tables.invoice).values(conflict=decided))
    )
    (each,) = waits(firm, "conflict", "invoice")
    assert each.kind == "invoice"
