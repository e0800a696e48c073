"""Xero: pushes a draft sales invoice in one call and reports what became of it.

The worker calls it through `connectors.connector.BillingConnector`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from connectors.connector import (
    ANY_PLACES,
    Abilities,
    BillingConnector,
    RemoteInvoice,
    Setting,
)
from connectors.customers import CustomerThere, identified
from connectors.http import Http
from connectors.oauth import OAuth2
from connectors.rest import NotThereError
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.events import as_utc_text
from ledger.invoices import InvoiceDraft
from ledger.shown import Shown, differences

from . import documents
from .api import (
    BASE,
    FOUR_PLACES,
    Api,
    Connections,
    DuplicateNumberError,
    Json,
    answered_at,
    in_filter,
)
from .dates import day
from .reading import customer_there, remote_invoice

OVERLAP: Final = timedelta(minutes=5)
"""How far the next poll reaches back: Xero tells whole seconds, and some changes a little late."""
FIRST_POLL: Final = timedelta(days=30)
"""How far the poll without a cursor reaches back."""
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_SALES: Final = 'Type=="ACCREC"'


class XeroConnector(BillingConnector):
    """One organisation's books in Xero; never approves or sends unless `finalize` is called."""

    key = "xero"
    name = "Xero"
    docs_url = "https://developer.xero.com/documentation/api/accounting/invoices"
    settings = (
        Setting("client_id", "The client id of your app at developer.xero.com"),
        Setting("client_secret", "Its client secret", secret=True),
        Setting("tenant", "The tenant id of the organisation; connecting shows it", required=False),
        Setting("account", "The code of the revenue account", required=False),
        Setting("item", "The code of the item", required=False),
        Setting("tax_code", "The tax type of lines with a tax: OUTPUT2", required=False),
        Setting("no_tax_code", "The tax type of the other lines: NONE", required=False),
        Setting("branding_theme", "The id of the branding theme", required=False),
        Setting("token_url", "Another address for tokens, for a stand-in", required=False),
        Setting("api_base", "Another address of the API, for a stand-in", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=True,
        # Six minutes; one is left for the clocks.
        # https://developer.xero.com/documentation/guides/idempotent-requests/idempotency
        key_life=timedelta(minutes=5),
        most_lines=documents.MOST_LINES,
        # What Xero cannot take as numbers goes into the text of a line.
        quantity_places=ANY_PLACES,
        below_zero=False,
        finalize=True,
        taxes=True,
        settles_after=timedelta(minutes=2),
    )
    oauth: ClassVar[OAuth2 | None] = OAuth2(
        token_url="https://identity.xero.com/connect/token",  # noqa: S106 - an address
        lasts_seconds=1800,
        authorize_url="https://login.xero.com/identity/connect/authorize",
        # The granular ones, the only ones that apps get which are made since March 2026.
        scopes=(
            "offline_access",
            "accounting.invoices",
            "accounting.contacts",
            "accounting.settings.read",
        ),
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._base = settings.get("api_base") or BASE
        self._defaults = documents.Defaults(
            account=settings.get("account") or None,
            item=settings.get("item") or None,
            tax_code=settings.get("tax_code") or None,
            no_tax_code=settings.get("no_tax_code") or documents.NO_TAX,
            branding_theme=settings.get("branding_theme") or None,
        )

    @property
    def _api(self) -> Api:
        tenant = self.configured.get("tenant")
        if not tenant:
            raise PermanentError(
                "xero: no organisation is chosen - write its id as tenant: under this connector in "
                "workspace.yaml; connecting shows those that may be chosen"
            )
        return Api(self.http, tenant, base=self._base)

    def check(self) -> str:
        api = self._api
        with api.reading("the organisation"):
            there = api.organisation()
            told = f"{there['Name']}, {there['BaseCurrency']}"
            return f"{told}, a demo company" if there.get("IsDemoCompany") else told

    def accounts(self) -> Mapping[str, str]:
        return Connections(self.http, base=self._base).organisations()

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        customer = draft.customer
        api = self._api
        found = identified(self.key, customer, self._candidates(api, draft))
        if found is not None:
            return found
        # PUT never changes a contact that is there, as POST would.
        created = api.write(
            "PUT", "Contacts", documents.contact(customer), key=f"{idempotency_key}-contact"
        )
        if not created.get("ContactID"):
            raise OutcomeUnknownError(
                f"xero: customer {customer.key}: the answer has no id - look for it there first"
            )
        return str(created["ContactID"])

    def _candidates(self, api: Api, draft: InvoiceDraft) -> list[CustomerThere]:
        """Return the contacts that may be meant: one by its id or our key, else all of them.

        Others spell tax ids, addresses and names in their own way, and filters know one spelling.
        """
        customer = draft.customer
        found: list[Json] = []
        if customer.remote_id is not None:
            if not _ID.fullmatch(customer.remote_id):
                return []
            found = api.records("Contacts", IDs=customer.remote_id)
        else:
            if key := in_filter(customer.key):
                found = api.records("Contacts", where=f"ContactNumber=={key}")
            if not found:
                found = [each for page, _ in api.pages("Contacts") for each in page]
        with api.reading("contacts"):
            return [customer_there(each) for each in found]

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        asked_at = datetime.now(UTC)
        api = self._api
        # With a page the lines come along. The number is unique among sales invoices.
        found = [
            each
            for each in api.records("Invoices", InvoiceNumbers=reference, page=1, **FOUR_PLACES)
            if each.get("Type") == "ACCREC"
            and each.get("InvoiceNumber") == reference
            and each.get("Status") != "DELETED"
        ]
        if len(found) > 1:
            ids = " and ".join(str(each.get("InvoiceID")) for each in found)
            raise PermanentError(
                f'xero: {ids} both have the number "{reference}" - delete or void one of them and '
                "give it another number"
            )
        return self._remote(found[0], asked_at) if found else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        documents.check(draft, self._defaults)
        asked_at = datetime.now(UTC)
        written = documents.invoice(
            draft, self._defaults, contact=remote_customer, on=asked_at.date()
        )
        try:
            created = self._api.write("PUT", "Invoices", written, key=f"{idempotency_key}-invoice")
        except DuplicateNumberError as error:
            if self.find_invoice(draft.reference, remote_customer=None) is not None:
                raise OutcomeUnknownError(
                    f"xero: {draft.reference} is there already - it is compared before anything "
                    "else is done"
                ) from error
            raise RejectedError(
                f"xero: {draft.reference}: Xero still keeps this number for an invoice that was "
                "deleted there - give that one another number"
            ) from error
        return self._made(created, asked_at)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        # One request makes all of it, so it is as it was sent, or somebody else's.
        theirs = found.shown
        told = list(differences(self.shown(draft), theirs)) if theirs is not None else []
        if told:
            raise PermanentError(
                f"xero: {found.remote_id} ({draft.reference}) has other content: {told[0]} - "
                "compare it with the draft; delete it in Xero to push anew"
            )
        return found

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        api, there = self._api, self._invoice(remote_id)
        remote = self._remote(there, asked_at)
        if remote.amounts.document != "draft":
            raise RejectedError(
                f"xero: {remote_id} ({draft.reference}) is {there['Status']} and no draft any more "
                "- it is left as it is"
            )
        documents.check(draft, self._defaults)
        with api.reading(remote_id):
            written = documents.invoice(
                draft,
                self._defaults,
                contact=there["Contact"]["ContactID"],
                on=day(there["Date"]) if there.get("Date") else asked_at.date(),
                # Xero takes none of the two from what was approved meanwhile.
                status=there["Status"],
            )
            is_done = documents.is_written(written, there) and not self._is_another(draft, remote)
        if is_done:
            return remote
        changed = api.write(
            "POST",
            "Invoices",
            {**written, "InvoiceID": remote_id},
            path=f"/{remote_id}",
            key=f"{idempotency_key}-update",
        )
        return self._made(changed, asked_at)

    def _is_another(self, draft: InvoiceDraft, remote: RemoteInvoice) -> bool:
        return remote.shown is None or any(differences(self.shown(draft), remote.shown))

    def shown(self, draft: InvoiceDraft) -> Shown:
        return documents.shown(draft, self._defaults)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        there = self._invoice(remote_id)
        if there["Status"] == "DELETED":
            return
        self._set_status(remote_id, "DELETED", key=f"{idempotency_key}-delete")

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        there = self._invoice(remote_id)
        if there["Status"] in ("DRAFT", "SUBMITTED"):
            there = self._set_status(remote_id, "AUTHORISED", key=f"{idempotency_key}-approve")
        elif there["Status"] in ("VOIDED", "DELETED"):
            raise RejectedError(
                f"xero: {remote_id} is {there['Status']} - nobody can be asked to pay it any more"
            )
        if send and not there.get("SentToContact"):
            self._api.act(f"/Invoices/{remote_id}/Email", key=f"{idempotency_key}-email")
        return self._made(there, asked_at)

    def _set_status(self, remote_id: str, status: str, *, key: str) -> Json:
        written = {"InvoiceID": remote_id, "Status": status}
        return self._api.write("POST", "Invoices", written, path=f"/{remote_id}", key=key)

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        return self._remote(self._invoice(remote_id), asked_at)

    def _invoice(self, remote_id: str) -> Json:
        """Return an invoice; raise NotThereError for one that this organisation never had.

        Xero keeps what is deleted, so one that is not there proves a wrong tenant.
        """
        api = self._api
        found = api.records("Invoices", f"/{remote_id}", **FOUR_PLACES)
        if len(found) != 1:
            raise NotThereError(
                f"xero: {remote_id}: not there - check `tenant:` of this connector in "
                "workspace.yaml"
            )
        with api.reading(remote_id):
            return {**found[0], "Status": str(found[0]["Status"])}

    def _remote(self, there: Json, asked_at: datetime) -> RemoteInvoice:
        with self._api.reading(str(there.get("InvoiceID"))):
            return remote_invoice(there, asked_at=asked_at)

    def _made(self, there: Json, asked_at: datetime) -> RemoteInvoice:
        """Return what a change has made; an answer that cannot be read leaves it open."""
        try:
            return self._remote(there, asked_at)
        except TransientError as error:
            raise OutcomeUnknownError(f"{error} - look for the invoice before going on") from error

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, remote_id = hint.partition(":")
        if kind == "invoice" and remote_id:
            return [remote_id]
        raise UnsupportedError(f'xero: the hint "{hint}" names no invoice')

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        asked_at = datetime.now(UTC)
        # A day more: the moment is our clock's. What was made since was changed since.
        since = as_utc_text(moment - timedelta(days=1))
        query = {"where": _SALES, "createdByMyApp": "true", **FOUR_PLACES}
        for page, _ in self._api.pages("Invoices", since=since, **query):
            for each in page:
                if each.get("Status") != "DELETED":
                    yield self._remote(each, asked_at)

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        if cursor is None:
            cursor = str(int((datetime.now(UTC) - FIRST_POLL).timestamp()))
        since = as_utc_text(datetime.fromtimestamp(int(cursor), UTC))
        changed: dict[str, None] = {}
        upto = cursor
        api = self._api
        pages = api.pages("Invoices", since=since, where=_SALES, summaryOnly="true")
        for number, (page, answer) in enumerate(pages):
            told = answered_at(answer)
            if number == 0 and told is not None:
                # Xero's own clock, so that ours may be wrong.
                upto = str(max(int(cursor), told - int(OVERLAP.total_seconds())))
            with api.reading("what changed"):
                changed |= dict.fromkeys(str(each["InvoiceID"]) for each in page)
        return list(changed), upto
