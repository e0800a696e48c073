"""What comes back from QuickBooks: payments, hints, changes and faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.connector import RemoteInvoice
from connectors.http import Request, Response
from connectors.quickbooks.stand_in import happenings
from connectors.quickbooks.stand_in.server import REALM
from ledger.errors import (
    ConnectorError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from tests.connectors.quickbooks_company import BOTH, INVOICES, Company
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line


@BOTH
@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ([("pay", 5000)], "partially_paid"),
        ([("pay", 5000), ("pay", 16333)], "paid"),
        ([("pay", 5000), ("pay", 16333), ("unpay", 0)], "partially_paid"),
        ([("pay", 21333), ("unpay", 0)], "open"),
        ([("pay", 30000)], "overpaid"),
        ([("credit", 21333)], "credited"),
        ([("credit", 1333)], "partially_paid"),
        ([("credit", 1333), ("pay", 20000)], "paid"),
        ([("void", 0)], "void"),
        ([("pay", 21333), ("void", 0)], "void"),
    ],
)
def test_what_is_paid_is_seen(draft_as: str, steps: list[tuple[str, int]], word: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    assert company.happen(remote_id, ("finalize", 0)) == "open"
    assert company.happen(remote_id, *steps) == word


@BOTH
def test_amounts_are_told_to_the_cent(draft_as: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    company.happen(remote_id, ("finalize", 0), ("credit", 1333), ("pay", 25000))
    amounts = company.connector.fetch_invoice(remote_id).amounts
    assert (amounts.total, amounts.credited, amounts.remaining) == (21333, 1333, 0)
    assert (amounts.paid, amounts.overpaid) == (25000, 5000)


def test_an_estimate_is_followed_to_its_invoice_and_back() -> None:
    company = Company()
    remote_id = company.push()
    assert company.happen(remote_id, ("finalize", 0)) == "open"
    (invoice,) = company.book.every("Invoice")
    assert company.happen(remote_id, ("pay", 21333)) == "paid"
    before = company.connector.fetch_invoice(remote_id)
    assert_shows(company.connector, DRAFT, before)
    with pytest.raises(RejectedError, match="no draft any more"):
        company.connector.delete_draft(remote_id, idempotency_key="key-2")
    company.happen(remote_id, ("unpay", 0))
    company.book.delete("Invoice", invoice)
    # QuickBooks leaves the estimate closed, and nobody knows what for.
    assert company.word(remote_id) == "unknown"


def test_an_estimate_billed_in_parts_amounts_to_what_was_billed() -> None:
    company = Company()
    remote_id = company.push(draft_of(line("1", "200.00", "EUR")))
    (estimate,) = company.book.every("Estimate")
    happenings.convert(company.book, estimate, Decimal("0.25"))
    company.happen(remote_id, ("pay", 5000))
    happenings.convert(company.book, estimate, Decimal("0.75"))
    amounts = company.connector.fetch_invoice(remote_id).amounts
    assert (amounts.total, amounts.paid, amounts.remaining) == (20000, 5000, 15000)
    assert company.happen(remote_id, ("void", 0)) == "paid"


@pytest.mark.parametrize(
    ("state", "word"),
    [("Accepted", "draft"), ("Rejected", "void"), ("Closed", "unknown"), ("Converted", "unknown")],
)
def test_what_a_customer_says_to_an_estimate_is_seen(state: str, word: str) -> None:
    company = Company()
    remote_id = company.push()
    (estimate,) = company.book.every("Estimate")
    estimate["TxnStatus"] = state
    assert company.word(remote_id) == word
    # What was agreed with the customer is not changed behind their back.
    with pytest.raises(RejectedError, match="no draft any more"):
        company.connector.update_draft(
            replace(DRAFT, memo="Other"), remote_id, idempotency_key="key-2"
        )


def test_an_invoice_that_was_printed_is_no_draft_any_more() -> None:
    company = Company(INVOICES)
    remote_id = company.push()
    (invoice,) = company.book.every("Invoice")
    invoice["PrintStatus"] = "PrintComplete"
    assert company.word(remote_id) == "open"


def test_credits_are_used_up_in_the_order_of_a_payments_lines() -> None:
    company = Company(INVOICES)
    first, second = (
        company.push(draft_of(line("1", "100.00", "EUR"), reference=f"acme-{at}")) for at in (1, 2)
    )
    company.happen(first, ("finalize", 0), ("credit", 10000))
    (payment,) = company.book.every("Payment")
    payment["Line"][1]["Amount"] = Decimal(130)
    payment["Line"].append(
        {"Amount": Decimal(100), "LinkedTxn": [{"TxnId": second, "TxnType": "Invoice"}]}
    )
    there = company.book.get("Invoice", second)
    there.update(Balance=Decimal(0), LinkedTxn=[{"TxnId": payment["Id"], "TxnType": "Payment"}])
    payment.update(TotalAmt=Decimal(70), UnappliedAmt=Decimal(5))
    amounts = company.connector.fetch_invoice(second).amounts
    # What is over belongs to nobody of the two.
    assert (amounts.credited, amounts.paid, amounts.overpaid) == (3000, 7000, 0)


@pytest.mark.parametrize(("before", "after"), [("estimate", INVOICES), (INVOICES, "estimate")])
def test_what_was_pushed_before_the_setting_changed_is_still_followed(
    before: str, after: str
) -> None:
    company = Company(before)
    remote_id = company.push()
    company.happen(remote_id, ("finalize", 0), ("pay", 5000))
    changed = Company(after, company.book)
    assert changed.word(remote_id) == "partially_paid"


def test_an_amount_that_is_none_of_its_currency_is_a_persons_business() -> None:
    company = Company(INVOICES)
    remote_id = company.push(draft_of(line("1", "1500", "JPY"), currency="JPY"))
    company.book.every("Invoice")[0]["TotalAmt"] = Decimal("1500.50")
    with pytest.raises(PermanentError, match=r"1500\.50 .* JPY"):
        company.connector.fetch_invoice(remote_id)


# Hints and changes.


def hinted(company: Company, remote_id: str, kind: str) -> list[str]:
    (one,) = company.book.every(kind)
    word = {"CreditMemo": "credit"}.get(kind, kind.lower())
    ours = company.connector.invoices_for(f"{word}:{REALM}/{one['Id']}")
    assert company.connector.invoices_for(f"{word}:1{REALM}/{one['Id']}") == []
    assert company.connector.invoices_for(f"{word}:{REALM}/99999") != ours
    return ours


@BOTH
def test_every_hint_leads_to_what_we_have_pushed_and_no_other_companys_does(draft_as: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    company.happen(remote_id, ("finalize", 0), ("credit", 1333))
    for kind in ("Invoice", "Payment", "CreditMemo"):
        assert remote_id in hinted(company, remote_id, kind)
    if draft_as == "estimate":
        assert hinted(company, remote_id, "Estimate") == [remote_id]
    with pytest.raises(UnsupportedError, match="customer:1"):
        company.connector.invoices_for("customer:1")


@BOTH
def test_changes_are_listed_also_beyond_what_is_kept_of_them(draft_as: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    long_ago = str(int((datetime.now(UTC) - timedelta(days=90)).timestamp()))
    for cursor in (None, long_ago):
        changed, after = company.connector.changes_since(cursor)
        assert remote_id in changed
        assert abs(int(after) - datetime.now(UTC).timestamp()) < 300
    company.happen(remote_id, ("finalize", 0), ("pay", 5000))
    assert remote_id in company.connector.changes_since(after)[0]
    company.happen(remote_id, ("delete", 0))
    assert company.word(remote_id) == "deleted"
    assert (remote_id in company.connector.changes_since(after)[0]) or draft_as == "estimate"


def test_more_changes_than_one_answer_holds_are_all_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.quickbooks.connector.PAGE", 3)
    monkeypatch.setattr("connectors.quickbooks.stand_in.server.MOST_CHANGES", 3)
    company = Company(INVOICES)
    ids = [company.push(replace(DRAFT, reference=f"acme-{at}")) for at in range(5)]
    assert set(ids) <= set(company.connector.changes_since(None)[0])


# What QuickBooks says.


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("5010", TransientError, "at the same time"),
        ("3200", PermanentError, "connect the company again"),
        ("003100", PermanentError, "connect the company again"),
        ("6140", RejectedError, "has this number"),
        ("6240", RejectedError, "inactive"),
        ("2500", RejectedError, "item:"),
        ("6190", PermanentError, "subscription"),
        ("6210", RejectedError, "closed"),
        ("no code", RejectedError, "unknown"),
        ("12<script>", RejectedError, "unknown"),
    ],
)
@pytest.mark.parametrize("spelling", [("Fault", "Error"), ("fault", "error")])
@pytest.mark.parametrize("status", [200, 400])
def test_a_fault_becomes_our_error_whatever_its_spelling(
    code: str, error: type[ConnectorError], told: str, spelling: tuple[str, str], status: int
) -> None:
    company = Company()
    customer = company.connector.resolve_customer(DRAFT, idempotency_key="key-1")
    fault, errors = spelling
    body = f'{{"{fault}": {{"{errors}": [{{"code": "{code}", "Message": "Ana"}}]}}}}'
    company.http.at = 1
    company.http.spoil = lambda _: Response(status, {}, body.encode())
    with pytest.raises(error, match=told) as caught:
        company.connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key-1")
    assert "Ana" not in str(caught.value)
    assert "<script" not in str(caught.value)


def test_too_many_requests_without_advice_wait_for_a_minute() -> None:
    company = Company()
    company.http.changes = False
    company.http.at = 1
    company.http.spoil = lambda _: Response(429, {}, b"{}")
    with pytest.raises(TransientError) as caught:
        company.connector.fetch_invoice("1")
    assert caught.value.retry_after == 60


def test_a_deleted_one_is_told_only_by_quickbooks_itself() -> None:
    company = Company()
    assert company.word("estimate-999") == "deleted"

    def proxy(request: Request) -> Response:
        return Response(404, {}, b'{"Fault": {"Error": [{"code": "4000"}]}}')

    company.http.changes, company.http.at, company.http.spoil = False, 1, proxy
    with pytest.raises(PermanentError):
        company.word("estimate-999")


@pytest.mark.parametrize(
    "spoil",
    [
        b'{"Estimate": []}',
        b'{"Estimate": {"Id": "1"}}',
        b'{"Estimate": {"Id": "1", "TotalAmt": "1.00"}}',
        b'{"Estimate": {"Id": "1", "TotalAmt": 1, "Line": [1]}}',
        b'{"Estimate": {"Id": "1", "TotalAmt": 1, "LinkedTxn": [{"TxnType": "Invoice"}]}}',
        b'{"Estimate": {"TotalAmt": 1, "CustomerMemo": "hello"}}',
    ],
)
def test_an_answer_of_another_shape_is_no_crash(spoil: bytes) -> None:
    company = Company()
    company.http.changes, company.http.at = False, 1
    company.http.spoil = lambda _: Response(200, {}, spoil)
    try:
        seen: RemoteInvoice | None = company.connector.fetch_invoice("estimate-1")
    except TransientError:
        seen = None
    assert seen is None or seen.amounts.total == 0
