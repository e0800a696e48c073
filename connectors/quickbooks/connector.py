"""QuickBooks Online: pushes a draft as an estimate, or as an invoice that is not sent.

QuickBooks has no draft invoice: an invoice counts in the books once it is there. So the admin says
what stands for a draft, `draft_as`, and nothing is chosen silently. What is paid is read back, also
from the invoice that a person makes of an estimate. The worker calls it through
`connectors.connector.BillingConnector`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import ClassVar, Final

from connectors.connector import (
    ANY_PLACES,
    Abilities,
    BillingConnector,
    RemoteInvoice,
    Setting,
)
from connectors.customers import identified
from connectors.http import Http
from connectors.oauth import OAuth2
from ledger.errors import (
    ConfigurationError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import InvoiceDraft
from ledger.payments import Amounts, gone_there
from ledger.shown import Shown, differences

from . import documents, reading
from .api import LIVE, PAGE, SANDBOX, Api, Json, NotThereError, quoted, shaped
from .documents import Books
from .reading import ESTIMATE, INVOICE, entity_of, links, paid_invoices, remote_id_of
from .taxes import TaxCode, codes_of

DRAFT_AS: Final = {"estimate": ESTIMATE, "unsent invoice": INVOICE}
MINOR_VERSION: Final = "75"
LOOK_BACK: Final = timedelta(days=30)
"""How far "change data capture" reaches back."""
OVERLAP: Final = timedelta(minutes=2)
"""How far the next poll reaches back, for changes that become visible a little late."""
WATCHED: Final = (INVOICE, ESTIMATE, "Payment", "CreditMemo")


class QuickBooksConnector(BillingConnector):
    """QuickBooks Online; it never sends, converts or voids anything."""

    key = "quickbooks"
    name = "QuickBooks Online"
    docs_url = "https://developer.intuit.com/app/developer/qbo/docs/develop"
    settings = (
        Setting("client_id", "The client id of your app at developer.intuit.com"),
        Setting("client_secret", "Its client secret", secret=True),
        Setting("realm", "The id of the company: connecting it shows it as realmId"),
        Setting("draft_as", "What stands for a draft: estimate, or unsent invoice"),
        Setting("item", "The product or service of lines that name none", required=False),
        Setting("tax_code", "The id of the tax code of lines that name none", required=False),
        Setting("purchase_order_field", "The custom field that holds it", required=False),
        Setting("api_base", "Another address of the API, for the sandbox", required=False),
        Setting("token_url", "Another token endpoint, for a stand-in", required=False),
        Setting("minor_version", f"Of the API; {MINOR_VERSION} by default", required=False),
    )
    oauth: ClassVar[OAuth2 | None] = OAuth2(
        token_url="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",  # noqa: S106
        lasts_seconds=3600,
        authorize_url="https://appcenter.intuit.com/connect/oauth2",
        scopes=("com.intuit.quickbooks.accounting",),
        tells={"realmId": "realm"},
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=False,
        idempotency_keys=True,
        # How long a `requestid` is remembered is not stated: soon a look-up decides instead.
        key_life=timedelta(hours=1),
        most_lines=documents.MOST_LINES,
        # What QuickBooks cannot take as numbers goes into the text of a line.
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        carries=frozenset(("memo", "due_date")),
        # It books by the item, never by an account.
        books=frozenset(("customer", "create", "item", "tax_code", "tracking")),
        below_zero=False,
        taxes=True,
        # A request is given up there after 120 seconds.
        settles_after=timedelta(seconds=150),
    )

    @classmethod
    def able(cls, settings: Mapping[str, str]) -> Abilities:
        carries = set(cls.abilities.carries)
        if settings.get("draft_as") == "estimate":
            # The customer's terms decide when the invoice is due that is made of it.
            carries.discard("due_date")
        if settings.get("purchase_order_field"):
            carries.add("purchase_order")
        return replace(cls.abilities, carries=frozenset(carries))

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        told = settings.get("draft_as", "")
        if told not in DRAFT_AS:
            raise ConfigurationError(
                [
                    'quickbooks: QuickBooks has no drafts - write "draft_as: estimate" or '
                    '"draft_as: unsent invoice" under this connector in workspace.yaml'
                ]
            )
        realm = settings.get("realm", "")
        if not (realm.isascii() and realm.isdigit()):
            raise ConfigurationError(
                ["quickbooks: realm: is the company's id, a number - connect it to see its realmId"]
            )
        # What depends on the settings is the instance's own.
        vars(self)["abilities"] = self.able(settings)
        self._entity, self._realm = DRAFT_AS[told], realm
        self._base = settings.get("api_base") or LIVE
        version = settings.get("minor_version") or MINOR_VERSION
        self._api = Api(http, realm, base=self._base, minor_version=version)
        self._items: dict[str, str] = {}

    def check(self) -> str:
        company = self._api.get("CompanyInfo", self._realm)
        books = self._books
        if item := self.configured.get("item"):
            self._item(item)
        name = str(company.get("CompanyName") or self._realm)
        test = ", a test account" if self._is_sandbox else ""
        return f"{name}, {books.home_currency}{test}"

    @property
    def _is_sandbox(self) -> bool:
        return self._base.rstrip("/") == SANDBOX

    @cached_property
    def _books(self) -> Books:
        told = self._api.preferences()
        currencies = told.get("CurrencyPrefs") or {}
        forms = told.get("SalesFormsPrefs") or {}
        home = (currencies.get("HomeCurrency") or {}).get("value")
        if not isinstance(home, str):
            raise TransientError("quickbooks: the preferences name no home currency")
        return Books(
            home_currency=home,
            has_currencies=currencies.get("MultiCurrencyEnabled") is True,
            takes_numbers=forms.get("CustomTxnNumbers") is True,
            tax_code=self.configured.get("tax_code") or None,
            field=self._field(forms),
        )

    def _field(self, forms: Json) -> tuple[str, str] | None:
        """Return id and name of the purchase order's custom field, by the name people see."""
        wanted = self.configured.get("purchase_order_field")
        if not wanted:
            return None
        each = [one for group in forms.get("CustomField") or [] for one in group["CustomField"]]
        prefix = "SalesFormsPrefs.SalesCustomName"
        for one in each:
            if one.get("StringValue") == wanted and str(one.get("Name")).startswith(prefix):
                return str(one["Name"]).removeprefix(prefix), wanted
        raise PermanentError(
            f'quickbooks: sales forms have no custom field "{wanted}" - add it there, or mend '
            "purchase_order_field: in workspace.yaml"
        )

    def _item(self, name: str) -> str:
        """Return the id of an item that is named by its id or by its name."""
        if name not in self._items:
            by = "Id" if name.isascii() and name.isdigit() else "Name"
            found = self._api.query("Item", f"{by} = {quoted(name)}")
            if len(found) != 1:
                raise RejectedError(
                    f'quickbooks: {len(found)} products or services are called "{name}" - write '
                    "the id of the right one as item: into workspace.yaml or under books:"
                )
            self._items[name] = str(found[0]["Id"])
        return self._items[name]

    def _items_of(self, draft: InvoiceDraft) -> dict[str | None, str]:
        usual = self.configured.get("item")
        found: dict[str | None, str] = {}
        for coded in dict.fromkeys(line.coding.item for line in draft.lines):
            name = coded or usual
            if not name:
                raise RejectedError(
                    f"quickbooks: {draft.reference} has lines without a product or service - set "
                    "item: in workspace.yaml, or under books: in the customer's file"
                )
            found[coded] = self._item(name)
        return found

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        wanted, books = draft.customer, self._books
        # One request reads a thousand customers, and nothing is missed that was spelled otherwise.
        where = f"Id = {quoted(wanted.remote_id)}" if wanted.remote_id else ""
        there = self._api.query("Customer", where)
        found = identified(self.key, wanted, [reading.customer(each) for each in there])
        self._check_currency(draft, next((one for one in there if one["Id"] == found), None))
        if found is not None:
            return found
        made = self._api.write(
            f"creating customer {wanted.key}",
            "Customer",
            documents.customer(wanted, books, draft.currency),
            key=f"{idempotency_key}-customer",
        )
        return str(made["Id"])

    def _check_currency(self, draft: InvoiceDraft, customer: Json | None) -> None:
        home = self._books.home_currency
        if not self._books.has_currencies and draft.currency != home:
            raise UnsupportedError(
                f"quickbooks: {draft.reference} is in {draft.currency} and the books know only "
                f"{home} - switch multicurrency on there, or send it elsewhere with send_to:"
            )
        theirs = ((customer or {}).get("CurrencyRef") or {}).get("value", draft.currency)
        if theirs != draft.currency:
            raise UnsupportedError(
                f"quickbooks: {draft.reference} is in {draft.currency} and its customer there is "
                f"billed in {theirs} for ever - name another one as books: {{customer: ID}}"
            )

    def shown(self, draft: InvoiceDraft) -> Shown:
        return documents.shown(draft, has_field="purchase_order" in self.abilities.carries)

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        asked_at = datetime.now(UTC)
        customer = f"CustomerRef = {quoted(remote_customer)}" if remote_customer else ""
        # By its number it is found in one look, if it has ours. But QuickBooks may count by itself,
        # and a private note cannot be asked for: only the whole list proves absence.
        number = f"DocNumber = {quoted(reference)}" if len(reference) <= documents.NUMBER else None
        for where in (number, customer):
            there = [] if where is None else self._api.query(self._entity, where)
            found = [each for each in there if _reference(each) == reference]
            if len(found) > 1:
                raise PermanentError(
                    f"quickbooks: {' and '.join(str(one['Id']) for one in found)} both have our "
                    f'reference "{reference}" in their private note - delete or void one of them '
                    "and take the note out of it"
                )
            if found:
                return self._remote(self._entity, found[0], asked_at)
        return None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        documents.check(draft)
        asked_at = datetime.now(UTC)
        body = {
            **documents.created(draft, self._books, remote_customer, asked_at.date()),
            **self._document(draft, asked_at.date()),
        }
        made = self._api.write(
            f"creating {draft.reference}", self._entity, body, key=f"{idempotency_key}-create"
        )
        return self._written(self._entity, made, asked_at)

    def _written(self, entity: str, there: Json, asked_at: datetime) -> RemoteInvoice:
        try:
            return self._remote(entity, there, asked_at)
        except TransientError as error:
            # "Surely not carried out" would be wrong: it is there.
            raise OutcomeUnknownError(f"{error} - it has been written") from error

    def _document(self, draft: InvoiceDraft, on: date) -> dict[str, object]:
        items, is_invoice = self._items_of(draft), self._entity == INVOICE
        codes = self._tax_codes_of(draft)
        return documents.document(draft, self._books, items, codes, is_invoice=is_invoice, on=on)

    def _tax_codes_of(self, draft: InvoiceDraft) -> dict[str, TaxCode]:
        if not draft.taxes:
            return {}
        codes, rates = self._api.query("TaxCode"), self._api.query("TaxRate")
        with shaped("tax codes"):
            return codes_of(draft, codes, rates)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        # Head and lines come in one request, so what is there is complete.
        there = self.fetch_invoice(found.remote_id)
        if there.shown is None or list(differences(self.shown(draft), there.shown)):
            raise PermanentError(
                f"quickbooks: {found.remote_id} ({draft.reference}) is there with other content - "
                "compare it with the draft; delete it in QuickBooks to push anew"
            )
        return there

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        documents.check(draft)
        asked_at = datetime.now(UTC)
        entity, there_id = entity_of(remote_id)
        there = self._api.get(entity, there_id)
        remote = self._remote(entity, there, asked_at)
        self._must_be_draft(remote, there)
        on = date.fromisoformat(str(there.get("TxnDate", asked_at.date()))[:10])
        if self._is_as_wanted(draft, remote, on):
            return remote
        body = {
            # Taxes that there are no more would stay if they were not named.
            **({"TxnTaxDetail": {"TotalTax": 0}} if there.get("TxnTaxDetail") else {}),
            **self._document(draft, on),
            "Id": there_id,
            "SyncToken": str(there["SyncToken"]),
            # What people have added there beside ours stays.
            "sparse": True,
        }
        changed = self._api.write(
            f"updating {draft.reference}",
            entity,
            body,
            # Of another version it is another change, and no replay of the first one's answer.
            key=f"{idempotency_key}-update-{there['SyncToken']}",
        )
        return self._written(entity, changed, asked_at)

    def _is_as_wanted(self, draft: InvoiceDraft, remote: RemoteInvoice, on: date) -> bool:
        if remote.shown is None or any(differences(self.shown(draft), remote.shown)):
            return False
        has_due_day = "due_date" in self.abilities.carries and draft.days_until_due is not None
        return not has_due_day or remote.amounts.due_on == documents.due(draft, on)

    def _must_be_draft(self, remote: RemoteInvoice, there: Json) -> None:
        document = remote.amounts.document
        is_accepted = there.get("TxnStatus") == "Accepted"
        if document != "draft" or is_accepted:
            state = "accepted by the customer" if is_accepted else document
            raise RejectedError(
                f"quickbooks: {remote.remote_id} ({remote.reference}) is {state} and no draft any "
                "more - it is left as it is"
            )

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        entity, there_id = entity_of(remote_id)
        try:
            there = self._api.get(entity, there_id)
            self._must_be_draft(self._remote(entity, there, datetime.now(UTC)), there)
            self._api.write(
                f"deleting {remote_id}",
                entity,
                {"Id": there_id, "SyncToken": str(there["SyncToken"])},
                key=f"{idempotency_key}-delete-{there['SyncToken']}",
                operation="delete",
            )
        except NotThereError:
            return

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        entity, there_id = entity_of(remote_id)
        try:
            there = self._api.get(entity, there_id)
        except NotThereError:
            return RemoteInvoice(remote_id, None, gone_there(asked_at))
        return self._remote(entity, there, asked_at)

    def _remote(self, entity: str, there: Json, asked_at: datetime) -> RemoteInvoice:
        """Return what is there, with all that is known about payments."""
        with shaped(f"{entity} {there.get('Id')}"):
            return self._read(entity, there, asked_at)

    def _read(self, entity: str, there: Json, asked_at: datetime) -> RemoteInvoice:
        if entity == INVOICE:
            (amounts,) = self._invoice_amounts([there], asked_at)
        else:
            made = self._api.by_ids(INVOICE, links(there, INVOICE))
            each = self._invoice_amounts(made, asked_at)
            amounts = reading.estimate_amounts(there, each, self._currency(there), asked_at)
        field = self._books.field[0] if self._books.field else None
        app = reading.SANDBOX_APP if self._is_sandbox else reading.APP
        return reading.remote_invoice(entity, there, amounts, field=field, app=app)

    def _invoice_amounts(self, invoices: Sequence[Json], asked_at: datetime) -> list[Amounts]:
        payments = [one for each in invoices for one in links(each, "Payment")]
        found = {str(one["Id"]): one for one in self._api.by_ids("Payment", payments)}
        return [
            reading.invoice_amounts(
                each,
                [found[one] for one in dict.fromkeys(links(each, "Payment")) if one in found],
                self._currency(each),
                asked_at,
            )
            for each in invoices
        ]

    def _currency(self, there: Json) -> str:
        told = (there.get("CurrencyRef") or {}).get("value")
        return str(told) if told else self._books.home_currency

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, told = hint.partition(":")
        # A webhook's hint also names the company: one endpoint hears of all that use our app.
        realm, _, there_id = told.rpartition("/")
        if realm and realm != self._realm:
            return []
        if kind in ("invoice", "sale") and there_id:
            return self._standing_for([there_id])
        if kind == "estimate" and there_id:
            return [remote_id_of(ESTIMATE, {"Id": there_id})]
        if kind == "payment" and there_id:
            return self._standing_for(self._invoices_of("Payment", there_id))
        if kind == "credit" and there_id:
            return self._standing_for(self._invoices_of("CreditMemo", there_id))
        raise UnsupportedError(f'quickbooks: the hint "{hint}" names no invoice and no payment')

    def _invoices_of(self, entity: str, there_id: str) -> list[str]:
        """Return the invoices that a payment is applied to, or that a credit memo lowers."""
        try:
            there = self._api.get(entity, there_id)
        except NotThereError:
            # What it had paid is open again: QuickBooks tells so of the invoice.
            return []
        if entity == "Payment":
            return paid_invoices(there)
        through = self._api.by_ids("Payment", links(there, "Payment"))
        return [*links(there, INVOICE), *(one for each in through for one in paid_invoices(each))]

    def _standing_for(self, invoices: Iterable[str]) -> list[str]:
        """Return the remote ids of what we have pushed for these invoices.

        An invoice may have been made of an estimate, and the estimate is what we have pushed.
        """
        ids = list(dict.fromkeys(invoices))
        if self._entity == INVOICE:
            return ids
        plain = [one for one in ids if entity_of(one)[0] == INVOICE]
        return [*_estimates(self._api.by_ids(INVOICE, plain)), *ids]

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        now = datetime.now(UTC)
        first = now - LOOK_BACK + OVERLAP
        since = datetime.fromtimestamp(int(cursor), UTC) if cursor else first
        found, told = self._api.changed(WATCHED, _text(max(since, first)))
        # The time there, so that our clock may be wrong.
        upto = reading.moment(told) if told else now
        if since < first or sum(map(len, found.values())) >= PAGE:
            # Further back, or beyond a thousand objects, it is silent. A query is not; it does not
            # show what was deleted, but whoever looks at those finds that they are gone.
            after = f"MetaData.LastUpdatedTime >= {quoted(_text(since))}"
            found = {entity: self._api.query(entity, after) for entity in WATCHED}
        changed = [remote_id_of(ESTIMATE, each) for each in found[ESTIMATE]]
        changed += _estimates(found[INVOICE])
        changed += [remote_id_of(INVOICE, each) for each in found[INVOICE]]
        seen = {str(each["Id"]) for each in found[INVOICE]}
        paid = (one for each in found["Payment"] for one in paid_invoices(each))
        changed += self._standing_for(one for one in paid if one not in seen)
        return list(dict.fromkeys(changed)), str(int((upto - OVERLAP).timestamp()))

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        asked_at = datetime.now(UTC)
        # A day more: the moment is our clock's, and it may have been begun before.
        after = f"MetaData.CreateTime >= {quoted(_text(moment - timedelta(days=1)))}"
        for each in self._api.query(self._entity, after):
            if _reference(each) is not None:
                yield self._remote(self._entity, each, asked_at)


def _reference(there: Json) -> str | None:
    return documents.reference_in(there.get("PrivateNote"))


def _estimates(invoices: Iterable[Json]) -> list[str]:
    """Return the remote ids of the estimates that invoices were made of."""
    return [
        remote_id_of(ESTIMATE, {"Id": one}) for each in invoices for one in links(each, ESTIMATE)
    ]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
