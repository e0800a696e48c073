"""Invoices as EN 16931 e-invoices in a folder: UBL 2.1, or Factur-X / ZUGFeRD.

A draft is `<reference>.json` and a PDF that says so. Once it is issued, the e-invoice stands in its
place: dated, numbered with our reference, and never changed any more. Nothing counts as written
that the official XSD and Schematron do not find valid. The worker calls it through
`connectors.connector.BillingConnector`; what it has in common with `file` is in `file/folder.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import ClassVar

from connectors.connector import ANY_PLACES, Abilities, RemoteCredit, RemoteInvoice, Setting
from connectors.file.folder import ISSUED_ON, FolderConnector
from connectors.file.payments import PAYMENTS_FILE, Paid, payments_of
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.invoices import InvoiceDraft
from ledger.payments import Amounts
from ledger.timesheets import as_csv

from .pdf import as_pdf, payment_words, title_of, with_xml
from .seller import FACTUR_X, SETTINGS, UBL, seller_of, zone_of
from .terms import Terms
from .validation import as_xml, must_be_valid


class EInvoiceConnector(FolderConnector):
    """A folder with e-invoices; the same reference is always the same invoice."""

    key = "einvoice"
    name = "E-invoices in a folder"
    docs_url = (
        "https://ec.europa.eu/digital-building-blocks/sites/display/DIGITAL/"
        "Compliance+with+eInvoicing+standard"
    )
    settings = (Setting("folder", "The folder that e-invoices are written into"), *SETTINGS)
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=1000,
        quantity_places=ANY_PLACES,
        books=frozenset(("item", "tax_code")),
        knows_payments=False,
        finalize=True,
        taxes=True,
        credit=True,
        # Files are written by this process itself: when it is gone, nothing comes any more.
        settles_after=timedelta(0),
    )

    def check(self) -> str:
        seller = seller_of(self.configured)
        zone_of(self.configured)
        return f"{seller.name}, {self.configured['format']}, in {super().check()}"

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        found = super().fetch_invoice(remote_id)
        if found.amounts.document != "draft":
            return found
        paid = payments_of(self._path(PAYMENTS_FILE), remote_id, found.amounts.currency)
        if paid.is_listed and (draft := self._read(remote_id)) is not None:
            self._write_all(draft, _day(paid, remote_id))
            return super().fetch_invoice(remote_id)
        return found

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        if send:
            raise UnsupportedError(
                f"einvoice: {remote_id}: nothing is sent from a folder - write after_push: finalize"
            )
        draft = self._read(remote_id)
        if draft is None:
            raise RejectedError(f"einvoice: {remote_id} is not there - push it again")
        if self._issued_on(remote_id) is None:
            self._write_all(draft, self._today())
        return self._remote(draft)

    def credit(
        self, draft: InvoiceDraft, remote_invoice: str, *, idempotency_key: str
    ) -> RemoteCredit:
        # A row in payments.csv may have issued it just now.
        if self.fetch_invoice(remote_invoice).amounts.document != "open":
            raise RejectedError(
                f"einvoice: {remote_invoice} is not issued - only what is issued is credited"
            )
        return super().credit(draft, remote_invoice, idempotency_key=idempotency_key)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        if self._issued_on(remote_id) is not None:
            raise RejectedError(
                f"einvoice: {remote_id} is issued and no draft any more - it is left as it is; "
                "credit it instead"
            )
        super().delete_draft(remote_id, idempotency_key=idempotency_key)

    def _amounts(self, draft: InvoiceDraft, paid: Paid) -> Amounts:
        issued_on = self._issued_on(draft.reference)
        amounts = super()._amounts(draft, paid)
        if issued_on is None:
            return replace(amounts, document="draft")
        days = draft.days_until_due
        due_on = None if days is None else issued_on + timedelta(days=days)
        return replace(amounts, document="open", due_on=due_on)

    def _papers(self, draft: InvoiceDraft, issued_on: date | None) -> Mapping[str, bytes | None]:
        form, is_draft = self.configured["format"], issued_on is None
        terms = self._terms(draft, issued_on or self._today())
        xml = as_xml(terms.as_dict(payment_words(terms)), form)
        # A draft, too: what could not be issued is refused before anybody approves of it.
        must_be_valid(xml, form, draft.reference)
        pdf = as_pdf(terms, is_draft=is_draft, fonts=self.configured.get("fonts", ""))
        if form == FACTUR_X and not is_draft:
            title = title_of(terms, is_draft=False)
            language = draft.customer.language
            pdf = with_xml(pdf, xml, title=title, author=terms.seller.name, language=language)
        draft_pdf, final_pdf, final_xml, timesheet = self._paper_names(draft.reference)
        return {
            timesheet: None if draft.timesheet is None else as_csv(draft.timesheet).encode(),
            final_xml: None if is_draft or form != UBL else xml,
            final_pdf: None if is_draft else pdf,
            draft_pdf: pdf if is_draft else None,
        }

    def _paper_names(self, reference: str) -> tuple[str, str, str, str]:
        return (
            *(f"{reference}.draft.pdf", f"{reference}.pdf"),
            *(f"{reference}.xml", f"{reference}.timesheet.csv"),
        )

    def _terms(self, draft: InvoiceDraft, issued_on: date) -> Terms:
        return Terms(
            draft,
            seller_of(self.configured),
            issued_on=issued_on,
            tax_code=self.configured.get("tax_code", ""),
            unit=self.configured.get("unit", ""),
            credited_on=self._issued_on(draft.credits) if draft.credits else None,
        )

    def _issued_on(self, reference: str) -> date | None:
        """Return the date of an invoice; None for a draft, and for one that is not there."""
        draft = self._read(reference, also_edited=True)
        if draft is None:
            return None
        record = json.loads(self._path(f"{reference}.json").read_text(encoding="utf-8"))
        said = record.get(ISSUED_ON)
        return None if said is None else date.fromisoformat(said)

    def _today(self) -> date:
        return datetime.now(zone_of(self.configured)).date()

    def _url(self, reference: str) -> str:
        draft_pdf, final_pdf, *_ = self._paper_names(reference)
        final = self._path(final_pdf)
        return (final if final.exists() else self._path(draft_pdf)).absolute().as_uri()


def _day(paid: Paid, reference: str) -> date:
    """Return the day on which an invoice is issued, as its first row says."""
    try:
        return date.fromisoformat(paid.listed_on)
    except ValueError as error:
        raise PermanentError(
            f"einvoice: {PAYMENTS_FILE}: the first row of {reference} has the date "
            f'"{paid.listed_on[:20]}" - write the day of the invoice like 2026-04-01'
        ) from error
