"""`connectors.journal`: what it writes is what hledger and beancount read, whatever stands in it.

Beancount checks in this process; hledger is asked where it is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from beancount import loader
from beancount.core import data
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.connector import BOOKS, BillingConnector
from connectors.journal.connector import JournalConnector
from connectors.journal.reading import read_beancount, read_hledger
from connectors.journal.stand_in import Bookkeeper
from connectors.journal.writing import BEANCOUNT, HLEDGER, plain, written
from ledger.errors import ConnectorError, PermanentError, RejectedError
from ledger.invoices import BilledCustomer, Coding, InvoiceDraft
from ledger.payments import payment_of
from tests.connectors.journals import (
    ACCOUNTS,
    bean_read,
    bean_transactions,
    journal,
    opened,
    vars_of,
)
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push

DIALECTS = (BEANCOUNT, HLEDGER)
NO_HLEDGER = pytest.mark.skipif(
    shutil.which("hledger") is None, reason="hledger is not installed (apt install hledger)"
)
HOSTILE = (
    'quote " and \\ and \\" and \\',
    "new\nline\r\n2026-01-01 open Assets:Evil",
    "; comment",
    "date:2020-01-01, date2:2020-01-02, text:x",
    "[2020-01-01] [=2020-01-02] [12/99]",
    "#tag ^link @ 3 EUR {4 USD} = 0",
    "  Assets:Evil  1 EUR",
    "* ! (code) payee | note",
    "\x00\x07\u2028\u202e\ufeff end",
    "100,00 EUR 1.000.000 %s {braces} ${NAME}",
    "include /etc/passwd",
    "",
    "😀 Größe ﷽",
)


def hostile(text: str) -> InvoiceDraft:
    """Return a draft in which a stranger's text stands wherever one can."""
    taxed = replace(line("1", "10.00", "EUR", text), tax="A 19 % included")
    coding = Coding(item=text, tax_code=text, tracking=((text, text),))
    coded = replace(line("2", "0.50", "EUR", text), coding=coding)
    draft = draft_of(coded, replace(line("1", "3.33", "EUR", text), tax="B 7 %"), taxed)
    customer = BilledCustomer("acme", text, None)
    return replace(
        draft, customer=customer, memo=text, footer=text, purchase_order=text, days_until_due=None
    )


def hledger_read(path: Path, *arguments: str) -> list[Any]:
    words = ["hledger", "-f", str(path), "print", "-x", "-O", "json", *arguments]
    told = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env={"LANG": "C.UTF-8"}
    )
    assert told.returncode == 0, told.stderr
    found: list[Any] = json.loads(told.stdout)
    return found


def must_say_the_same(draft: InvoiceDraft, dialect: str) -> None:
    """Assert that our reader sees one transaction whose amounts are the draft's."""
    read = read_beancount if dialect == BEANCOUNT else read_hledger
    (found,) = read(written(draft, ACCOUNTS, dialect), "file")
    amounts = [posting.amount()[0] for posting in found.postings]
    assert (sum(amounts), amounts[0]) == (0, draft.total.decimal())
    texts = [posting.said["text"] for posting in found.postings if "text" in posting.said]
    assert texts == [plain(each.description, dialect) for each in draft.lines]
    assert draft.reference in found.links
    assert found.flag == "!"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(HOSTILE)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_beancount(text: str) -> None:
    draft = hostile(text)
    (found,) = bean_read(opened(written(draft, ACCOUNTS, BEANCOUNT)))
    assert (found.flag, found.links, found.tags) == ("!", {"acme-1"}, frozenset())
    assert sum(posting.units.number for posting in found.postings) == 0
    assert found.postings[0].units.number == draft.total.decimal()
    said = [each.meta["text"] for each in found.postings if "text" in each.meta]
    assert said == [plain(text, BEANCOUNT)] * 3
    assert found.payee == plain(text, BEANCOUNT)
    must_say_the_same(draft, BEANCOUNT)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_what_we_read_of_hledger(text: str) -> None:
    must_say_the_same(hostile(text), HLEDGER)


@NO_HLEDGER
def test_no_text_breaks_hledger(tmp_path: Path) -> None:
    drafts = [replace(hostile(text), reference=f"acme-{at}") for at, text in enumerate(HOSTILE)]
    path = tmp_path / "all.journal"
    path.write_text(
        "\n".join(written(each, ACCOUNTS, HLEDGER) for each in drafts), encoding="utf-8"
    )
    found = {each["tcode"]: each for each in hledger_read(path)}
    assert set(found) == {each.reference for each in drafts}
    for draft in drafts:
        one = found[draft.reference]
        assert (one["tdate"], one["tstatus"]) == ("2026-03-31", "Pending")
        assert {posting["pdate"] for posting in one["tpostings"]} == {None}
        amounts = [posting["pamount"][0] for posting in one["tpostings"]]
        exact = [
            Decimal(each["aquantity"]["decimalMantissa"]).scaleb(
                -each["aquantity"]["decimalPlaces"]
            )
            for each in amounts
        ]
        assert (sum(exact), exact[0]) == (0, draft.total.decimal())
        assert {posting["paccount"] for posting in one["tpostings"]} == set(vars_of(ACCOUNTS))
        names = {name for posting in one["tpostings"] for name, _ in posting["ptags"]}
        assert names <= {
            *(
                "text",
                "quantity",
                "unit-price",
                "item",
                "tracking",
                "tax-code",
                "line-tax",
                "tax-inside",
                "tax",
            ),
        }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_where_a_line_stands_in_the_books_is_said_of_its_posting(dialect: str) -> None:
    coding = Coding(item="SUP", tax_code="OUTPUT2", tracking=(("Region", "North"),))
    draft = draft_of(replace(line("2", "0.50", "EUR"), coding=coding), line("1", "3.00", "EUR"))
    read = read_beancount if dialect == BEANCOUNT else read_hledger
    (found,) = read(written(draft, ACCOUNTS, dialect), "file")
    names = ("item", "tax-code", "tracking")
    assert [[each.said.get(name) for name in names] for each in found.postings[1:]] == [
        ["SUP", "OUTPUT2", "Region = North"],
        [None, None, None],
    ]


def test_every_word_of_the_books_that_can_be_said_is_taken() -> None:
    assert JournalConnector.abilities.books == BOOKS - {"create"}


@given(st.text(max_size=60))
def test_nothing_that_is_not_seen_gets_into_a_journal(text: str) -> None:
    for dialect in DIALECTS:
        told = plain(text, dialect)
        assert not {unicodedata.category(each) for each in told} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@NO_HLEDGER
def test_amounts_are_read_as_meant_in_a_journal_with_decimal_commas(tmp_path: Path) -> None:
    connector = journal(tmp_path / "books", HLEDGER)
    push(connector, draft_of(line("1", "1.500", "KWD"), currency="KWD"))
    main = tmp_path / "main.journal"
    main.write_text("decimal-mark ,\ninclude books/billhook.journal\n")
    (found,) = hledger_read(main)
    amount = found["tpostings"][0]["pamount"][0]["aquantity"]
    assert (amount["decimalMantissa"], amount["decimalPlaces"]) == (1500, 3)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@NO_HLEDGER
def test_hledger_reads_amounts_of_each_currency_exactly(tmp_path: Path, currency: str) -> None:
    connector = journal(tmp_path, HLEDGER)
    push(
        connector,
        draft_of(line("1", "1500", currency), line("1", "1.000", "KWD"), currency=currency),
    )
    (found,) = hledger_read(tmp_path / "billhook.journal")
    amount = found["tpostings"][0]["pamount"][0]["aquantity"]
    told = Decimal(amount["decimalMantissa"]).scaleb(-amount["decimalPlaces"])
    assert told == Decimal(connector.fetch_invoice("acme-1").amounts.total).scaleb(
        {"EUR": -2, "JPY": 0, "KWD": -3}[currency]
    )


def test_what_billhook_writes_into_a_folder_is_a_whole_ledger_of_beancount(tmp_path: Path) -> None:
    connector = journal(tmp_path, BEANCOUNT)
    push(connector, DRAFT)
    taxed = replace(
        line("1", "100.00", "EUR"), tax="A 19 %", coding=Coding(account="Income:Design")
    )
    push(connector, replace(draft_of(taxed), reference="acme-2"), key="key-2")
    entries, errors, _ = loader.load_file(str(tmp_path / "billhook.beancount"))
    assert errors == []
    found = [entry for entry in entries if isinstance(entry, data.Transaction)]
    assert {link for each in found for link in each.links} == {"acme-1", "acme-2"}
    connector.delete_draft("acme-1", idempotency_key="key-3")
    connector.delete_draft("acme-2", idempotency_key="key-3")
    assert loader.load_file(str(tmp_path / "billhook.beancount"))[1] == []


@NO_HLEDGER
def test_what_billhook_writes_into_a_folder_is_a_whole_journal_of_hledger(tmp_path: Path) -> None:
    connector = journal(tmp_path, HLEDGER)
    push(connector, DRAFT)
    assert len(hledger_read(tmp_path / "billhook.journal")) == 1
    connector.delete_draft("acme-1", idempotency_key="key-3")
    assert hledger_read(tmp_path / "billhook.journal") == []


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ((("finalize", 0),), "open"),
        ((("finalize", 0), ("pay", 5000)), "partially_paid"),
        ((("pay", 21333),), "paid"),
        ((("finalize", 0), ("pay", 30000)), "overpaid"),
        ((("finalize", 0), ("pay", 21333), ("pay", -1)), "partially_refunded"),
    ],
)
def test_what_hledger_users_note_is_seen(
    tmp_path: Path, steps: tuple[tuple[str, int], ...], word: str
) -> None:
    connector, keeper = journal(tmp_path, HLEDGER), Bookkeeper(tmp_path, HLEDGER)
    remote_id = push(connector, DRAFT)
    for step, minor in steps:
        keeper.finalize(remote_id) if step == "finalize" else keeper.pay(remote_id, minor)
    assert payment_of(connector.fetch_invoice(remote_id).amounts) == word
    assert_shows(connector, DRAFT, connector.find_invoice("acme-1", remote_customer=None))


def test_an_amount_on_its_way_is_not_counted(tmp_path: Path) -> None:
    connector, keeper = journal(tmp_path, BEANCOUNT), Bookkeeper(tmp_path, BEANCOUNT)
    keeper.finalize(push(connector, DRAFT))
    keeper.pay("acme-1", 21333, "!")
    assert payment_of(connector.fetch_invoice("acme-1").amounts) == "processing"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("213.33 EUR", "213.34 EUR"),
        ("acme-1", "acme-2"),
        ("-180.00 EUR", "-180.00 USD"),
        ("2026-03-31 !", "; gone"),
        ("-180.00 EUR", "EUR"),
    ],
)
def test_a_file_that_somebody_has_spoiled_is_refused(
    tmp_path: Path, dialect: str, old: str, new: str
) -> None:
    connector = journal(tmp_path, dialect)
    push(connector, DRAFT)
    path = Bookkeeper(tmp_path, dialect).path("acme-1")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(PermanentError, match=r"journal: .+ - "):
        connector.fetch_invoice("acme-1")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_person_may_set_mark_day_and_narration(tmp_path: Path, dialect: str) -> None:
    connector = journal(tmp_path, dialect)
    push(connector, DRAFT)
    path = Bookkeeper(tmp_path, dialect).path("acme-1")
    text = (
        path.read_text().replace("2026-03-31 !", "2026-04-01 *").replace("Invoice acme-1", "March")
    )
    path.write_text(text)
    found = connector.fetch_invoice("acme-1")
    assert_shows(connector, DRAFT, found)
    assert found.amounts.document == "open"
    with pytest.raises(RejectedError, match="is open and no draft"):
        connector.update_draft(DRAFT, "acme-1", idempotency_key="key-2")
    assert path.read_text() == text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_changed_line_is_shown_as_it_stands_there(tmp_path: Path, dialect: str) -> None:
    connector = journal(tmp_path, dialect)
    push(connector, DRAFT)
    path = Bookkeeper(tmp_path, dialect).path("acme-1")
    path.write_text(path.read_text().replace("180.00", "170.00").replace("213.33", "203.33"))
    found = connector.fetch_invoice("acme-1")
    assert found.amounts.total == 20333
    assert found.lines is not None
    assert found.lines[0].amount == 17000


ACCOUNT_MISTAKES: Iterable[tuple[str, dict[str, str]]] = [
    (BEANCOUNT, {"account": "200"}),
    (BEANCOUNT, {"tax_account": "Liabilities:tax"}),
    (BEANCOUNT, {"receivable": 'Assets:X"'}),
    (HLEDGER, {"account": "Income  Services"}),
    (HLEDGER, {"account": "(Income)"}),
    (HLEDGER, {"account": "Income;x"}),
]


@pytest.mark.parametrize(("dialect", "settings"), ACCOUNT_MISTAKES)
def test_what_is_no_account_is_refused_before_anything_is_written(
    tmp_path: Path, dialect: str, settings: dict[str, str]
) -> None:
    connector = journal(tmp_path / "books", dialect, **settings)
    with pytest.raises(ConnectorError, match="is no account"):
        push(connector, draft_of(replace(line("1", "1.00", "EUR"), tax="A 19 %")))
    assert not (tmp_path / "books").exists()


def test_a_customer_has_an_account_of_its_own_or_the_one_that_is_named(tmp_path: Path) -> None:
    connector: BillingConnector = journal(tmp_path, BEANCOUNT)
    names = {
        BilledCustomer("acme-gmbh", "A"): "Assets:Receivable:Acme-gmbh",
        BilledCustomer("a.b_c", "A"): "Assets:Receivable:A-b-c",
        BilledCustomer("acme", "A", remote_id="C-17"): "Assets:Receivable:C-17",
        BilledCustomer("acme", "A", remote_id="Assets:Debtors:Acme"): "Assets:Debtors:Acme",
    }
    for customer, name in names.items():
        draft = replace(DRAFT, customer=customer)
        assert connector.resolve_customer(draft, idempotency_key="k") == name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_check_says_what_is_wrong(tmp_path: Path, dialect: str) -> None:
    assert journal(tmp_path, dialect).check() == f"{tmp_path} ({dialect})"
    with pytest.raises(PermanentError, match="is not known"):
        journal(tmp_path, "ledger").check()
    with pytest.raises(PermanentError, match="is not there"):
        journal(tmp_path, dialect, ledger=str(tmp_path / "nowhere")).check()
    (tmp_path / "a file").touch()
    with pytest.raises(PermanentError, match="cannot be written"):
        journal(tmp_path / "a file/folder", dialect).check()


@given(st.text(max_size=200), st.sampled_from(DIALECTS))
@settings(deadline=None)
def test_whatever_stands_in_a_journal_is_read_or_refused(text: str, dialect: str) -> None:
    read = read_beancount if dialect == BEANCOUNT else read_hledger
    for found in read(text, "file"):
        try:
            found.amount_on("Assets:X", "EUR")
        except ConnectorError:
            continue


def test_a_credit_note_lowers_its_invoice_in_the_eyes_of_beancount_too(tmp_path: Path) -> None:
    connector = journal(tmp_path, BEANCOUNT)
    push(connector, DRAFT)
    Bookkeeper(tmp_path, BEANCOUNT).finalize("acme-1")
    note = replace(
        draft_of(line("-1", "13.33", "EUR")), reference="acme-1-credit", credits="acme-1"
    )
    credited = connector.credit(note, "acme-1", idempotency_key="key-2")
    assert credited.total.minor == 1333
    assert connector.fetch_invoice("acme-1").amounts.credited == 1333
    found, errors, _ = loader.load_file(str(tmp_path / "billhook.beancount"))
    assert errors == []
    owed = [
        posting.units.number
        for entry in bean_transactions(found)
        for posting in entry.postings
        if posting.account == ACCOUNTS.receivable
    ]
    assert sum(owed) == Decimal("200.00")
    assert [one.remote_id for one in connector.made_since(datetime(2000, 1, 1, tzinfo=UTC))] == [
        "acme-1"
    ]


def test_a_run_in_a_folder_leaves_no_half_files(tmp_path: Path) -> None:
    push(journal(tmp_path, BEANCOUNT), DRAFT)
    assert [path.name for path in tmp_path.rglob(".*")] == []
    with TemporaryDirectory() as folder:
        push(journal(Path(folder), HLEDGER), DRAFT)
        assert sorted(path.name for path in Path(folder).rglob("*.journal")) == [
            "_.journal",
            "acme-1.journal",
            "billhook.journal",
        ]
