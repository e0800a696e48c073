"""Work that is opened again after it was billed: taken back, left to a person, or told of."""

from __future__ import annotations

import json
from functools import partial

import pytest
from flask import Flask

from console.commands.events import events
from ledger import tables
from ledger.audit import audit
from ledger.listings import find_invoice
from ledger.settling import SettleError, settle
from tests.journeys.office import Office, milestone

FIRST, TODAY = "acme-2026-10-05", "acme-2026-11-22"
RULE = 'when: {event: milestone.completed, title: "Phase *"}\n'


def rule_says(office: Office, word: str) -> None:
    office.change("acme.yaml", RULE, f"{RULE}    reopened: {word}\n")
    office.activate()


def tell(office: Office, action: str, hour: int) -> None:
    office.tell(milestone(action, at=f"2026-10-05T{hour:02d}:00:00Z"), endpoint="github")


def decide(office: Office, decision: str) -> None:
    office.line.database.write(
        partial(
            settle,
            name=subject(office),
            decision=decision,
            endpoint=None,
            actor="mia",
            now=office.clock.now(),
        )
    )
    office.settle()


def subject(office: Office) -> str:
    return str(office.rows(tables.subject)[0]["name"])


def notes(office: Office) -> list[str]:
    with office.line.database.read() as connection:
        found = find_invoice(connection, FIRST)
    return list(found["notes"]) if found else []


def is_sound(office: Office) -> bool:
    with office.line.database.read() as connection:
        return audit(connection, office.clock.now()) == []


@pytest.mark.parametrize("word", ["credit", "hold", "flag"])
def test_what_is_not_billed_is_off_its_draft_whatever_the_rule_says(
    office: Office, word: str
) -> None:
    rule_says(office, word)
    tell(office, "closed", 8)
    assert office.invoices() == {FIRST: ("draft", 450000)}
    tell(office, "opened", 9)
    assert (office.invoices(), office.held(), notes(office)) == ({}, {}, [])
    tell(office, "closed", 10)
    assert office.invoices() == {FIRST: ("draft", 450000)}
    assert is_sound(office)


def test_flagged_work_stays_billed_with_a_note_in_plain_sight(office: Office) -> None:
    rule_says(office, "flag")
    tell(office, "closed", 8)
    office.bill(FIRST)
    tell(office, "opened", 9)
    assert office.invoices() == {FIRST: ("pushed", 450000)}
    told = f"it was opened again after it was billed on {FIRST}; it stays billed (flag)"
    assert notes(office) == [f"{subject(office)}: {told}"]
    assert [each["told"] for each in office.log("subject.reopened")] == [told]
    # Looked at again it is told once.
    tell(office, "opened", 9)
    tell(office, "opened", 10)
    assert len(office.log("subject.reopened")) == 1
    assert is_sound(office)
    tell(office, "closed", 11)
    assert (office.invoices(), notes(office)) == ({FIRST: ("pushed", 450000)}, [])
    assert is_sound(office)


def test_held_work_stays_billed_until_a_person_decides(office: Office) -> None:
    rule_says(office, "hold")
    tell(office, "closed", 8)
    office.bill(FIRST)
    tell(office, "opened", 9)
    assert office.invoices() == {FIRST: ("pushed", 450000)}
    assert f"`flask events settle {subject(office)}`" in office.held()[subject(office)]
    assert is_sound(office)
    decide(office, "keep")
    assert (office.invoices(), office.held()) == ({FIRST: ("pushed", 450000)}, {})
    assert "a person decided so" in notes(office)[0]
    assert is_sound(office)
    # The decision may be changed while the work is open.
    decide(office, "take back")
    assert office.invoices() == {FIRST: ("pushed", 450000), TODAY: ("blocked", -450000)}
    assert is_sound(office)
    tell(office, "closed", 10)
    assert (office.invoices(), notes(office)) == ({FIRST: ("pushed", 450000)}, [])
    # Opened once more, it is asked anew.
    tell(office, "opened", 11)
    assert list(office.held()) == [subject(office)]
    assert [each["decision"] for each in office.log("subject.settled")] == ["keep", "take back"]


def test_a_decision_is_forgotten_by_work_that_is_completed_and_at_once_open_again(
    office: Office,
) -> None:
    rule_says(office, "hold")
    tell(office, "closed", 8)
    office.bill(FIRST)
    tell(office, "opened", 9)
    decide(office, "take back")
    again = (
        milestone(action, at=f"2026-10-05T{hour}:00:00Z")
        for action, hour in (("closed", 10), ("opened", 11))
    )
    office.tell(*again, endpoint="github")
    assert list(office.held()) == [subject(office)]
    assert office.invoices() == {FIRST: ("pushed", 450000)}
    assert is_sound(office)


def test_it_is_decided_by_a_command(office: Office) -> None:
    app = Flask("billhook")
    app.extensions["billhook"] = office.line
    app.cli.add_command(events)
    run = app.test_cli_runner()
    rule_says(office, "hold")
    tell(office, "closed", 8)
    office.bill(FIRST)
    tell(office, "opened", 9)
    words = ["events", "settle", subject(office)]
    assert (
        run.invoke(args=words).exit_code
        == run.invoke(args=[*words, "--keep", "--take-back"]).exit_code
        == 2
    )
    unknown = run.invoke(args=["events", "settle", "no-such", "--keep"])
    assert (unknown.exit_code, "no such subject" in unknown.stderr) == (1, True)
    done = run.invoke(args=[*words, "--keep", "--endpoint", "github"])
    assert (done.exit_code, "stays billed" in done.stdout) == (0, True)
    office.settle()
    assert office.held() == {}
    done = run.invoke(args=[*words, "--take-back", "--json"])
    assert json.loads(done.stdout)["decision"] == "take back"
    office.settle()
    assert office.log("subject.settled")[1]["decision"] == "take back"


def test_the_rule_counts_under_which_it_was_billed(office: Office) -> None:
    rule_says(office, "flag")
    tell(office, "closed", 8)
    office.bill(FIRST)
    office.change("acme.yaml", "reopened: flag", "reopened: credit")
    office.activate()
    tell(office, "opened", 9)
    assert office.invoices() == {FIRST: ("pushed", 450000)}


def test_nothing_is_decided_about_what_does_not_wait(office: Office) -> None:
    tell(office, "closed", 8)
    with pytest.raises(SettleError, match="no billed work that was opened again"):
        decide(office, "keep")
    office.bill(FIRST)
    tell(office, "opened", 9)
    with pytest.raises(SettleError, match="no billed work that was opened again"):
        decide(office, "keep")
