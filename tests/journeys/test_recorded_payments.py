"""Payments by bank transfer: by hand and from statements, counted once, and taken back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from app import create_app
from connectors.connector import Abilities
from connectors.file.connector import FileConnector
from ledger import held, tables
from ledger.access import create_token
from ledger.matching import import_entries
from ledger.recording import Recorder
from statements.reading import read
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office
from tests.journeys.paying import bring, run, ways
from tests.statements.banks import Booked, camt, mt940

OCTOBER, BETA = "acme-2026-10", "beta-2026-10"
TRANSFER = Booked("120.00", f"Rechnung {OCTOBER}", reference="2026111600001")


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office with one pushed invoice of 120.00 EUR for each customer, as files."""
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    office.tell(issue(8, project="BETA"), worklog(2, issue_id=8, seconds=3600))
    office.bill(OCTOBER, is_sent=False)
    office.bill(BETA, is_sent=False)
    return office


def word(office: Office, reference: str = OCTOBER) -> tuple[str, int, int]:
    """Return what an invoice is called, and what was paid and refunded of it."""
    row = office.invoice(reference)
    last = [each for each in office.rows(tables.payment) if each["invoice_id"] == row["id"]][-1]
    return row["payment"], last["paid"], last["refunded"]


def questions(office: Office) -> list[str]:
    with office.line.database.read() as connection:
        found = held.list_held(connection, office.clock.now(), limit=9, kinds=("payment",))
    assert all(each.go_on.startswith("flask payments assign ") for each in found)
    return [each.reason for each in found]


def test_a_payment_by_hand_is_counted_at_once_and_again_changes_nothing(office: Office) -> None:
    words = ("record", OCTOBER, "50.00", "EUR", "--on", "2026-11-16", "--reference", "first")
    assert run(office, *words).exit_code == 0
    assert word(office) == ("partially_paid", 5000, 0)
    assert "was recorded before" in run(office, *words).output
    assert run(office, *words[:-1], "rest").exit_code == 0
    run(office, "record", OCTOBER, "20.00", "EUR", "--on", "2026-11-17")
    office.look()
    assert word(office) == ("paid", 12000, 0)
    assert office.violations() == []
    (first, *_) = office.log("payment.counted")
    assert (first["invoice"], first["amount"], first["source"]) == (OCTOBER, 5000, "hand")
    moved = [(each["before"], each["payment"]) for each in office.log("invoice.payment")]
    assert moved[-2:] == [("draft", "partially_paid"), ("partially_paid", "paid")]


def test_a_refund_and_a_payment_that_is_taken_back_go_the_other_way(office: Office) -> None:
    run(office, "record", OCTOBER, "120.00", "EUR", "--on", "2026-11-16")
    refund = run(office, "record", "--on", "2026-11-20", "--", OCTOBER, "-20.00", "EUR")
    assert refund.exit_code == 0, refund.output
    assert word(office) == ("partially_refunded", 12000, 2000)
    paid, refunded = office.rows(tables.recorded_payment)
    told = run(office, "take-back", str(paid["id"]))
    assert told.exit_code == 1
    assert "take the refund back first" in told.output
    too_much = run(office, "record", "--on", "2026-11-20", "--", OCTOBER, "-100.01", "EUR")
    assert too_much.exit_code == 1
    run(office, "take-back", str(refunded["id"]))
    run(office, "take-back", str(paid["id"]), "--reason", "another customer's")
    office.look()
    assert word(office) == ("draft", 0, 0)
    assert office.violations() == []
    assert run(office, "take-back", str(paid["id"])).exit_code == 1
    again = run(office, "record", OCTOBER, "120.00", "EUR", "--on", "2026-11-16")
    assert again.exit_code == 1
    assert f"flask payments assign {paid['id']} {OCTOBER}" in again.output
    assert run(office, "assign", str(paid["id"]), OCTOBER).exit_code == 0
    assert word(office) == ("paid", 12000, 0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((OCTOBER, "1500,00", "EUR"), "is no amount"),
        ((OCTOBER, "1.005", "EUR"), "more decimal places"),
        ((OCTOBER, "1.00", "ZZZ"), "is not an ISO 4217"),
        ((OCTOBER, "1.00", "USD"), "is in EUR"),
        ((OCTOBER, "0.00", "EUR"), "nothing was paid"),
        (("nobody-2026-10", "1.00", "EUR"), "no such invoice"),
    ],
)
def test_what_does_not_fit_is_refused(office: Office, words: tuple[str, ...], problem: str) -> None:
    told = run(office, "record", *words, "--on", "2026-11-16")
    assert told.exit_code == 1
    assert problem in told.output
    assert office.rows(tables.recorded_payment) == []


def test_a_preview_is_what_happens_then_and_changes_nothing(office: Office) -> None:
    preview = bring(office, camt(TRANSFER), "--format", "camt.053")
    assert ways(preview) == [("paid", OCTOBER)]
    assert (office.rows(tables.recorded_payment), word(office)) == ([], ("draft", 0, 0))
    done = bring(office, camt(TRANSFER))
    assert ways(done) == ways(preview)
    assert word(office) == ("paid", 12000, 0)


def test_the_same_entry_is_counted_once_however_often_and_however_it_comes(
    office: Office,
) -> None:
    without = Booked("30.00", f"Rest {BETA}", on="2026-11-17")
    first = (camt(TRANSFER, version=2), camt(TRANSFER, without), mt940(TRANSFER, without))
    for data in (*first, camt(without, opening="77.00"), mt940(without), *first):
        bring(office, data)
    assert (word(office), word(office, BETA)) == (("paid", 12000, 0), ("partially_paid", 3000, 0))
    assert office.violations() == []
    counted = [
        row["amount"] for row in office.rows(tables.recorded_payment) if row["state"] == "counted"
    ]
    assert sorted(counted) == [3000, 12000]


def test_a_table_without_an_account_tells_no_payment_twice(office: Office) -> None:
    table = f"date,amount,currency,text\n2026-11-16,120.00,EUR,{OCTOBER}\n".encode()
    for data in (camt(TRANSFER), table, mt940(TRANSFER), table):
        bring(office, data)
    assert word(office) == ("paid", 12000, 0)


def test_smaller_and_larger_amounts_are_counted_and_said(office: Office) -> None:
    more = Booked("200.00", BETA.upper(), reference="2")
    found = bring(office, camt(Booked("100.00", f"fuer {OCTOBER}.", reference="1"), more))
    assert ways(found) == [("partly paid", OCTOBER), ("overpaid", BETA)]
    assert [each["why"] for each in found["entries"]] == [
        "20.00 EUR are still owed",
        "80.00 EUR more than was owed",
    ]
    assert (word(office)[0], word(office, BETA)[0]) == ("partially_paid", "overpaid")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("thanks", "names no invoice"),
        (f"{OCTOBER} und {BETA}", f"names several invoices: {OCTOBER}, {BETA}"),
        (f"{OCTOBER}-b", "names no invoice"),
        (f"old-{OCTOBER}", "names no invoice"),
        (f"{OCTOBER}0", "names no invoice"),
        (f"x{OCTOBER}", "names no invoice"),
        (OCTOBER[:-1], "names no invoice"),
        (f"{OCTOBER}.1", "names no invoice"),
    ],
)
def test_nothing_is_matched_by_guess(office: Office, text: str, reason: str) -> None:
    found = bring(office, camt(Booked("120.00", text, reference="9")))
    assert ways(found) == [("question", None)]
    (asked,) = questions(office)
    assert reason in asked
    assert word(office) == ("draft", 0, 0)
    (row,) = office.rows(tables.recorded_payment)
    assert run(office, "assign", str(row["id"]), OCTOBER).exit_code == 0
    assert word(office) == ("paid", 12000, 0)
    assert questions(office) == []
    # The same statement again asks nothing again.
    assert ways(bring(office, camt(Booked("120.00", text, reference="9")))) == [("known", OCTOBER)]


def test_a_reference_that_the_bank_has_cut_in_two_is_read(office: Office) -> None:
    found = bring(office, mt940(Booked("120.00", f"Unsere Zahlung {OCTOBER} danke")))
    assert ways(found) == [("paid", OCTOBER)]


def test_money_of_another_currency_and_money_that_goes_out_is_asked_about(office: Office) -> None:
    table = (
        f"date,amount,currency,text\n2026-11-16,120.00,USD,{OCTOBER}\n2026-11-16,-5.00,EUR,{BETA}\n"
    )
    found = bring(office, f"{table}2026-11-16,-800.00,EUR,rent\n".encode())
    assert [each["way"] for each in found["entries"]] == ["question", "question", "passed over"]
    usd, out = questions(office)
    assert "is in EUR, and this came in USD" in usd
    assert "money went out" in out
    ids = [str(row["id"]) for row in office.rows(tables.recorded_payment)]
    assert run(office, "set-aside", *ids).exit_code == 0
    assert questions(office) == []
    assert office.violations() == []


@pytest.mark.parametrize("make", [camt, mt940], ids=["camt", "mt940"])
def test_the_bank_takes_a_payment_back_also_in_the_same_file(office: Office, make: Any) -> None:
    back = Booked("-120.00", OCTOBER, on="2026-11-18", reference="3", is_reversal=True)
    found = bring(office, make(back, TRANSFER))
    assert ways(found) == [("paid", OCTOBER), ("taken back", OCTOBER)]
    assert word(office) == ("draft", 0, 0)
    assert ways(bring(office, make(back, TRANSFER))) == [("known", OCTOBER)] * 2
    (went,) = office.log("payment.taken_back")
    assert went["reason"] == "by the bank on 2026-11-18"
    assert office.violations() == []


def test_a_reversal_that_fits_two_payments_is_a_question(office: Office) -> None:
    half = [Booked("60.00", OCTOBER, reference=str(each)) for each in (1, 2)]
    back = Booked("-60.00", OCTOBER, reference="3", is_reversal=True)
    assert ways(bring(office, camt(*half, back)))[-1] == ("question", None)
    assert "2 payments of ours fits" in questions(office)[0]
    assert word(office) == ("paid", 12000, 0)


def test_what_was_recorded_by_hand_is_not_counted_again_from_the_statement(office: Office) -> None:
    run(office, "record", OCTOBER, "120.00", "EUR", "--on", "2026-11-16")
    run(office, "record", BETA, "120.00", "EUR", "--on", "2026-11-15")
    other_day = Booked("120.00", BETA, reference="4")
    found = bring(office, camt(TRANSFER, other_day))
    assert ways(found) == [("known", OCTOBER), ("question", BETA)]
    assert "may be payment 2" in questions(office)[0]
    # A second transfer of the same day is another one.
    second = Booked("120.00", OCTOBER, reference="5")
    assert ways(bring(office, camt(TRANSFER, second)))[1] == ("overpaid", OCTOBER)
    assert (word(office), word(office, BETA)) == (("overpaid", 24000, 0), ("paid", 12000, 0))
    assert office.violations() == []


def test_payments_that_are_noted_at_the_file_are_not_noted_here_too(office: Office) -> None:
    office.note_payment(OCTOBER, 5000)
    assert word(office) == ("partially_paid", 5000, 0)
    told = run(office, "record", OCTOBER, "70.00", "EUR", "--on", "2026-11-16")
    assert told.exit_code == 1
    assert "its payments are noted at files" in told.output
    assert ways(bring(office, camt(TRANSFER))) == [("question", OCTOBER)]
    # The other way round both are counted, and a person is asked.
    run(office, "record", BETA, "50.00", "EUR", "--on", "2026-11-16")
    office.note_payment(BETA, 5000)
    assert word(office, BETA) == ("partially_paid", 10000, 0)
    assert "noted both at files and here" in office.invoice(BETA)["problem"]
    (number,) = [
        row["id"] for row in office.rows(tables.recorded_payment) if row["state"] == "counted"
    ]
    run(office, "take-back", str(number))
    office.look()
    assert word(office, BETA) == ("partially_paid", 5000, 0)
    assert office.invoice(BETA)["problem"] is None
    assert office.violations() == []


def test_a_system_that_knows_its_payments_keeps_the_last_word(office: Office) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: stripe\nafter_push: finalize")
    office.activate()
    office.tell(issue(9), worklog(3, issue_id=9, seconds=3600))
    reference = next(each for each in office.invoices() if each not in (OCTOBER, BETA))
    office.bill(reference, is_sent=False)
    office.deliver_mail()
    told = run(office, "record", reference, "120.00", "EUR", "--on", "2026-11-16")
    assert told.exit_code == 1
    assert "stripe knows itself what was paid" in told.output
    transfer = Booked("120.00", reference, reference="6")
    assert ways(bring(office, camt(transfer))) == [("question", reference)]
    office.stripe.happen("pay", office.invoice(reference)["remote_id"])
    office.deliver_mail()
    later = Booked("120.00", reference, reference="7")
    assert ways(bring(office, camt(later))) == [("known", reference)]
    assert office.violations() == []


def test_a_deleted_invoice_on_which_money_came_in_is_not_billed_anew(office: Office) -> None:
    bring(office, camt(TRANSFER))
    (office.folder / "out" / f"{OCTOBER}.json").unlink()
    office.look()
    assert office.invoice(OCTOBER)["payment"] == "deleted"
    assert "although 120.00 EUR were paid" in office.invoice(OCTOBER)["problem"]
    assert office.violations() == []


def test_work_that_changes_on_a_paid_draft_goes_to_the_next_one(office: Office) -> None:
    office.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    # It is being amended while the money comes in.
    assert office.invoice(OCTOBER)["state"] == "draft"
    bring(office, camt(TRANSFER))
    assert (office.invoice(OCTOBER)["state"], word(office)[0]) == ("pushed", "paid")
    assert office.invoice(OCTOBER)["total"] == 12000
    others = set(office.invoices()) - {OCTOBER, BETA}
    assert [office.invoices()[each] for each in others] == [("draft", 12000)]
    assert office.violations() == []


def test_a_file_that_cannot_be_read_changes_nothing(office: Office) -> None:
    path = office.folder / "statement"
    path.write_bytes(camt(TRANSFER)[:-20])
    told = run(office, "import", str(path), "--yes")
    assert told.exit_code == 2
    assert told.output.startswith("statement: file: is no XML")
    assert office.rows(tables.recorded_payment) == []


def test_the_table_and_the_list_are_for_people(office: Office) -> None:
    path: Path = office.folder / "statement"
    path.write_bytes(camt(TRANSFER, Booked("9.00", "what is this?")))
    told = run(office, "import", str(path))
    assert told.exit_code == 1
    assert "1 paid, 1 question" in told.output
    assert "This was a preview" in told.output
    assert "flask waiting --kind payment" in run(office, "import", str(path), "--yes").output
    listed = run(office, "list", "--invoice", OCTOBER).output
    assert "counted" in listed
    assert "camt.053.001.08" in listed
    assert json.loads(run(office, "list", "--state", "waiting", "--json").output)[0]["text"]


def test_the_api_records_the_same_payment_once(office: Office) -> None:
    line = office.line
    text = line.database.write(
        lambda connection: create_token(
            connection, "finance", "approver", actor="test", now=office.clock.now()
        )
    )
    client, headers = create_app(line).test_client(), {"Authorization": f"Bearer {text}"}
    body = {"invoice": OCTOBER, "amount": "120.00", "currency": "EUR", "on": "2026-11-16"}
    for _ in range(2):
        answer = client.post("/api/v1/payments", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        (found,) = answer.get_json()["payments"]
        assert (found["state"], found["recorded_by"]) == ("counted", "finance")
    assert word(office) == ("paid", 12000, 0)
    assert (
        client.get("/api/v1/payments?state=waiting", headers=headers).get_json()["payments"] == []
    )
    for wrong, status in (
        ({"invoice": "nobody"}, 404),
        ({"currency": "USD"}, 409),
        ({"amount": "1.005"}, 409),
        ({"on": "2026-02-30"}, 409),
        ({"amount": 120}, 422),
        ({"amount": "0"}, 422),
    ):
        answer = client.post("/api/v1/payments", json=body | wrong, headers=headers)
        assert answer.status_code == status, answer.text
    assert len(office.rows(tables.recorded_payment)) == 1
    shown = client.get(f"/api/v1/invoices/{OCTOBER}", headers=headers).get_json()
    assert [each["id"] for each in shown["recorded_payments"]] == [found["id"]]
    viewer = line.database.write(
        lambda connection: create_token(
            connection, "vera", "viewer", actor="test", now=office.clock.now()
        )
    )
    headers = {"Authorization": f"Bearer {viewer}"}
    assert client.post("/api/v1/payments", json=body, headers=headers).status_code == 403


def test_two_people_who_import_the_same_statement_at_once_count_it_once(office: Office) -> None:
    other = Booked("120.00", BETA, reference="2026111600002")
    entries = read(camt(TRANSFER, other))
    at_once = Barrier(2)

    def take(name: str) -> Counter[str]:
        line = office.line
        by = Recorder(name, "statement", line.records_payments(), line.told(), office.clock.now())
        # One of them has the entries the other way round, so that they meet in the middle.
        mine = entries if name == "mia" else entries[::-1]
        at_once.wait()
        found = line.database.write(lambda connection: import_entries(connection, mine, by))
        return Counter(each.way for each in found)

    with ThreadPoolExecutor(2) as people:
        told = sum(people.map(take, ["mia", "ben"]), Counter())
    assert told == {"paid": 2, "known": 2}
    office.look()
    assert (word(office), word(office, BETA)) == (("paid", 12000, 0), ("paid", 12000, 0))
    assert office.violations() == []


def test_whose_payments_are_recorded_here_may_depend_on_its_settings(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.line.records_payments() == {"files"}

    def able(cls: type[FileConnector], settings: Mapping[str, str]) -> Abilities:
        knows = "folder" in settings
        return replace(cls.abilities, knows_payments=knows, credit=not knows)

    monkeypatch.setattr(FileConnector, "able", classmethod(able))
    assert office.line.records_payments() == set()
    assert "files" not in office.line.take_credit_notes()
