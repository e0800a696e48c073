"""`flask audit`: the exit code says whether the ledger is good, bad or could not be checked."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import text

from connectors.file.folder import as_content
from console.commands.audit import audit
from ledger import frozen, versions
from ledger.audit import INVARIANTS
from ledger.audit.remote import DEEP
from ledger.invoices import PrintedLine, draft_from_json
from ledger.tables import invoice
from line import Line
from mappings.book import Book
from settings import Settings
from tests.ledger.seed import VERSION, SmallFirm

ACME = """
format: 1
customer: acme
name: Acme
currency: EUR
send_to: books
invoice: monthly
takes: {project: [ACME, SITE]}
rates:
  - {person: ana, from: 2026-01-01, hourly: 120.00}
  - {person: ben, from: 2026-01-01, hourly: 80.00}
rules:
  - rule: Phase
    when: {event: milestone.completed}
    bill: {description: "{title}", quantity: 1, unit_price: 4500.00}
  - rule: Hours
    when: {event: time.logged}
    bill: {description: "{item} {title}", quantity: hours, unit_price: rate}
"""
BETA = """
format: 1
customer: beta
name: Beta
currency: JPY
send_to: books
invoice: monthly
takes: {project: BETA}
rules:
  - rule: Hours
    when: {event: time.logged}
    bill: {description: "{item} {title}", quantity: hours, unit_price: 120.00}
"""
WORKSPACE = """
format: 1
name: Small firm
time_zone: Europe/Berlin
connectors:
  books: {system: file, folder: "FOLDER"}
people:
  - {person: ana, accounts: {jira: ana}}
  - {person: ben, accounts: {jira: ben}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that invoices are pushed into."""
    return tmp_path / "books"


@pytest.fixture
def firm(firm: SmallFirm, folder: Path) -> SmallFirm:
    """Give the small firm after a month, with the rules that its lines name."""
    workspace = WORKSPACE.replace("FOLDER", str(folder))
    book = Book.load({"workspace.yaml": workspace, "acme.yaml": ACME, "beta.yaml": BETA})
    firm.database.write(
        lambda connection: versions.activate(
            connection, book.version, book.files, by="mia", now=firm.now
        )
    )
    change(firm, f"update line_item set mapping_version = '{book.version}'")
    change(firm, f"delete from mapping_version where version = '{VERSION}'")
    for row in firm.rows(invoice):
        # The lines that were billed name these rules from the beginning.
        firm.database.write(partial(frozen.remember, invoice_id=row["id"]))
    firm.settle()
    return firm


@pytest.fixture
def command_line(firm: SmallFirm) -> FlaskCliRunner:
    """Give Flask's command line with this command alone."""
    environ = {"BILLHOOK_SECRET_KEY": "k" * 32, "DATABASE_URL": "sqlite:///unused"}
    app = Flask("billhook")
    app.extensions["billhook"] = Line(
        Settings.from_env(environ), environ=environ, database=firm.database, clock=firm.clock
    )
    app.cli.add_command(audit)
    return app.test_cli_runner()


def change(firm: SmallFirm, statement: str) -> None:
    """Change the ledger behind its back."""
    firm.database.write(lambda connection: connection.execute(text(statement)))


def push_to_files(firm: SmallFirm, command_line: FlaskCliRunner, folder: Path) -> None:
    """Make the invoices of the ledger be at the billing system, with what was paid of them."""
    line: Line = command_line.app.extensions["billhook"]
    for row in firm.rows(invoice):
        if row["state"] == "pushed":
            seen = line.billing("books").create_draft(
                draft_from_json(row["content"]), remote_customer="", idempotency_key=""
            )
            change(
                firm,
                f"update invoice set remote_id = '{seen.remote_id}' where id = {row['id']}",
            )
    (folder / "payments.csv").write_text(
        "reference,date,amount\nacme-2026-10,2026-11-02,100.00\nbeta-2026-10,2026-11-02,0\n"
    )


def test_a_good_ledger_exits_0(command_line: FlaskCliRunner) -> None:
    result = command_line.invoke(args=["audit"])
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        f"All {len(INVARIANTS)} promises are kept.",
    )


def test_a_broken_promise_exits_1_and_names_row_and_amount(
    firm: SmallFirm, command_line: FlaskCliRunner
) -> None:
    change(firm, "update invoice set total = total + 1 where reference = 'acme-2026-10'")
    result = command_line.invoke(args=["audit"])
    assert result.exit_code == 1
    assert "Broken: contents" in result.output
    assert "invoice:acme-2026-10: its lines add up to" in result.output
    assert "EUR]" in result.output
    found = json.loads(command_line.invoke(args=["audit", "--json"]).stdout)
    (violation,) = found["violations"]
    assert (violation["invariant"], violation["entity"]) == ("contents", "invoice:acme-2026-10")
    assert (violation["currency"], violation["amount_at_risk"] > 0) == ("EUR", True)


def test_lines_are_priced_again_under_their_own_rules(
    firm: SmallFirm, command_line: FlaskCliRunner
) -> None:
    change(firm, "update event set person = 'ana' where subject = 'worklog:3'")
    result = command_line.invoke(args=["audit"])
    assert result.exit_code == 1
    assert 'its own rules now say 1.3889 x 120.00 EUR for acme by "Hours"' in result.output


def test_rules_that_cannot_be_read_any_more_are_named(
    firm: SmallFirm, command_line: FlaskCliRunner
) -> None:
    change(firm, "update mapping_version set files = replace(files, 'rules:', 'rulez:')")
    result = command_line.invoke(args=["audit"])
    assert result.exit_code == 1
    assert "cannot be read any more" in result.output


def test_an_anchor_that_was_kept_elsewhere_holds(command_line: FlaskCliRunner) -> None:
    head = json.loads(command_line.invoke(args=["audit", "--json"]).stdout)["audit_log_head"]
    assert command_line.invoke(args=["audit", "--anchor", head]).exit_code == 0
    position, _, sealed = head.partition(":")
    result = command_line.invoke(args=["audit", "--anchor", f"{position}:{sealed[::-1]}"])
    assert (result.exit_code, "audit log" in result.output) == (1, True)


def test_an_anchor_that_is_none_is_refused(command_line: FlaskCliRunner) -> None:
    result = command_line.invoke(args=["audit", "--anchor", "12"])
    assert (result.exit_code, "POSITION:HASH" in result.output) == (2, True)


def test_a_ledger_with_another_schema_exits_2(
    firm: SmallFirm, command_line: FlaskCliRunner
) -> None:
    change(firm, "delete from alembic_version")
    result = command_line.invoke(args=["audit"])
    assert (result.exit_code, "flask db upgrade" in result.output) == (2, True)
    assert "Traceback" not in result.output


def test_a_database_that_cannot_be_read_exits_2(
    firm: SmallFirm, command_line: FlaskCliRunner
) -> None:
    change(firm, "alter table line_item rename to lost")
    result = command_line.invoke(args=["audit"])
    assert (result.exit_code, "DATABASE_URL" in result.output) == (2, True)


def test_what_is_left_out_on_request_is_told(firm: SmallFirm, command_line: FlaskCliRunner) -> None:
    change(firm, "update event set person = 'ana' where subject = 'worklog:3'")
    result = command_line.invoke(args=["audit", "--no-prices"])
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        f"{len(INVARIANTS) - 1} promises are kept; not looked at: priced again.",
    )
    told = json.loads(command_line.invoke(args=["audit", "--no-prices", "--json"]).stdout)
    assert told["left_out"] == ["priced again"]


def test_several_processes_say_the_same(firm: SmallFirm, command_line: FlaskCliRunner) -> None:
    change(firm, "update invoice set total = total + 1 where reference = 'acme-2026-10'")
    one, two = (command_line.invoke(args=["audit", "--processes", number]) for number in "12")
    assert (one.exit_code, one.output) == (two.exit_code, two.output) == (1, one.output)


def test_the_page_shows_the_json_as_it_is(command_line: FlaskCliRunner) -> None:
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text()
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    told = json.loads(command_line.invoke(args=["audit", "--json"]).stdout)

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: keys(each) for name, each in value.items()}
        return "something"

    assert keys(told) == keys(shown)
    (customer, *_) = told["figures"]["customers"]
    assert keys(customer) == keys(shown["figures"]["customers"][0])


def test_deep_finds_the_billing_system_in_agreement(
    firm: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    push_to_files(firm, command_line, folder)
    result = command_line.invoke(args=["audit", "--deep"])
    assert (result.exit_code, "billing systems agree" in result.output) == (0, True)


def edited(folder: Path, **changes: Any) -> None:
    """Change the invoice in its file, with the mark of a file that Billhook wrote."""
    path = folder / "acme-2026-10.json"
    draft = draft_from_json(json.loads(path.read_text()))
    written = as_content(replace(draft, **changes))
    path.with_name(f"{written['reference']}.json").write_text(json.dumps(written))


def lines_of(folder: Path) -> list[PrintedLine]:
    draft = draft_from_json(json.loads((folder / "acme-2026-10.json").read_text()))
    return list(draft.lines)


def more_expensive(folder: Path) -> None:
    first, *rest = lines_of(folder)
    edited(folder, lines=(replace(first, amount=first.amount + 1), *rest))


def reworded(folder: Path) -> None:
    first, *rest = lines_of(folder)
    edited(folder, lines=(replace(first, description="Something else"), *rest))


def a_line_twice(folder: Path) -> None:
    first, *rest = lines_of(folder)
    edited(folder, lines=(first, first, *rest))


def swapped_amounts(folder: Path) -> None:
    """Change two amounts so that number of lines and total stay what they were."""
    first, second, *rest = lines_of(folder)
    lines = (replace(first, amount=first.amount + 100), replace(second, amount=second.amount - 100))
    edited(folder, lines=(*lines, *rest))


def gone(folder: Path) -> None:
    (folder / "acme-2026-10.json").unlink()


def unpaid(folder: Path) -> None:
    (folder / "payments.csv").write_text("reference,date,amount\nbeta-2026-10,2026-11-02,0\n")


def paid_more(folder: Path) -> None:
    with (folder / "payments.csv").open("a") as file:
        file.write("acme-2026-10,2026-11-03,1.00\n")


def a_stranger(folder: Path) -> None:
    edited(folder, reference="acme-2026-10-b")


ELSEWHERE = {
    "a cent more": (more_expensive, "remote", "shows"),
    "another text": (reworded, "remote", "Something else"),
    "a line twice": (a_line_twice, "remote", "lines where we sent"),
    "two amounts that are swapped": (swapped_amounts, "remote", "line 1 is"),
    "an invoice that is gone": (gone, "remote", "books has no invoice with this reference"),
    "a payment that is gone": (unpaid, "remote payments", "paid is 0"),
    "a payment that nobody has seen": (paid_more, "remote payments", "paid is 10100"),
    "an invoice of ours that we never sent": (a_stranger, "strangers", "acme-2026-10-b"),
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_deep_names_what_is_planted_at_the_billing_system(
    firm: SmallFirm, command_line: FlaskCliRunner, folder: Path, what: str
) -> None:
    push_to_files(firm, command_line, folder)
    plant, invariant, told = ELSEWHERE[what]
    plant(folder)
    result = command_line.invoke(args=["audit", "--deep", "--json"])
    assert result.exit_code == 1
    wrong = json.loads(result.stdout)["violations"]
    assert {each["invariant"] for each in wrong} == {invariant}
    assert told in " ".join(each["detail"] for each in wrong)
    assert {each["currency"] for each in wrong} == {"EUR"}
    # Without asking nothing of it is known.
    assert command_line.invoke(args=["audit"]).exit_code == 0


def test_each_promise_about_billing_systems_has_something_planted() -> None:
    assert {invariant for _, invariant, _ in ELSEWHERE.values()} == {each.name for each in DEEP}


def test_deep_names_an_invoice_that_has_another_number_here(
    firm: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    push_to_files(firm, command_line, folder)
    change(firm, "update invoice set remote_id = 'other' where reference = 'acme-2026-10'")
    result = command_line.invoke(args=["audit", "--deep"])
    assert result.exit_code == 1
    assert "acme-2026-10: books has it as" in result.output


def test_deep_says_what_it_could_not_ask(firm: SmallFirm, command_line: FlaskCliRunner) -> None:
    change(firm, "update invoice set connector = 'gone'")
    result = command_line.invoke(args=["audit", "--deep"])
    assert result.exit_code == 2
    assert "Could not check acme-2026-10: connector gone" in result.output
