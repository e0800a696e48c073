"""Drafts as files: what is written, what is safe to open, and what people note in payments.csv."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.file.connector import FileConnector
from connectors.http import Request, Response
from ledger.errors import ConnectorError, PermanentError, RejectedError
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.layouts import Layout
from ledger.payments import payment_of
from ledger.timesheets import TimesheetRow

DRAFT = InvoiceDraft(
    reference="acme-2026-03",
    customer=BilledCustomer("acme", "Acme GmbH"),
    currency="EUR",
    lines=(
        PrintedLine("Engineering", Decimal("1.5"), Decimal("120.00"), 18000),
        PrintedLine("Taken back", Decimal("-0.5"), Decimal("120.00"), -6000),
    ),
    period_from=date(2026, 3, 1),
    period_to=date(2026, 3, 31),
)


class NoHttp:
    def send(self, request: Request) -> Response:
        raise AssertionError(f"{request.url} was asked")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "drafts"


@pytest.fixture
def connector(folder: Path) -> FileConnector:
    return FileConnector({"folder": str(folder)}, NoHttp())


def push(connector: FileConnector, draft: InvoiceDraft = DRAFT) -> None:
    connector.create_draft(draft, remote_customer="acme", idempotency_key="key")


def rows(folder: Path) -> list[dict[str, str]]:
    text = (folder / "acme-2026-03.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_json_says_everything_with_amounts_as_text_too(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    content = json.loads((folder / "acme-2026-03.json").read_text(encoding="utf-8"))
    assert content["content_hash"] == DRAFT.content_hash()
    assert (content["total"], content["total_decimal"]) == (12000, "120.00")
    assert [line["amount_decimal"] for line in content["lines"]] == ["180.00", "-60.00"]


def test_numbers_in_the_csv_stay_numbers_also_below_zero(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    found = [(row["quantity"], row["unit_price"], row["amount"]) for row in rows(folder)]
    assert found == [("1.50", "120.00", "180.00"), ("-0.50", "120.00", "-60.00")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_in_the_csv_is_taken_for_a_formula(
    connector: FileConnector, folder: Path, start: str
) -> None:
    evil = f"{start}cmd()"
    push(
        connector,
        replace(
            DRAFT,
            customer=BilledCustomer("acme", evil),
            purchase_order=evil,
            lines=(replace(DRAFT.lines[0], description=evil),),
        ),
    )
    text = (folder / "acme-2026-03.csv").read_bytes().decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    for column in ("customer", "purchase_order", "description"):
        assert row[column] == f"'{evil}"


@pytest.mark.parametrize(
    "reference", ["../acme", "a/b", "a\\b", ".hidden", "", "a\0b", "..", "a b", "x" * 121, "ä"]
)
def test_a_reference_cannot_leave_the_folder(
    connector: FileConnector, tmp_path: Path, reference: str
) -> None:
    draft = replace(DRAFT, reference=reference)
    with pytest.raises(RejectedError, match="file name"):
        push(connector, draft)
    with pytest.raises(RejectedError, match="file name"):
        connector.delete_draft(reference, idempotency_key="key")
    assert list(tmp_path.iterdir()) == []


def test_the_same_draft_is_the_same_file_and_another_is_refused(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    before = (folder / "acme-2026-03.json").stat().st_mtime_ns
    push(connector)
    assert (folder / "acme-2026-03.json").stat().st_mtime_ns == before
    with pytest.raises(PermanentError, match="other content"):
        push(connector, replace(DRAFT, memo="Other"))


def test_a_crash_before_the_json_is_as_if_nothing_was_written(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    (folder / "acme-2026-03.json").unlink()
    assert connector.find_invoice("acme-2026-03", remote_customer=None) is None
    push(connector)
    assert sorted(path.name for path in folder.iterdir()) == [
        "acme-2026-03.csv",
        "acme-2026-03.json",
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("18000", "18000.5"),
        lambda text: text[:40],
        lambda _: "[]",
        lambda _: "null",
        lambda text: text.replace("1.50", "one"),
    ],
)
def test_a_file_that_somebody_edited_is_refused(
    connector: FileConnector, folder: Path, spoil: object
) -> None:
    assert callable(spoil)
    push(connector)
    path = folder / "acme-2026-03.json"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(PermanentError, match="not what was written"):
        connector.fetch_invoice("acme-2026-03")


def test_an_edited_file_is_shown_as_it_stands_and_not_taken_for_ours(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    path = folder / "acme-2026-03.json"
    path.write_text(path.read_text(encoding="utf-8").replace("18000", "28000"), encoding="utf-8")
    shown = connector.fetch_invoice("acme-2026-03").shown
    assert shown is not None
    assert shown.lines[0].amount == 28000
    with pytest.raises(PermanentError, match="not what was written"):
        connector.find_invoice("acme-2026-03", remote_customer=None)


def pay(folder: Path, text: str, encoding: str = "utf-8") -> None:
    (folder / "payments.csv").write_text(text, encoding=encoding)


@pytest.mark.parametrize(
    ("text", "word", "paid", "refunded"),
    [
        ("reference,date,amount\n", "draft", 0, 0),
        ("reference,date,amount\nacme-2026-03,2026-04-02,0\n", "open", 0, 0),
        ("reference,date,amount\nother,2026-04-02,120\n", "draft", 0, 0),
        ("reference,date,amount\nacme-2026-03,,50.5\n", "partially_paid", 5050, 0),
        ("date;amount;reference;note\n;120.00;acme-2026-03;x\n", "paid", 12000, 0),
        ("\ufeffreference,date,amount\r\nacme-2026-03,,120\r\n", "paid", 12000, 0),
        ("reference,date,amount\nacme-2026-03,,100\nacme-2026-03,,20\n", "paid", 12000, 0),
        (
            "reference,date,amount\nacme-2026-03,,120\nacme-2026-03,,-120\n",
            "refunded",
            12000,
            12000,
        ),
    ],
)
def test_what_people_note_is_what_was_paid(
    connector: FileConnector, folder: Path, text: str, word: str, paid: int, refunded: int
) -> None:
    push(connector)
    pay(folder, text)
    amounts = connector.fetch_invoice("acme-2026-03").amounts
    assert (payment_of(amounts), amounts.paid, amounts.refunded) == (word, paid, refunded)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("reference,amount\n", ":1: no column"),
        ("", ":1: no column"),
        ("reference,date,amount\nacme-2026-03,,1.234,50\n", ":2: .*more cells"),
        ("reference,date,amount\nacme-2026-03,,1234,50\n", ":2: .*more cells"),
        ("reference,date,amount\nacme-2026-03,,1.234\n", ":2: .*more decimal places"),
        ("reference,date,amount\nacme-2026-03,,\n", ":2: .*no amount"),
        ('reference,date,amount\nacme-2026-03,,"1,50"\n', ":2: .*no amount"),
        ("reference,date,amount\nacme-2026-03,,1e9\n", ":2: .*no amount"),
        ("reference,date,amount\nacme-2026-03,,NaN\n", ":2: .*no amount"),
        ("reference,date,amount\nacme-2026-03\n", ":2: .*no amount"),
        ('reference,date,amount\n"acme', "after line 1: "),
    ],
)
def test_a_mistake_in_the_payments_is_named_with_its_line(
    connector: FileConnector, folder: Path, text: str, where: str
) -> None:
    push(connector)
    pay(folder, text)
    with pytest.raises(PermanentError, match=where):
        connector.fetch_invoice("acme-2026-03")


def test_payments_in_another_encoding_are_a_question_for_a_person(
    connector: FileConnector, folder: Path
) -> None:
    push(connector)
    pay(folder, "reference,date,amount,größe\n", encoding="latin-1")
    with pytest.raises(PermanentError, match="UTF-8"):
        connector.fetch_invoice("acme-2026-03")


def test_the_check_writes_nothing(connector: FileConnector, tmp_path: Path) -> None:
    assert connector.check() == str(tmp_path / "drafts")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("", encoding="utf-8")
    connector = FileConnector({"folder": str(tmp_path / "drafts")}, NoHttp())
    with pytest.raises(PermanentError, match="drafts"):
        connector.check()
    with pytest.raises(ConnectorError, match="drafts"):
        push(connector)


def test_only_what_changed_is_listed(connector: FileConnector, folder: Path) -> None:
    assert connector.changes_since(None) == ([], "0")
    push(connector)
    push(connector, replace(DRAFT, reference="acme-2026-04"))
    for number, name in enumerate(["acme-2026-03.json", "acme-2026-04.json"]):
        os.utime(folder / name, ns=(0, 1000 + number))
    changed, cursor = connector.changes_since("1001")
    assert (changed, cursor) == (["acme-2026-04"], "1001")
    pay(folder, "reference,date,amount\nacme-2026-03,,120\n")
    assert connector.changes_since(cursor)[0] == ["acme-2026-04", "acme-2026-03"]


def test_a_timesheet_is_written_beside_the_draft_and_goes_with_it(
    connector: FileConnector, folder: Path
) -> None:
    row = TimesheetRow(date(2026, 3, 4), "Ana", "A-1", "=1+1", Decimal("0.5"), Decimal("1"))
    draft = replace(DRAFT, timesheet=(row,))
    push(connector, draft)
    push(connector, draft)
    text = (folder / "acme-2026-03.timesheet.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines()[1:] == ["2026-03-04,Ana,A-1,'=1+1,0.50,1.00"]
    connector.delete_draft("acme-2026-03", idempotency_key="key")
    assert list(folder.iterdir()) == []


def test_a_draft_without_a_timesheet_is_another_one(connector: FileConnector) -> None:
    push(connector, replace(DRAFT, timesheet=()))
    with pytest.raises(PermanentError, match="other content"):
        push(connector, DRAFT)


def test_the_layout_is_a_part_of_what_is_written(connector: FileConnector) -> None:
    draft = replace(DRAFT, layout=Layout(order=("day",)))
    push(connector, draft)
    push(connector, draft)
    assert draft.content_hash() != DRAFT.content_hash()
