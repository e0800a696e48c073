"""Stripe Invoicing: pushes a draft in two calls and reports what became of it.

The worker calls it through `connectors.connector.BillingConnector`. Everything goes through
the real `stripe` package on our own HTTP port (`transport.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import ClassVar, Final

import stripe

from connectors.connector import (
    ANY_PLACES,
    Abilities,
    BillingConnector,
    RemoteCredit,
    RemoteInvoice,
    Setting,
)
from connectors.http import Http
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import InvoiceDraft
from ledger.payments import gone_there
from ledger.shown import Shown

from . import credits, parameters, payments
from .parameters import COMPLETE, CONTENT, CUSTOMER, REFERENCE
from .reading import metadata, remote_invoice, same_taxes, shown_line
from .transport import API_BASE, Api, NotThereError

WATCHED: Final = [
    *("invoice.deleted", "invoice.finalized", "invoice.marked_uncollectible"),
    *("invoice.overpaid", "invoice.paid", "invoice.payment_failed", "invoice.sent"),
    *("invoice.updated", "invoice.voided", "invoice_payment.paid"),
    *("charge.refunded", "charge.refund.updated", "charge.dispute.created"),
    *("charge.dispute.closed", "charge.dispute.funds_withdrawn"),
    *("charge.dispute.funds_reinstated", "credit_note.created", "credit_note.updated"),
    *("credit_note.voided", "payment_intent.processing"),
]
"""Events that may change what an invoice amounts to: 20, the most one request may ask for.
https://docs.stripe.com/api/events/list"""

OVERLAP: Final = timedelta(minutes=2)
"""How far the next poll reaches back, for events that become visible a little late."""
PAGE: Final = 100


class StripeConnector(BillingConnector):
    """Stripe; never finalizes or sends anything unless `finalize` is called."""

    key = "stripe"
    name = "Stripe"
    docs_url = "https://docs.stripe.com/api/invoices"
    settings = (
        Setting("api_key", "A secret or restricted API key (sk_... or rk_...)", secret=True),
        Setting("product", "The id of the product that all lines belong to", required=False),
        Setting("api_base", "Another address of the API, for a stand-in", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=True,
        # Stripe keeps a key for at least 24 hours; one hour is left for the clocks.
        # https://docs.stripe.com/api/idempotent_requests
        key_life=timedelta(hours=23),
        most_lines=parameters.MOST_LINES,
        # What Stripe cannot take as numbers goes into the text of a line.
        quantity_places=ANY_PLACES,
        finalize=True,
        taxes=True,
        credit=True,
        books=frozenset(),
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._product = settings.get("product") or None
        self._api = Api(settings["api_key"], http, api_base=settings.get("api_base") or API_BASE)

    def check(self) -> str:
        v1 = self._api.v1
        account = self._api.read("reading the account", v1.accounts.retrieve_current)
        product = self._product
        if product:
            self._api.read("reading the product", lambda: v1.products.retrieve(product))
        profile = account.business_profile
        return (profile.name if profile else None) or account.id

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        customer = draft.customer
        found = self._customers(customer.key, email=customer.email) if customer.email else []
        # The address may have changed on either side; only the whole list proves absence,
        # because Stripe's search is stale: https://docs.stripe.com/search#data-freshness
        found = found or self._customers(customer.key, email=None)
        if len(found) > 1:
            ids = " and ".join(one.id for one in found)
            raise PermanentError(
                f'stripe: {ids} both have metadata {CUSTOMER} "{customer.key}" '
                "- remove it from one of them"
            )
        if found:
            self._bring_up_to_date(found[0], draft, idempotency_key)
            return found[0].id
        content = parameters.customer(customer)
        created = self._api.write(
            f"creating customer {customer.key}",
            lambda: self._api.v1.customers.create(
                params=content,
                options={"idempotency_key": f"{idempotency_key}-customer"},
            ),
        )
        return created.id

    def _bring_up_to_date(
        self, there: stripe.Customer, draft: InvoiceDraft, idempotency_key: str
    ) -> None:
        changed = parameters.customer_update(draft.customer, there)
        if changed:
            self._api.write(
                f"updating customer {draft.customer.key}",
                lambda: self._api.v1.customers.update(
                    there.id,
                    params=changed,
                    options={"idempotency_key": f"{idempotency_key}-customer-update"},
                ),
            )

    def _customers(self, key: str, *, email: str | None) -> list[stripe.Customer]:
        def listed() -> list[stripe.Customer]:
            filters: stripe.params.CustomerListParams = {"limit": PAGE}
            if email:
                filters["email"] = email
            every = self._api.v1.customers.list(params=filters).auto_paging_iter()
            return [one for one in every if metadata(one).get(CUSTOMER) == key]

        return self._api.read(f"looking for customer {key}", listed)

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        asked_at = datetime.now(UTC)

        def listed() -> list[stripe.Invoice]:
            # A list shows what was just created, a search does not. Without the customer this
            # reads every invoice of the account: slow, and still the only proof of absence.
            filters: stripe.params.InvoiceListParams = {"limit": PAGE}
            if remote_customer:
                filters["customer"] = remote_customer
            every = self._api.v1.invoices.list(params=filters).auto_paging_iter()
            return [one for one in every if metadata(one).get(REFERENCE) == reference]

        found = self._api.read(f"looking for invoice {reference}", listed)
        if len(found) > 1:
            raise PermanentError(
                f"stripe: {' and '.join(one.id for one in found)} both have reference "
                f'"{reference}" - delete or void one of them and remove its {REFERENCE}'
            )
        return self._with_all_lines(found[0], asked_at) if found else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        parameters.check(draft)
        lines = parameters.lines(draft, self._product)
        invoice = self._api.write(
            f"creating {draft.reference}",
            lambda: self._api.v1.invoices.create(
                params=parameters.invoice(draft, remote_customer),
                options={"idempotency_key": f"{idempotency_key}-invoice"},
            ),
        )
        return self._with_lines(draft, invoice.id, lines, idempotency_key)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        invoice = self._invoice(found.remote_id)
        written = metadata(invoice)
        content = draft.content_hash()
        where = f"stripe: {invoice.id} ({draft.reference})"
        if COMPLETE in written:
            if written[COMPLETE] != content:
                raise PermanentError(
                    f"{where} was pushed with other content ({written[COMPLETE][:12]}, not "
                    f"{content[:12]}) - compare it with the draft; delete it in Stripe to push anew"
                )
            return self._with_all_lines(invoice, asked_at)
        if invoice.status != "draft" or invoice.lines.data:
            raise PermanentError(
                f"{where} has no mark of being complete, yet it has lines or is no draft any more "
                "- compare it with the draft; delete or void it in Stripe to push anew"
            )
        parameters.check(draft)
        lines = parameters.lines(draft, self._product)
        if written.get(CONTENT) != content:
            self._write_header(draft, invoice, idempotency_key)
        return self._with_lines(draft, invoice.id, lines, idempotency_key)

    def _write_header(
        self, draft: InvoiceDraft, invoice: stripe.Invoice, idempotency_key: str
    ) -> None:
        """Bring an empty draft, left by a refused attempt, up to the draft's present content."""
        if invoice.currency != draft.currency.lower():
            raise PermanentError(
                f"stripe: {invoice.id} ({draft.reference}) is an empty draft in another currency "
                "- delete it in Stripe"
            )
        self._api.write(
            f"updating {draft.reference}",
            lambda: self._api.v1.invoices.update(
                invoice.id,
                params=parameters.invoice_update(draft),
                options={"idempotency_key": f"{idempotency_key}-header"},
            ),
        )

    def _with_lines(
        self,
        draft: InvoiceDraft,
        remote_id: str,
        lines: list[stripe.params.InvoiceAddLinesParamsLine],
        idempotency_key: str,
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        try:
            invoice = self._api.write(
                f"adding the lines of {draft.reference} to {remote_id}",
                lambda: self._api.v1.invoices.add_lines(
                    remote_id,
                    params={
                        "lines": lines,
                        "invoice_metadata": {COMPLETE: draft.content_hash()},
                    },
                    options={"idempotency_key": f"{idempotency_key}-lines"},
                ),
            )
        except TransientError as error:
            # "Definitely not carried out" would be wrong: the invoice itself is there.
            raise OutcomeUnknownError(f"{error} - {remote_id} is there without lines") from error
        return self._with_all_lines(invoice, asked_at)

    def _with_all_lines(self, invoice: stripe.Invoice, asked_at: datetime) -> RemoteInvoice:
        return remote_invoice(invoice, asked_at=asked_at, lines=self._lines_of(invoice))

    def _lines_of(self, invoice: stripe.Invoice) -> list[stripe.InvoiceLineItem]:
        """Return all lines of an invoice: ten are on it, the others are asked for."""
        if not invoice.lines.has_more:
            return list(invoice.lines.data)

        def listed() -> list[stripe.InvoiceLineItem]:
            page = self._api.v1.invoices.line_items.list(invoice.id, params={"limit": PAGE})
            return list(page.auto_paging_iter())

        return self._api.read(f"reading the lines of {invoice.id}", listed)

    def shown(self, draft: InvoiceDraft) -> Shown:
        return parameters.shown(draft)

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        invoice = self._invoice(remote_id)
        written = metadata(invoice)
        if written.get(COMPLETE) == draft.content_hash():
            return self._with_all_lines(invoice, asked_at)
        if invoice.status != "draft":
            raise RejectedError(
                f"stripe: {remote_id} ({draft.reference}) is {invoice.status} and no draft any "
                "more - it is left as it is"
            )
        parameters.check(draft)
        lines = parameters.lines(draft, self._product)
        if COMPLETE in written or written.get(CONTENT) != draft.content_hash():
            # From here on until the last call it can be seen that an update has begun.
            self._write_header(draft, invoice, idempotency_key)
        there = self._lines_of(invoice)
        first = self._first_difference(draft, there)
        if there[first:]:
            self._remove_lines(remote_id, there[first:], idempotency_key)
        if lines[first:]:
            return self._with_lines(draft, remote_id, lines[first:], idempotency_key)
        return self._completed(draft, remote_id, idempotency_key)

    def _first_difference(
        self, draft: InvoiceDraft, there: Sequence[stripe.InvoiceLineItem]
    ) -> int:
        """Return how many lines may stay. What follows is made anew, so the order is ours."""
        ours = parameters.shown(draft).lines
        taxes = parameters.lines(draft, self._product)
        for number, (mine, theirs) in enumerate(zip(ours, there, strict=False)):
            if not mine.is_like(shown_line(theirs)) or not same_taxes(taxes[number], theirs):
                return number
        return min(len(ours), len(there))

    def _remove_lines(
        self, remote_id: str, lines: Sequence[stripe.InvoiceLineItem], idempotency_key: str
    ) -> None:
        self._api.write(
            f"removing {len(lines)} lines of {remote_id}",
            lambda: self._api.v1.invoices.remove_lines(
                remote_id,
                params={"lines": [{"id": line.id, "behavior": "delete"} for line in lines]},
                options={"idempotency_key": f"{idempotency_key}-remove"},
            ),
        )

    def _completed(
        self, draft: InvoiceDraft, remote_id: str, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        invoice = self._api.write(
            f"completing {draft.reference}",
            lambda: self._api.v1.invoices.update(
                remote_id,
                params={"metadata": {COMPLETE: draft.content_hash()}},
                options={"idempotency_key": f"{idempotency_key}-complete"},
            ),
        )
        return self._with_all_lines(invoice, asked_at)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        try:
            self._api.write(
                f"deleting {remote_id}",
                lambda: self._api.v1.invoices.delete(
                    remote_id, options={"idempotency_key": f"{idempotency_key}-delete"}
                ),
            )
        except NotThereError:
            return

    def find_credit(self, reference: str, remote_invoice: str) -> RemoteCredit | None:
        def listed() -> list[stripe.CreditNote]:
            filters: stripe.params.CreditNoteListParams = {"invoice": remote_invoice, "limit": PAGE}
            every = self._api.v1.credit_notes.list(params=filters).auto_paging_iter()
            notes = [one for one in every if metadata(one).get(REFERENCE) == reference]
            return [one for one in notes if one.status != "void"]

        found = credits.only_one(
            self._api.read(f"looking for credit note {reference}", listed), reference
        )
        return None if found is None else credits.remote_credit(found, REFERENCE)

    def credit(
        self, draft: InvoiceDraft, remote_invoice: str, *, idempotency_key: str
    ) -> RemoteCredit:
        invoice = self._invoice(remote_invoice)
        content = credits.content(draft, invoice, self._rates_of(draft, invoice))
        note = self._api.write(
            f"crediting {draft.reference}",
            lambda: self._api.v1.credit_notes.create(
                params=content, options={"idempotency_key": f"{idempotency_key}-credit"}
            ),
        )
        return credits.remote_credit(note, REFERENCE)

    def _rates_of(self, draft: InvoiceDraft, invoice: stripe.Invoice) -> credits.Rates:
        if not draft.taxes:
            return {}
        return {
            rate: self._api.read(
                f"reading tax rate {rate}", partial(self._api.v1.tax_rates.retrieve, rate)
            )
            for rate in credits.rate_ids(self._lines_of(invoice))
        }

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        invoice = self._invoice(remote_id)
        if invoice.status == "draft":
            if COMPLETE not in metadata(invoice):
                raise RejectedError(
                    f"stripe: {remote_id} is not complete - push the draft again before finalizing"
                )
            invoice = self._api.write(
                f"finalizing {remote_id}",
                lambda: self._api.v1.invoices.finalize_invoice(
                    remote_id,
                    params={"auto_advance": False},
                    options={"idempotency_key": f"{idempotency_key}-finalize"},
                ),
            )
        if send:
            invoice = self._api.write(
                f"sending {remote_id}",
                lambda: self._api.v1.invoices.send_invoice(
                    remote_id, options={"idempotency_key": f"{idempotency_key}-send"}
                ),
            )
        return self._with_all_lines(invoice, asked_at)

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        try:
            invoice = self._invoice(remote_id)
        except NotThereError:
            return RemoteInvoice(remote_id, None, gone_there(asked_at))
        if invoice.status == "draft":
            return self._with_all_lines(invoice, asked_at)
        if invoice.status == "void":
            return remote_invoice(invoice, asked_at=asked_at)
        facts = payments.facts(self._api, invoice)
        return remote_invoice(invoice, asked_at=asked_at, payments=facts)

    def _invoice(self, remote_id: str) -> stripe.Invoice:
        invoice = self._api.read(
            f"reading {remote_id}",
            lambda: self._api.v1.invoices.retrieve(remote_id, params={"expand": ["payments"]}),
        )
        if getattr(invoice, "deleted", False):
            raise NotThereError(f"stripe: {remote_id} was deleted there")
        return invoice

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, remote_id = hint.partition(":")
        if kind == "invoice" and remote_id:
            return [remote_id]
        if kind == "payment" and remote_id:
            return payments.invoices_paid_by(self._api, remote_id)
        raise UnsupportedError(f'stripe: the hint "{hint}" names no invoice and no payment')

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        asked_at = datetime.now(UTC)
        # A day more: the moment is our clock's, and the invoice may have been begun before.
        since = int((moment - timedelta(days=1)).timestamp())

        def listed() -> list[stripe.Invoice]:
            filters: stripe.params.InvoiceListParams = {"limit": PAGE, "created": {"gte": since}}
            every = self._api.v1.invoices.list(params=filters).auto_paging_iter()
            return [one for one in every if REFERENCE in metadata(one)]

        for one in self._api.read("listing what was made since the copy", listed):
            yield remote_invoice(one, asked_at=asked_at)

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        # Events rather than the list of invoices: an old invoice that is paid today is not
        # among the newest, and refunds and disputes do not touch the invoice at all. Stripe
        # keeps events for 30 days, which is what a first poll without a cursor reads.
        filters: stripe.params.EventListParams = {"types": WATCHED, "limit": PAGE}
        if cursor:
            filters["created"] = {"gte": int(cursor)}
        page = self._api.read("reading events", lambda: self._api.v1.events.list(params=filters))
        upto = cursor or "0"
        answered = page.last_response.headers.get("date") if page.last_response else None
        if answered:
            # Stripe's own clock, so that ours may be wrong.
            upto = str(int((parsedate_to_datetime(answered) - OVERLAP).timestamp()))
        events = self._api.read("reading events", lambda: list(page.auto_paging_iter()))
        hints = dict.fromkeys(payments.hint(event) for event in events)
        changed = dict.fromkeys(one for hint in hints for one in self.invoices_for(hint))
        return list(changed), upto
