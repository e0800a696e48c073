"""`statements`: what a bank writes is read whole and exactly, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bank import account_key
from statements.errors import StatementError
from statements.reading import MOST_BYTES, read
from tests.statements.banks import IBAN, Booked, camt, mt940

PAID = Booked("1500.50", "Rechnung acme-2026-10 vielen Dank", reference="2026111600001")
BACK = Booked("-1500.50", "acme-2026-10", reference="2026111800002", is_reversal=True)
RENT = Booked("-800.00", "Miete", reference="2026111700003")
EVERY: dict[str, Callable[..., bytes]] = {
    "camt 2": partial(camt, version=2),
    "camt 8": partial(camt, version=8),
    "mt940": mt940,
}


@pytest.mark.parametrize("name", EVERY)
def test_each_format_tells_the_same_entries(name: str) -> None:
    paid, back, rent = read(EVERY[name](PAID, BACK, RENT))
    assert (paid.amount, paid.currency, paid.on) == (150050, "EUR", date(2026, 11, 16))
    assert (paid.payer, paid.entry_reference) == ("Acme GmbH", "2026111600001")
    assert (back.amount, back.is_reversal) == (-150050, True)
    assert (rent.amount, rent.is_reversal) == (-80000, False)
    assert {each.account for each in (paid, back, rent)} == {account_key(IBAN)}


def test_an_entry_is_the_same_in_each_format_where_the_bank_tells_its_reference() -> None:
    identities = [{each.identity() for each in read(make(PAID, BACK))} for make in EVERY.values()]
    assert identities[0] == identities[1] == identities[2]
    assert len(identities[0]) == 2


def test_equal_entries_of_one_statement_are_two_and_of_two_statements_the_same() -> None:
    twice = Booked("10.00", "Danke")
    first, second = read(camt(twice, twice))
    assert first.identity() != second.identity()
    again = read(camt(twice, RENT, twice, opening="5.00"))
    assert {first.identity(), second.identity()} < {each.identity() for each in again}


def test_a_reference_that_begins_again_with_each_statement_is_not_enough() -> None:
    one, other = Booked("10.00", "a", reference="1"), Booked("11.00", "a", reference="1")
    assert read(camt(one))[0].identity() != read(camt(other))[0].identity()


def test_what_is_only_announced_is_not_money() -> None:
    assert read(camt(PAID, Booked("5.00", status="PDNG"))) == read(camt(PAID))


def test_a_sum_of_several_payments_is_read_as_these() -> None:
    parts = "".join(
        f'<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd></TxDtls>"
        for name, amount in (("acme-2026-10", "1000.00"), ("beta-2026-10", "500.50"))
    )
    whole = camt(PAID).decode()
    details = whole[whole.index("<TxDtls>") : whole.index("</NtryDtls>")]
    one, other = read(whole.replace(details, parts).encode())
    assert (one.amount, one.texts) == (100000, ("acme-2026-10",))
    assert (other.amount, other.texts) == (50050, ("beta-2026-10",))
    assert one.identity() != other.identity()
    # Parts that do not come to the sum are not believed.
    (alone,) = read(whole.replace(details, parts.replace("500.50", "400.00")).encode())
    assert alone.amount == 150050
    assert alone.texts == ("acme-2026-10", "beta-2026-10")


BOMB = '<!DOCTYPE Document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE Document SYSTEM "file:///etc/passwd">'
MT = mt940(PAID, RENT).decode()
BAD = {
    "an entity bomb": camt(PAID, doctype=BOMB),
    "an entity from outside": camt(PAID, doctype=OUTSIDE),
    "no XML": b"<Document",
    "another message": camt(PAID).replace(b"camt.053", b"camt.054"),
    "no message": b"<html/>",
    "no statement": camt(PAID).replace(b"Stmt>", b"Other>"),
    "no account": camt(PAID).replace(b"IBAN>", b"Nothing>"),
    "an entry that is missing": camt(PAID, RENT).replace(
        b'<Amt Ccy="EUR">800.00', b'<Amt Ccy="EUR">80.00', 1
    ),
    "no side": camt(PAID).replace(b"<CdtDbtInd>CRDT</CdtDbtInd>", b"", 3),
    "too many decimals": camt(PAID).replace(b"1500.50", b"1500.505"),
    "no number": camt(PAID).replace(b"1500.50", b"NaN"),
    "an unknown currency": camt(PAID).replace(b'"EUR"', b'"ZZZ"'),
    "no date": camt(PAID).replace(b"<Dt>2026-11-16</Dt>", b"<Dt>soon</Dt>"),
    "a lost line": MT.replace(":61:261116", "61:261116").encode(),
    "a wrong mark": MT.replace("C1500,50", "X1500,50").encode(),
    "a wrong day": MT.replace(":61:2611161116C", ":61:2613161116C").encode(),
    "no balance": MT.replace(":62F:", ":62X:").encode(),
    "a wrong balance": MT.replace(":62F:C261116EUR1700,50", ":62F:C261116EUR1700,51").encode(),
    "no columns": b"a,b\n1,2\n",
    "an unknown column": b"date,amount,currency,text,colour\n",
    "a column twice": b"date,amount,currency,text,text\n",
    "a decimal comma": b"date,amount,currency,text\n2026-11-16,1500,50,EUR,x\n",
    "no amount": b"date,amount,currency,text\n2026-11-16,1e3,EUR,x\n",
    "no day": b"date,amount,currency,text\n16.11.2026,1.00,EUR,x\n",
    "an open quote": b'date,amount,currency,text\n2026-11-16,1.00,EUR,"x\n',
    "no UTF-8": b"date,amount,currency,text\n2026-11-16,1.00,EUR,\xff\n",
    "nothing": b"",
    "too much": b" " * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(StatementError, match=r".+: .+ - .+"):
        read(BAD[name])


def test_a_very_deep_document_is_refused() -> None:
    with pytest.raises(StatementError):
        read(b"<a>" * 500_000)


def test_a_table_says_who_and_where() -> None:
    text = "date;amount;currency;text;payer;account;bank_reference\n2026-11-16;1500.50;EUR;"
    (entry,) = read(f"{text}acme-2026-10;Acme;{IBAN};2026111600001\n".encode())
    assert entry.payer == "Acme"
    assert entry.identity() == read(mt940(PAID))[0].identity()


def test_free_text_and_envelopes_of_other_banks_are_read() -> None:
    text = MT.replace("\r\n", "\n")
    start, end = text.index(":86:"), text.index(":61:", text.index(":86:"))
    free = text[:start] + ":86:/NAME/Acme/REMI/acme-2026-10/EREF/1\n-more\n" + text[end:]
    wrapped = "{1:F01BANKDEFF}{2:O940}{4:\n" + free.removesuffix("-") + "-}{5:}"
    paid, _ = read(wrapped.encode())
    assert paid.texts == ("/NAME/Acme/REMI/acme-2026-10/EREF/1", "-more")


def test_two_messages_in_one_file_are_two_statements() -> None:
    entries = read(mt940(PAID) + b"\r\n" + mt940(RENT))
    assert [each.amount for each in entries] == [150050, -80000]


@given(st.binary(max_size=300), st.sampled_from(["csv", "camt.053", "mt940"]))
def test_whatever_the_bytes_are_they_are_read_or_refused(data: bytes, name: str) -> None:
    with contextlib.suppress(StatementError):
        read(data, name)


@given(st.text(max_size=300))
def test_whatever_stands_in_a_text_only_that_entry_has_it(text: str) -> None:
    written = mt940(PAID, RENT).decode().replace("Miete", text.replace("\r", "").replace("\n", ""))
    try:
        entries = read(written.encode("utf-8", "replace"))
    except StatementError:
        return
    assert [each.amount for each in entries] == [150050, -80000]
