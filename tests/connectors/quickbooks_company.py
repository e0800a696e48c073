"""A company in QuickBooks, for its tests."""

from __future__ import annotations

import pytest

from connectors.quickbooks.connector import QuickBooksConnector
from connectors.quickbooks.stand_in import QuickBooksStandIn, happenings
from connectors.quickbooks.stand_in.book import Book
from connectors.quickbooks.stand_in.rig import SETTINGS
from connectors.stand_in import InProcess
from ledger.invoices import InvoiceDraft
from ledger.payments import payment_of
from tests.contracts.billing import DRAFT, push
from tests.contracts.spoiled_http import SpoiledHttp

INVOICES = "unsent invoice"
BOTH = pytest.mark.parametrize("draft_as", ["estimate", INVOICES])


class Company:
    """A connector and the company that it is connected with."""

    def __init__(self, draft_as: str = "estimate", book: Book | None = None, **more: str) -> None:
        self.site = QuickBooksStandIn(book)
        self.book = self.site.book
        self.http = SpoiledHttp(InProcess(self.site), lambda request: request.method != "GET")
        self.settings = {**SETTINGS, "draft_as": draft_as, **more}
        self.connector = QuickBooksConnector(self.settings, self.http)

    def push(self, draft: InvoiceDraft = DRAFT) -> str:
        return push(self.connector, draft, f"key-{draft.reference}")

    def happen(self, remote_id: str, *steps: tuple[str, int]) -> str:
        """Let things happen in QuickBooks; return the payment word afterwards."""
        for step, minor in steps:
            getattr(happenings, step)(self.book, remote_id, minor)
        return self.word(remote_id)

    def word(self, remote_id: str) -> str:
        return payment_of(self.connector.fetch_invoice(remote_id).amounts)

    def entities(self, kind: str) -> int:
        return len(self.book.every(kind))
