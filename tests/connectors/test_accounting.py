"""What connectors to accounting systems share: numbers that a system keeps, and exact amounts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.accounting import Api, exact, marked
from connectors.digits import Digits, minor, number
from connectors.http import Request, Response
from connectors.odoo.connector import OdooConnector
from connectors.odoo.stand_in import SETTINGS, OdooStandIn
from connectors.stand_in import InProcess
from ledger.errors import OutcomeUnknownError, PermanentError
from ledger.invoices import PrintedLine
from ledger.money import line_amount
from tests.contracts.billing import DRAFT, push

TWO = Digits(quantity=2, price=2)


def line(quantity: str, price: str, currency: str = "EUR") -> PrintedLine:
    amount = line_amount(Decimal(quantity), Decimal(price), currency).minor
    return PrintedLine("Work", Decimal(quantity), Decimal(price), amount)


@pytest.mark.parametrize(
    ("quantity", "price", "currency", "text", "shown"),
    [
        ("1.50", "120.00", "EUR", "Work", ("1.5", "120")),
        ("-1.5", "120.00", "EUR", "Work", ("-1.5", "120")),
        ("0.3333", "100.00", "EUR", "Work (0.3333 x 100.00 EUR)", ("1", "33.33")),
        ("1", "0.005", "EUR", "Work (1.00 x 0.005 EUR)", ("1", "0.01")),
        # Half a cent is rounded up, down or to even.
        ("0.5", "0.01", "EUR", "Work (0.50 x 0.01 EUR)", ("1", "0.01")),
        ("0.33", "0.01", "EUR", "Work", ("0.33", "0.01")),
        # Some systems keep cents of currencies that have none.
        ("0.33", "100", "JPY", "Work", ("0.33", "100")),
        ("0.33", "101", "JPY", "Work (0.33 x 101 JPY)", ("1", "33")),
    ],
)
def test_a_line_goes_out_in_numbers_that_every_system_multiplies_alike(
    quantity: str, price: str, currency: str, text: str, shown: tuple[str, str]
) -> None:
    priced = TWO.priced(line(quantity, price, currency), currency)
    assert priced is not None
    assert priced.description == text
    assert (priced.quantity, priced.unit_price) == (Decimal(shown[0]), Decimal(shown[1]))


def test_an_amount_with_more_decimals_than_a_system_keeps_is_refused() -> None:
    assert TWO.priced(line("1", "1.234", "KWD"), "KWD") is None
    assert TWO.priced(line("1", "1.230", "KWD"), "KWD") is not None


def test_amounts_are_read_to_the_cent_and_nothing_else_is_an_amount() -> None:
    assert minor(Decimal("0.30000000000000004"), "EUR") == 30
    assert minor("12.345", "KWD") == 12345
    wrongs: list[object] = ["twelve", True, 1.5, [], "NaN"]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="not a number"):
            number(wrong)


def test_decimals_go_out_with_all_their_digits() -> None:
    body = exact({"quantity": Decimal("0.1"), "price": Decimal("1E+3"), "text": "1.0"})
    assert body == b'{"price":1000,"quantity":0.1,"text":"1.0"}'


def test_only_our_own_mark_is_a_reference() -> None:
    assert [marked(text) for text in ("billhook:a-1", "S00012", None, False)] == [
        "a-1",
        None,
        None,
        None,
    ]


def test_a_refusal_that_is_not_the_vendors_leaves_a_change_open() -> None:
    class Proxy:
        def send(self, request: Request) -> Response:
            return Response(404, {}, b'{"detail": "no such backend"}')

    api = Api(Proxy(), "https://x.example", {}, tool="x", is_refusal=lambda told: "name" in told)
    with pytest.raises(OutcomeUnknownError):
        api.write("POST", "/invoices", {})


def test_a_void_invoice_makes_way_for_the_one_that_took_its_place() -> None:
    site = OdooStandIn()
    connector = OdooConnector(SETTINGS, InProcess(site))
    first, second = push(connector, DRAFT), None
    site.happenings("void")["void"](first, 0)
    found = connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    assert (found.remote_id, found.amounts.document) == (first, "void")
    copy = site.papers[int(first)]
    second = str(site.enter(copy.written, copy.lines, copy.amounts, copy.currency).number)
    found = connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    assert found.remote_id == second
    site.enter(copy.written, copy.lines, copy.amounts, copy.currency)
    with pytest.raises(PermanentError, match="both carry the reference"):
        connector.find_invoice(DRAFT.reference, remote_customer=None)


def test_a_poll_that_takes_long_goes_on_from_its_beginning() -> None:
    site = OdooStandIn()

    class Slow:
        def send(self, request: Request) -> Response:
            answer = InProcess(site).send(request)
            site.now += timedelta(hours=1)
            return answer

    push(OdooConnector(SETTINGS, InProcess(site)), DRAFT)
    began = int(site.now.timestamp())
    for _ in range(2):
        changed, cursor = OdooConnector(SETTINGS, Slow()).changes_since("0")
        assert (len(changed), int(cursor)) == (1, began - 600)
        began = int(site.now.timestamp())


def test_a_poll_goes_on_by_the_clock_of_the_system() -> None:
    site = OdooStandIn()
    connector = OdooConnector(SETTINGS, InProcess(site))
    remote_id = push(connector, DRAFT)
    changed, cursor = connector.changes_since("0")
    assert (changed, int(cursor)) == ([remote_id], int(site.now.timestamp()) - 600)
    # An older clock there never takes us back.
    late = str(int(cursor) + 10_000)
    assert connector.changes_since(late) == ([], late)
