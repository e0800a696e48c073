"""Tryton: pushes a draft customer invoice in one call and reports what became of it.

The worker calls it through `connectors.connector.BillingConnector`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import ANY_PLACES, Abilities, BillingConnector, RemoteInvoice, Setting
from connectors.cursor import Cursor
from connectors.customers import identified
from connectors.http import Http
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.payments import gone_there
from ledger.shown import Shown, differences

from . import documents
from .api import Api, Json, reading
from .books import Books, Defaults, Written
from .reading import FIELDS, OURS, remote_invoice

INVOICE: Final = "account.invoice"
OVERLAP: Final = timedelta(minutes=5)
"""How far a poll reaches back: a change bears the time at which its transaction began, and is seen
when that ends."""
CLOCKS: Final = timedelta(days=2)
"""How far a moment of our clock may be from Tryton's: some databases tell local time."""


@dataclass(frozen=True, slots=True)
class Polled(Cursor):
    """How far a poll has come: the last change there, and what was told of the time just before."""

    upto: datetime
    told: Mapping[str, str] = field(default_factory=dict)
    """Versions by remote id of what changed within `OVERLAP` of the last change."""


class TrytonConnector(BillingConnector):
    """One company's books in Tryton; never posts anything unless `finalize` is called."""

    key = "tryton"
    name = "Tryton"
    docs_url = "https://docs.tryton.org/latest/server/topics/rpc.html"
    settings = (
        Setting("url", "The address of the Tryton server"),
        Setting("database", "The name of its database"),
        Setting("user", "The login of a user of its own"),
        Setting("password", "The user's password", secret=True),
        Setting("company", "The company's name, if it is not the user's own", required=False),
        Setting("account", "The code of the revenue account", required=False),
        Setting("item", "The code of the product", required=False),
        Setting("tax_code", "The name of the usual sales tax", required=False),
        Setting("journal", "The code of the revenue journal", required=False),
        Setting("payment_term", "The term where the rules name no days", required=False),
        Setting("private_address", "yes: it stands in your own network", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=500,
        # What Tryton would make another amount of is sent as an amount.
        quantity_places=ANY_PLACES,
        finalize=True,
        taxes=True,
        settles_after=timedelta(minutes=2),
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._url, self._database = settings["url"].rstrip("/"), settings["database"]
        self._api = Api(http, self._url, self._database, settings["user"], settings["password"])

    @cached_property
    def _books(self) -> Books:
        words = ("company", "journal", "account", "item", "tax_code", "payment_term")
        said = {word: self.configured.get(word) or None for word in words}
        return Books(self._api, Defaults(**said))

    def check(self) -> str:
        return self._books.described()

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        customer = draft.customer
        found = identified(self.key, customer, self._books.candidates(customer))
        if found is not None:
            return found
        values = self._party(customer)
        created = self._api.change("model.party.party.create", [values], self._books.context)
        with _made(f"customer {customer.key}"):
            return str(int(created[0]))

    def _party(self, customer: BilledCustomer) -> dict[str, Any]:
        """Return the values of a party. Our key is an identifier, so that it is found again."""
        codes = [f"{OURS}{customer.key}", customer.tax_id]
        address: dict[str, Any] = {}
        if (seat := customer.address) is not None:
            domain = [["code", "=", seat.country]]
            context = self._books.context
            found = self._api.ask("model.country.country.search", domain, 0, 1, None, context)
            address = {
                "street_unstructured": "\n".join(seat.lines),
                "postal_code": seat.postal_code,
                "city": seat.city,
                "country": found[0] if found else None,
            }
        mails = [{"type": "email", "value": customer.email}] if customer.email else []
        return {
            "name": customer.legal_name or customer.name,
            "addresses": [["create", [address]]],
            "identifiers": [["create", [{"code": code} for code in codes if code]]],
            "contact_mechanisms": [["create", mails]] if mails else [],
        }

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        asked_at = datetime.now(UTC)
        found = self._invoices([["reference", "=", reference]])
        if len(found) > 1:
            ids = " and ".join(str(each["id"]) for each in found)
            raise PermanentError(
                f'tryton: the invoices with the ids {ids} both have reference "{reference}" - '
                "delete one of them, or take the reference out of it"
            )
        return self._remote(found[0], asked_at) if found else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        documents.check(draft)
        # Tryton takes the same reference twice, so nothing is created before a look.
        found = self.find_invoice(draft.reference, remote_customer=remote_customer)
        if found is not None:
            return self.complete_draft(draft, found, idempotency_key=idempotency_key)
        books = self._books
        written = books.written(draft)
        values = {
            **self._usual(draft, remote_customer),
            "reference": draft.reference,
            "currency": written.currency,
            **self._content(draft, written),
        }
        created = self._api.change(f"model.{INVOICE}.create", [values], books.context)
        with _made(draft.reference):
            return self.fetch_invoice(str(int(created[0])))

    def _usual(self, draft: InvoiceDraft, party: str) -> dict[str, Any]:
        """Return what Tryton itself fills in for a party, as it does for a person at the screen."""
        books = self._books
        begun = {"type": "out", "company": books.company, "party": int(party)}
        asked = f"model.{INVOICE}.on_change"
        told = self._api.ask(asked, {"id": -1, **begun}, ["type", "party"], books.context)
        with reading("what is usual for the customer"):
            usual = {
                name: told.get(name)
                for name in ("account", "invoice_address", "journal", "party_tax_identifier")
            }
        for name, what in (("account", "receivable account"), ("invoice_address", "address")):
            if usual[name] is None:
                raise RejectedError(
                    f"tryton: {draft.reference}: the party with the id {party} has no {what} - "
                    "enter it in Tryton, then push again"
                )
        journal = books.journal(draft.reference) or usual["journal"]
        return {**begun, **usual, "journal": journal}

    @staticmethod
    def _content(draft: InvoiceDraft, written: Written) -> dict[str, Any]:
        return documents.content(
            draft,
            currency=written.currency,
            payment_term=written.payment_term,
            codings=written.codings,
            taxes=written.taxes,
        )

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        # One request makes all of it, so it is as it was sent, or somebody else's.
        theirs = found.shown
        told = list(differences(self.shown(draft), theirs)) if theirs is not None else []
        if told:
            raise PermanentError(
                f"tryton: the invoice with the id {found.remote_id} ({draft.reference}) has other "
                f"content: {told[0]} - compare it with the draft; delete it in Tryton to push anew"
            )
        return found

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        there = self._draft(remote_id, draft.reference)
        remote = self._remote(there, asked_at)
        documents.check(draft)
        if remote.shown is not None and not any(differences(self.shown(draft), remote.shown)):
            return remote
        books = self._books
        values = self._content(draft, books.written(draft))
        for name in ("lines", "taxes"):
            old = [each["id"] for each in there[f"{name}."]]
            values[name] = [*([["delete", old]] if old else []), *values[name]]
        method = f"model.{INVOICE}.write"
        self._api.change(method, [int(remote_id)], values, self._unless_changed(there))
        with _made(draft.reference):
            return self.fetch_invoice(remote_id)

    def _draft(self, remote_id: str, reference: str) -> Json:
        """Return what stands there of a draft; raise RejectedError if it is none any more."""
        there = self._found(remote_id)
        state = there["state"] if there else "deleted"
        if there is None or state != "draft":
            raise RejectedError(
                f"tryton: the invoice with the id {remote_id} ({reference}) is {state} and no "
                "draft any more - it is left as it is"
            )
        return there

    def _unless_changed(self, there: Json) -> dict[str, Any]:
        """Return a context with which Tryton refuses a change of what is not as we have seen it."""
        seen = {f"{INVOICE},{there['id']}": there["_timestamp"]}
        for name, model in (("lines", f"{INVOICE}.line"), ("taxes", f"{INVOICE}.tax")):
            seen |= {f"{model},{each['id']}": each["_timestamp"] for each in there[f"{name}."]}
        return {**self._books.context, "_timestamp": seen}

    def shown(self, draft: InvoiceDraft) -> Shown:
        return documents.shown(draft)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        if self._found(remote_id) is None:
            return
        there = self._draft(remote_id, "to be deleted")
        context = self._unless_changed(there)
        self._api.change(f"model.{INVOICE}.delete", [int(remote_id)], context)

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        if send:
            raise UnsupportedError(
                "tryton: it sends no invoices by itself - write after_push: finalize, and send "
                "them from Tryton"
            )
        there = self._found(remote_id)
        if there is None or there["state"] in ("draft", "validated"):
            there = self._draft(remote_id, "to be posted") if there is None else there
            context = self._unless_changed(there)
            self._api.change(f"model.{INVOICE}.post", [int(remote_id)], context)
        elif there["state"] == "cancelled":
            raise RejectedError(
                f"tryton: the invoice with the id {remote_id} is cancelled - nobody can be asked "
                "to pay it any more"
            )
        with _made(remote_id):
            return self.fetch_invoice(remote_id)

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        there = self._found(remote_id)
        if there is None:
            return RemoteInvoice(remote_id, None, gone_there(asked_at))
        return self._remote(there, asked_at)

    def _found(self, remote_id: str) -> Json | None:
        if not (remote_id.isascii() and remote_id.isdigit()):
            raise PermanentError(f'tryton: "{remote_id}" is no id of an invoice in Tryton')
        found = self._invoices([["id", "=", int(remote_id)]])
        return found[0] if found else None

    def _invoices(self, domain: Sequence[Any], fields: tuple[str, ...] = FIELDS) -> list[Json]:
        books = self._books
        ours: list[Any] = [["company", "=", books.company], ["type", "=", "out"]]
        return list(self._api.records(INVOICE, [*ours, domain], fields, books.context))

    def _remote(self, there: Json, asked_at: datetime) -> RemoteInvoice:
        term = there.get("payment_term")
        due = None if term is None else self._books.terms().get(term)
        url = f"{self._url}/#{self._database}/model/{INVOICE}/{there.get('id')}"
        with reading(f"the invoice with the id {there.get('id')}"):
            return remote_invoice(there, due=due, url=url, asked_at=asked_at)

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, remote_id = hint.partition(":")
        if kind == "invoice" and remote_id:
            return [remote_id]
        raise UnsupportedError(f'tryton: the hint "{hint}" names no invoice')

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        asked_at = datetime.now(UTC)
        # Others enter invoices with references, too; what we have made, our user has made.
        since = (moment - CLOCKS).astimezone(UTC).replace(tzinfo=None)
        domain = [["create_date", ">=", since], ["create_uid", "=", self._api.user_id]]
        for each in self._invoices([*domain, ["reference", "!=", None]]):
            yield self._remote(each, asked_at)

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        # No clock of ours is asked: Tryton's own times say how far we have come.
        polled = None if cursor is None else Polled.read(cursor, self.key)
        domain: list[Any] = []
        if polled is not None:
            since = polled.upto.replace(tzinfo=None) - OVERLAP
            domain = ["OR", ["write_date", ">=", since], ["create_date", ">=", since]]
        found = self._invoices(domain, ("write_date", "create_date", "_timestamp"))
        with reading("what changed"):
            moments = {str(each["id"]): _changed_at(each) for each in found}
            versions = {str(each["id"]): str(each["_timestamp"]) for each in found}
        known = polled.told if polled is not None else {}
        changed = [each for each, version in versions.items() if known.get(each) != version]
        begin = polled.upto if polled is not None else BEGIN
        upto = max([begin, *moments.values()])
        recent = {each: versions[each] for each, at in moments.items() if at >= upto - OVERLAP}
        return changed, Polled(upto, recent).text


BEGIN: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""Before anything was written there."""


def _changed_at(there: Json) -> datetime:
    moment: datetime = there["write_date"] or there["create_date"]
    return moment.replace(tzinfo=UTC)


@contextmanager
def _made(what: str) -> Iterator[None]:
    """Say of a failed look at what a change has made that the change itself was carried out."""
    try:
        with reading(what):
            yield
    except TransientError as error:
        raise OutcomeUnknownError(f"{error} - look for it before going on") from error
