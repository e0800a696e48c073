"""Editing a draft by the command line and the API, and what pages say of it."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from ledger import tables
from tests.console.conftest import RecordingDoorbell
from tests.ledger.seed import SmallFirm

DRAFT = "acme-2026-11"
EDITS = f"/api/v1/invoices/{DRAFT}/edits"


def run(command_line: FlaskCliRunner, *words: str) -> str:
    result = command_line.invoke(args=["invoices", *words])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def texts(firm: SmallFirm) -> list[str]:
    firm.settle()
    return [line["description"] for line in firm.invoices()[DRAFT]["content"]["lines"]]


def test_a_draft_is_edited_by_the_command_line_and_shows_it(
    command_line: FlaskCliRunner, firm: SmallFirm, doorbell: RecordingDoorbell
) -> None:
    before = texts(firm)
    assert "edit 1 is made" in run(
        command_line, "edit", DRAFT, "--line", "1", "--text", "Agreed", "--by", "mia"
    )
    assert texts(firm) == ["Agreed", *before[1:]]
    run(command_line, "edit", DRAFT, "--order", "2, 1")
    assert texts(firm)[:2] == [before[1], "Agreed"]
    run(command_line, "edit", DRAFT, "--discount", "10%", "For you")
    run(command_line, "edit", DRAFT, "--discount", "1.50", "And more")
    assert texts(firm)[-2:] == ["For you", "And more"]
    run(command_line, "edit", DRAFT, "--hold", "2")
    assert "Agreed" not in texts(firm)
    shown = run(command_line, "show", DRAFT)
    assert f'edit 1: text: "{before[0]}" reads "Agreed" (by mia at 2026-11-02T' in shown
    assert "without effect" in shown
    assert [
        each["kind"] for each in json.loads(run(command_line, "show", DRAFT, "--json"))["edits"]
    ] == [
        *("text", "order", "discount", "discount", "hold"),
    ]
    run(command_line, "edit", DRAFT, "--let-go", "5")
    run(command_line, "edit", DRAFT, "--undo", "1")
    assert texts(firm)[:2] == [before[1], before[0]]
    assert set(doorbell.rung) == {"assemble"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--line", "9", "--text", "x"], "there is no line 9"),
        (["--discount", "a lot", "x"], "is no percentage and no amount"),
        (["--order", "one,two"], "is no list of lines"),
        (["--undo", "7"], "has no edit 7"),
        (["--hold", "1", "--hash", "0" * 64], "has changed since it was shown"),
        (["--line", "1"], "--line and --text go together"),
        (["--hold", "1", "--undo", "1"], "say one of"),
        ([], "say one of"),
    ],
)
def test_a_mistake_edits_nothing(
    command_line: FlaskCliRunner, firm: SmallFirm, words: list[str], told: str
) -> None:
    result = command_line.invoke(args=["invoices", "edit", DRAFT, *words])
    assert result.exit_code != 0
    assert told in result.stderr
    assert firm.rows(tables.draft_edit) == []


def test_a_program_edits_the_draft_that_it_has_seen(
    client: FlaskClient, firm: SmallFirm, approver: dict[str, str], doorbell: RecordingDoorbell
) -> None:
    seen = {"content_hash": firm.invoices()[DRAFT]["content_hash"]}
    answer = client.post(EDITS, json={**seen, "line": 1, "text": "Agreed"}, headers=approver)
    assert answer.status_code == 200
    assert [each["made_by"] for each in answer.get_json()["edits"]] == ["mia"]
    assert doorbell.rung == ["assemble"]
    assert texts(firm)[0] == "Agreed"
    late = client.post(EDITS, json={**seen, "hold": 1}, headers=approver)
    assert (late.status_code, late.get_json()["error"]["where"]) == (409, DRAFT)
    assert client.delete(f"{EDITS}/1", headers=approver).get_json()["edits"] == []
    assert client.delete(f"{EDITS}/1", headers=approver).status_code == 409
    assert client.delete(f"{EDITS}/{10**30}", headers=approver).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        *({}, {"line": 1}, {"text": "x"}, {"hold": 1, "order": [1]}, {"hold": 1, "text": "x"}),
        *({"percent": "5"}, {"percent": "0", "text": "x"}, {"amount": "NaN", "text": "x"}),
        *({"order": []}, {"hold": 0}, {"line": 1, "text": ""}, {"hold": 1, "more": 1}),
    ],
)
def test_a_request_that_is_not_just_one_edit_is_refused(
    client: FlaskClient, firm: SmallFirm, approver: dict[str, str], wanted: dict[str, object]
) -> None:
    seen = {"content_hash": firm.invoices()[DRAFT]["content_hash"]}
    assert client.post(EDITS, json={**seen, **wanted}, headers=approver).status_code == 422
    assert firm.rows(tables.draft_edit) == []


def test_who_may_only_look_edits_nothing(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    seen = {"content_hash": firm.invoices()[DRAFT]["content_hash"]}
    assert client.post(EDITS, json={**seen, "hold": 1}, headers=viewer).status_code == 403
    assert client.delete(f"{EDITS}/1", headers=viewer).status_code == 403
    assert firm.rows(tables.draft_edit) == []
