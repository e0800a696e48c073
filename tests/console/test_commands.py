"""The commands: what they print is true, a mistake is one line, success alone exits 0."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import update

from ledger import tables
from ledger.audit import audit
from ledger.claims import NEVER
from ledger.held_kinds import NOT_READ
from tests.console.conftest import RecordingDoorbell
from tests.ledger.seed import NOW, SmallFirm, logged

DRAFT = "acme-2026-11"


def _ran(command_line: FlaskCliRunner, words: str, *more: str) -> str:
    """Run a command that succeeds; return what it printed."""
    result = command_line.invoke(args=[*words.split(), *more])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def _json(command_line: FlaskCliRunner, words: str, *more: str) -> Any:
    return json.loads(_ran(command_line, words, *more, "--json"))


def _failed(command_line: FlaskCliRunner, words: str, *more: str) -> str:
    """Run a command that fails; return its one line."""
    result: Result = command_line.invoke(args=[*words.split(), *more])
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.mark.parametrize(
    "words",
    [
        *("invoices list", f"invoices show {DRAFT}", f"invoices explain {DRAFT}"),
        *("events list", "events remap", "events replay 1", f"invoices push {'acme-2026-10'}"),
        *("tokens list", "signin-link", "tokens create ann --role viewer"),
        f"invoices approve {DRAFT}",
    ],
)
def test_every_command_prints_something_for_people_and_json_for_programs(
    command_line: FlaskCliRunner, words: str
) -> None:
    assert isinstance(json.loads(_ran(command_line, words, "--json")), (dict, list))
    if not words.startswith(("tokens create", "invoices approve")):
        assert _ran(command_line, words).strip()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("invoices show no-such", "no-such: no such invoice"),
        ("invoices explain no-such", "no-such: no such invoice"),
        (f"invoices explain {DRAFT} --line 9", "there is no line 9"),
        ("invoices approve no-such", "no-such: no such invoice"),
        ("invoices approve acme-2026-10", "is pushed, and only a draft"),
        (f"invoices approve {DRAFT} --hash {'0' * 64}", "has changed since it was shown"),
        (f"invoices push {DRAFT}", f"flask invoices approve {DRAFT}"),
        ("invoices push no-such", "no-such: no such invoice"),
        ("events replay 1 999", "there is no 999"),
        ("tokens revoke nobody", "none named nobody holds"),
    ],
)
def test_a_mistake_is_one_clear_line(command_line: FlaskCliRunner, words: str, told: str) -> None:
    assert told in _failed(command_line, words)


@pytest.mark.parametrize(
    "words",
    ["invoices list", "events list", "tokens list", "events remap", f"invoices approve {DRAFT}"],
)
def test_a_database_without_tables_is_one_clear_line(
    command_line: FlaskCliRunner, firm: SmallFirm, words: str
) -> None:
    firm.database.write(lambda connection: tables.metadata.drop_all(connection))
    assert "flask db upgrade" in _failed(command_line, words)


def test_invoices_are_listed_newest_first_and_by_state(command_line: FlaskCliRunner) -> None:
    every = [each["reference"] for each in _json(command_line, "invoices list")]
    assert every == [DRAFT, "beta-2026-10", "acme-2026-10"]
    drafts = _json(command_line, "invoices list --state draft --customer acme")
    assert [each["reference"] for each in drafts] == [DRAFT]
    assert "4891.11 EUR" in _ran(command_line, "invoices list")


def test_an_invoice_is_shown_with_all_that_an_approval_signs(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    shown = _ran(command_line, "invoices show acme-2026-10")
    content_hash = firm.invoices()["acme-2026-10"]["content_hash"]
    for told in ("acme-2026-10: 4891.11 EUR", content_hash, "by mia", "partially_paid", "4500.00"):
        assert told in shown


def test_approving_names_the_person_and_rings_the_push(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    content_hash = firm.invoices()[DRAFT]["content_hash"]
    told = _ran(command_line, f"invoices approve {DRAFT} --by zoe --hash {content_hash}")
    assert "approved by zoe" in told
    assert firm.invoices()[DRAFT]["state"] == "approved"
    assert firm.rows(tables.approval)[-1]["approved_by"] == "zoe"
    assert doorbell.rung == ["push"]


def _set_invoice(firm: SmallFirm, reference: str, **values: Any) -> None:
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.invoice).where(tables.invoice.c.reference == reference).values(**values)
        )
    )


def test_a_stopped_push_is_tried_again(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    firm.approve(DRAFT)
    _set_invoice(firm, DRAFT, problem="stripe: refused - do something", next_at=NEVER)
    _ran(command_line, f"invoices push {DRAFT}")
    row = firm.invoices()[DRAFT]
    assert (row["problem"], row["next_at"]) == (None, NOW)
    assert doorbell.rung == ["push"]


def test_a_refused_invoice_is_assembled_again_and_needs_a_new_approval(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    _set_invoice(firm, DRAFT, state="blocked", reasons=["stripe: the text is too long"])
    told = _ran(command_line, f"invoices push {DRAFT}")
    assert "assembled again" in told
    assert doorbell.rung == ["assemble"]
    firm.settle()
    assert firm.invoices()[DRAFT]["state"] == "draft"


def test_a_pushed_invoice_is_not_pushed_again(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    before = firm.invoices()
    assert "already" in _ran(command_line, "invoices push acme-2026-10")
    assert firm.invoices() == before
    assert doorbell.rung == []


def test_events_are_listed_with_their_deliveries_newest_first(
    command_line: FlaskCliRunner,
) -> None:
    found = _json(command_line, "events list --project ACME --kind time.removed")
    assert [each["subject"] for each in found] == ["worklog:2", "worklog:8"]
    told = _ran(command_line, "events list --since 2026-11-01 --limit 1")
    assert re.match(r"delivery +on +kind", told)
    assert "worklog:9" in told
    assert len(told.splitlines()) == 2


def test_what_is_replayed_changes_nothing_that_is_known(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    known = [firm.rows(table) for table in (tables.event, tables.line_item, tables.invoice)]
    ids = [str(row["id"]) for row in firm.rows(tables.delivery)]
    assert _ran(command_line, "events replay", *ids) == f"{len(ids)} deliveries are read again.\n"
    assert {row["state"] for row in firm.rows(tables.delivery)} == {"waiting"}
    assert doorbell.rung == ["normalize"]
    firm.settle()
    assert {row["state"] for row in firm.rows(tables.delivery)} <= {"normalized", "ignored"}
    assert known == [firm.rows(table) for table in (tables.event, tables.line_item, tables.invoice)]


def test_an_unknown_delivery_lets_nothing_be_replayed(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    _failed(command_line, "events replay 1 2 999")
    assert "waiting" not in {row["state"] for row in firm.rows(tables.delivery)}


@pytest.mark.parametrize("state", NOT_READ)
def test_what_never_will_be_read_is_dismissed_and_can_be_read_all_the_same(
    command_line: FlaskCliRunner, firm: SmallFirm, state: str
) -> None:
    number = _unread(firm, state)
    told = _ran(command_line, "waiting --kind delivery")
    assert f"delivery:{number} " in told
    assert "flask events dismiss ID --why" in told
    words, why = f"events dismiss {number} --why", "a test of\nthe script"
    assert _ran(command_line, words, why) == "1 deliveries are dismissed.\n"
    assert "Nothing waits" in _ran(command_line, "waiting --kind delivery")
    row, entry = _delivery(firm, number), firm.rows(tables.audit_entry)[-1]
    dismissed = f"dismissed by {entry['actor']}: a test of the script"
    assert (row["state"], row["reason"]) == ("ignored", dismissed)
    assert dismissed in _ran(command_line, "waiting")
    assert (entry["action"], entry["entity"]) == ("delivery.dismissed", f"delivery:{number}")
    assert entry["detail"] == {"was": state, "reason": "is torn", "why": "a test of the script"}
    with firm.database.read() as connection:
        assert [each for each in audit(connection, firm.now) if each.invariant != "resting"] == []
    _ran(command_line, f"events replay {number}")
    firm.settle()
    row = _delivery(firm, number)
    assert (row["state"], "dismissed" in row["reason"]) == ("ignored", False)


@pytest.mark.parametrize(
    ("also", "why", "told"),
    [
        ("1", "x", "delivery 1: is normalized"),
        ("999", "x", "there is no 999"),
        ("", " ", "say why"),
    ],
)
def test_what_was_read_is_not_dismissed_and_nothing_without_a_reason(
    command_line: FlaskCliRunner, firm: SmallFirm, also: str, why: str, told: str
) -> None:
    number = _unread(firm, "unreadable")
    assert told in _failed(command_line, f"events dismiss {number} {also} --why", why)
    assert _delivery(firm, number)["state"] == "unreadable"


def _unread(firm: SmallFirm, state: str) -> int:
    """Have a delivery that tells nothing count as not read; return its number."""
    number = next(row["id"] for row in firm.rows(tables.delivery) if row["state"] == "ignored")
    changed = update(tables.delivery).where(tables.delivery.c.id == number)
    firm.database.write(
        lambda connection: connection.execute(changed.values(state=state, reason="is torn"))
    )
    return int(number)


def _delivery(firm: SmallFirm, number: int) -> Any:
    return next(row for row in firm.rows(tables.delivery) if row["id"] == number)


def _woken(firm: SmallFirm) -> set[str]:
    return {row["name"] for row in firm.rows(tables.subject) if row["state"] == "waiting"}


def test_remapping_wakes_what_is_held(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    assert _json(command_line, "events remap") == {"subjects": 1}
    assert _woken(firm) == {"worklog:6"}
    assert doorbell.rung == ["map"]


def test_remapping_a_customer_leaves_the_others_alone(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    firm.tell(logged("worklog:40", 60, project="BETA"))
    _ran(command_line, "events remap --customer beta")
    assert _woken(firm) == {"worklog:40"}


def test_remapping_everything_leaves_what_is_billed_alone(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    _ran(command_line, "events remap --all")
    # Billed and then edited, nothing to bill, unknown customer, new.
    assert _woken(firm) == {"worklog:1", "worklog:5", "worklog:6", "worklog:9"}


def test_remapping_wants_one_choice(command_line: FlaskCliRunner) -> None:
    result = command_line.invoke(args=["events", "remap", "--held", "--all"])
    assert result.exit_code == 2
    assert "only one of" in result.stderr


def test_a_token_is_printed_once_and_works(
    command_line: FlaskCliRunner, client: FlaskClient, firm: SmallFirm
) -> None:
    text = _ran(command_line, "tokens create ann --role viewer --days 2").strip()
    headers = {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/held", headers=headers).status_code == 200
    listed = _ran(command_line, "tokens list")
    assert "ann" in listed
    assert text not in listed
    firm.clock.moment = NOW + timedelta(days=2)
    assert client.get("/api/v1/held", headers=headers).status_code == 401


def test_a_name_stands_for_one_token_at_a_time(
    command_line: FlaskCliRunner, client: FlaskClient
) -> None:
    first = _ran(command_line, "tokens create ann --role viewer").strip()
    assert "ann is there already" in _failed(command_line, "tokens create ann --role approver")
    _ran(command_line, "tokens revoke ann")
    headers = {"Authorization": f"Bearer {first}"}
    assert client.get("/api/v1/held", headers=headers).status_code == 401
    _ran(command_line, "tokens create ann --role approver")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31m"])
def test_a_token_needs_a_name_that_can_be_read(command_line: FlaskCliRunner, name: str) -> None:
    assert "plain name" in _failed(command_line, "tokens create --role viewer", name)


def test_the_printed_link_signs_in(command_line: FlaskCliRunner, client: FlaskClient) -> None:
    url = _ran(command_line, "signin-link").strip()
    assert url.startswith("http://localhost:8000/signin?link=")
    assert client.get(url).status_code == 200
    assert client.post("/signin", data={"link": url.partition("=")[2]}).status_code == 303
    assert client.get("/").status_code == 200


def test_what_a_person_does_is_in_the_audit_log(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    for words in (
        f"invoices approve {DRAFT} --by zoe",
        f"invoices push {DRAFT}",
        "events replay 1",
        "events remap --all",
        "tokens create ann --role viewer",
        "tokens revoke ann",
    ):
        _ran(command_line, words)
    done = [row["action"] for row in firm.rows(tables.audit_entry)][-6:]
    assert done == [
        *("invoice.approved", "invoice.push_again", "delivery.replayed", "events.remapped"),
        *("token.created", "token.revoked"),
    ]


def test_a_strangers_text_does_not_reach_the_terminal_raw(
    command_line: FlaskCliRunner, firm: SmallFirm
) -> None:
    firm.tell(logged("worklog:50", 60, labels=("x",), person="\x1b[2Jbob\r\nfake row"))
    for words in ("events list", f"invoices explain {DRAFT}"):
        told = _ran(command_line, words)
        assert "\x1b" not in told
        assert "\r" not in told
        assert "bob  fake row" in told
