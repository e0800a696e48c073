"""`connectors.journal.books`: payments in people's journals are read exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from connectors.journal.writing import BEANCOUNT, ENDINGS, HLEDGER
from ledger.errors import PermanentError
from tests.connectors.journals import ACCOUNTS, bean_read, journal, opened
from tests.contracts.billing import DRAFT, push

BEAN_PAID = {
    "a link": ('2026-04-02 * "Acme" ^acme-1\n  Assets:Bank  50.00 EUR\n  {0}  -50.00 EUR\n', 5000),
    "a tag": ('2026-04-02 * "Acme" #acme-1\n  {0}  -50.00 EUR\n  Assets:Bank\n', 5000),
    "an amount left out": (
        '2026-04-02 txn "A" ^acme-1\n  Assets:Bank  49.00 EUR\n  Assets:Bank  1 EUR\n  {0}\n',
        5000,
    ),
    "thousands": (
        '2026-04-02 * "A" ^acme-1 ; x\n  {0}  -1,250.00 EUR ; "\n  Assets:Bank\n',
        125000,
    ),
    "a link below": ('2026-04-02 * "A"\n  ^acme-1\n  {0}  -50.00 EUR\n  Assets:Bank\n', 5000),
    "a text over lines": (
        '2026-04-02 * "A\nB" "C\n  D" ^acme-1\n  {0}  -50.00 EUR\n  Assets:Bank\n',
        5000,
    ),
    "another account": (
        '2026-04-02 * "A" ^acme-1\n  Assets:Receivable:Acme-2  -5.00 EUR\n  Assets:Bank\n',
        0,
    ),
    "another link": ('2026-04-02 * "A" "acme-1" ^acme-10\n  {0}  -5.00 EUR\n  Assets:Bank\n', 0),
    "a comment": ('; 2026-04-02 * "A" ^acme-1\n;  {0}  -5.00 EUR\n', 0),
    "with a price": (
        '2026-04-02 * "A" ^acme-1\n  {0}  -50.00 EUR @ 1.10 USD\n  Assets:Bank  55.00 USD\n',
        5000,
    ),
}
HLEDGER_PAID = {
    "a code": (
        "2026-04-02 * (acme-1) Acme\n    Assets:Bank  50.00 EUR\n    {0}  -50.00 EUR\n",
        5000,
    ),
    "a tag": ("2026/4/2 Acme  ; invoice:acme-1\n    {0}  EUR -50.00\n    Assets:Bank\n", 5000),
    "a tag below": (
        "4-2 * Acme\n    ; for invoice:acme-1, thanks\n    {0}  -50 EUR\n    Assets:Bank\n",
        5000,
    ),
    "an assertion": (
        "2026-04-02 * (acme-1) A\n    {0}  -50.00 EUR = 0 EUR ; x\n    Assets:Bank\n",
        5000,
    ),
    "an amount left out": ("2026-04-02 * (acme-1) A\n    Assets:Bank  50.00 EUR\n    {0}\n", 5000),
    "another code": ("2026-04-02 * (acme-10) acme-1\n    {0}  -5.00 EUR\n    Assets:Bank\n", 0),
    "a comment": ("comment\n2026-04-02 * (acme-1) A\n    {0}  -5.00 EUR\nend comment\n", 0),
    "a virtual posting": ("2026-04-02 * (acme-1) A\n    ({0})  -5.00 EUR\n", 0),
}
PAID = [
    pytest.param(dialect, *case, id=f"{dialect}, {name}")
    for dialect, cases in ((BEANCOUNT, BEAN_PAID), (HLEDGER, HLEDGER_PAID))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("dialect", "text", "minor"), PAID)
def test_a_payment_is_read_however_people_write_it(
    tmp_path: Path, dialect: str, text: str, minor: int
) -> None:
    main = tmp_path / f"main.{ENDINGS[dialect]}"
    quote = '"' if dialect == BEANCOUNT else ""
    main.write_text(f"include {quote}bank/*.x{quote}\ninclude {quote}books/billhook.*{quote}\n")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/2026.x").write_text(text.format(ACCOUNTS.receivable))
    connector = journal(tmp_path / "books", dialect, ledger=str(main))
    push(connector, DRAFT)
    assert connector.fetch_invoice("acme-1").amounts.paid == minor


def test_beancount_reads_the_same_payments_as_we_do() -> None:
    for name, (text, minor) in BEAN_PAID.items():
        written = text.format(ACCOUNTS.receivable).replace("Acme-2", "Acme")
        if minor:
            paid = -sum(
                posting.units.number
                for each in bean_read(opened(written))
                for posting in each.postings
                if posting.account == ACCOUNTS.receivable and "acme-1" in {*each.links, *each.tags}
            )
            assert paid == Decimal(minor).scaleb(-2), name


@pytest.mark.parametrize(
    "amount",
    ["-1,500 EUR", "-1.500,00 EUR", "-(1 + 2) EUR", "-50.00 USD", "-50", "EUR", "-5.005 EUR"],
)
def test_an_amount_that_is_not_plain_is_never_guessed(tmp_path: Path, amount: str) -> None:
    connector = journal(tmp_path, HLEDGER)
    push(connector, DRAFT)
    text = f"2026-04-02 * (acme-1) A\n    {ACCOUNTS.receivable}  {amount}\n    Assets:Bank\n"
    (tmp_path / "payments.journal").write_text(text)
    with pytest.raises(PermanentError, match=r"payments.journal:[12]: .* - "):
        connector.fetch_invoice("acme-1")


def test_a_journal_that_is_gone_is_not_one_without_payments(tmp_path: Path) -> None:
    main = tmp_path / "main.journal"
    main.write_text("")
    connector = journal(tmp_path / "books", HLEDGER, ledger=str(main))
    push(connector, DRAFT)
    main.unlink()
    with pytest.raises(PermanentError, match="is not there"):
        connector.fetch_invoice("acme-1")


def test_journals_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one.journal", tmp_path / "other.journal"
    paid = f"2026-04-02 * (acme-1) A\n    {ACCOUNTS.receivable}  -5 EUR\n    Assets:Bank\n"
    one.write_text(f"include other.journal\ninclude ./other.journal\n{paid}")
    other.write_text(f"include {one}\ninclude timedot:x.timedot\ninclude nothing.journal\n")
    connector = journal(tmp_path / "books", HLEDGER, ledger=str(one))
    push(connector, DRAFT)
    assert connector.fetch_invoice("acme-1").amounts.paid == 500
