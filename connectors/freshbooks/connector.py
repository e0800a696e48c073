"""FreshBooks: pushes a draft in one request, with our reference in the last line of its notes.

The worker calls it through `connectors.connector.BillingConnector`; what it has in common with
other accounting systems stands in `connectors/accounting.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from connectors.accounting import (
    Api,
    Json,
    Sheet,
    closing,
    header,
    mark,
    marked,
    objects,
    today,
    with_mark,
    without_mark,
)
from connectors.calculating import TAX_ROUNDING, CalculatingConnector
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number
from connectors.oauth import OAuth2
from connectors.rest import NotThereError
from connectors.taxes import TaxThere, named
from ledger.errors import PermanentError
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.payments import Amounts
from ledger.shown import ShownLine

BASE: Final = "https://api.freshbooks.com"
PAGE: Final = 100
PLACES: Final = 2
ZONE: Final = ZoneInfo("America/New_York")
"""In which the accounting part of the API tells moments, as the vendor's own SDK reads them."""
DELETED: Final = 1
DOCUMENTS: Final = {
    "draft": "draft",
    "created": "draft",
    **dict.fromkeys(("sent", "viewed", "overdue", "pending", "declined"), "open"),
    **dict.fromkeys(("failed", "retry", "success", "autopaid", "paid", "partial"), "open"),
    **dict.fromkeys(("disputed", "resolved", "deposit-partial", "deposit-paid"), "open"),
}
"""By `v3_status`: https://www.freshbooks.com/api/invoices"""


class FreshBooksConnector(CalculatingConnector):
    """FreshBooks; it never marks anything as sent, and sends nothing."""

    key = "freshbooks"
    name = "FreshBooks"
    docs_url = "https://www.freshbooks.com/api/invoices"
    settings = (
        Setting("client_id", "The client id of your app at my.freshbooks.com"),
        Setting("client_secret", "Its client secret", secret=True),
        Setting("account_id", "The id of the account; connecting shows it", required=False),
        Setting("item", "The name of the item of lines that name none", required=False),
        TAX_ROUNDING,
        Setting("api_base", "Another address of the API, for a stand-in", required=False),
        Setting("token_url", "Another token endpoint, for a stand-in", required=False),
    )
    oauth: ClassVar[OAuth2 | None] = OAuth2(
        token_url="https://api.freshbooks.com/auth/oauth/token",  # noqa: S106 - an address
        authentication="body",
        lasts_seconds=3600,
        authorize_url="https://auth.freshbooks.com/oauth/authorize",
        scopes=(
            "user:profile:read",
            "user:invoices:read",
            "user:invoices:write",
            "user:clients:read",
            "user:clients:write",
        ),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=500,
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        books=frozenset(("customer", "create", "item")),
        below_zero=False,
        taxes=True,
        calculates_taxes=True,
        settles_after=timedelta(minutes=2),
    )
    digits = Digits(quantity=2, price=PLACES)

    @cached_property
    def api(self) -> Api:
        return Api(
            self.http,
            (self.configured.get("api_base") or BASE).rstrip("/"),
            {},
            tool=self.key,
            is_refusal=_is_refusal,
            advice={
                400: "FreshBooks finds fault with it: look at the client and the currency of it",
                401: "connect it again",
                403: "the user who connected it may not enter invoices there",
                404: "check account_id: in workspace.yaml; look whether it was deleted there",
            },
        )

    def check(self) -> str:
        account = self._account
        found = self.accounts()
        if account not in found:
            raise PermanentError(
                f"{self.key}: the user who connected it has no account {account} - choose one of "
                f"{', '.join(sorted(found))} as account_id: in workspace.yaml"
            )
        return found[account]

    def accounts(self) -> Mapping[str, str]:
        told = self.api.get("/auth/api/v1/users/me")
        with self.api.reading("the businesses"):
            businesses = [
                each["business"] for each in objects(told["response"]["business_memberships"])
            ]
            return {
                str(each["account_id"]): str(each["name"])
                for each in businesses
                if each.get("account_id")
            }

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        # No filter knows our reference; without a client this reads every invoice.
        return self._invoices(**({"search[customerid]": customer} if customer else {}))

    def _read(self, remote_id: str) -> Sheet | None:
        try:
            told = self.api.get(self._path("invoices/invoices", remote_id), **_LINES)
        except NotThereError:
            return None
        with self.api.reading(f"invoice {remote_id}"):
            return self._sheet(_result(told)["invoice"])

    def _changed(self, since: datetime) -> Iterable[Sheet]:
        # The filter knows days; a moment of autumn's double hour may be an hour off.
        local = since.astimezone(ZONE) - timedelta(hours=1)
        for sheet in self._invoices(**{"search[updated_min]": local.date().isoformat()}):
            if sheet.remote.amounts.version >= local.strftime("%Y-%m-%d %H:%M:%S"):
                yield sheet

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        written = {**self._written(draft), "customerid": int(number(customer))}
        path = self._path("invoices/invoices")
        told = self.api.write("POST", path, {"invoice": written}, **_LINES)
        return self._made(told, draft.reference)

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        remote_id = sheet.remote.remote_id
        path = self._path("invoices/invoices", remote_id)
        told = self.api.write("PUT", path, {"invoice": self._written(draft)}, **_LINES)
        return self._made(told, remote_id)

    def _erase(self, sheet: Sheet) -> None:
        remote_id = sheet.remote.remote_id
        self.api.delete(self._path("invoices/invoices", remote_id))
        self._erased(remote_id)

    def _made(self, told: Any, what: str) -> Sheet:
        with self.api.made(what):
            return self._sheet(_result(told)["invoice"])

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        self._must_be_kept(draft, PLACES)
        self._must_have_cents(draft)
        written: dict[str, Any] = {
            "create_date": today().isoformat(),
            "currency_code": draft.currency,
            "po_number": draft.purchase_order or "",
            "notes": with_mark(draft.memo or "", draft.reference),
            "terms": closing(draft),
            "lines": [self._line(line, tax, draft.currency) for line, tax in self._taxed(draft)],
        }
        if draft.days_until_due is not None:
            written["due_offset_days"] = draft.days_until_due
        return written

    def _found(self, draft: InvoiceDraft) -> list[TaxThere | None]:
        return named(draft)

    def _line(self, line: PricedLine, tax: TaxThere | None, currency: str) -> dict[str, Any]:
        return {
            "type": 0,
            "name": self._coded(line.coding, "item") or "",
            "description": line.description,
            "qty": line.quantity,
            "unit_cost": {"amount": f"{line.unit_price:f}", "code": currency},
            "taxName1": "" if tax is None else tax.name,
            "taxAmount1": 0 if tax is None else tax.rate,
            "taxName2": "",
            "taxAmount2": 0,
        }

    def _invoices(self, **query: object) -> Iterator[Sheet]:
        for each in self._pages("invoices/invoices", "invoices", **_LINES, **query):
            with self.api.reading("invoices"):
                sheet = self._sheet(each)
            yield sheet

    def _sheet(self, there: Json) -> Sheet:
        currency, status = str(there["currency_code"]), there["v3_status"]
        is_deleted = int(there.get("vis_state") or 0) == DELETED
        document = "deleted" if is_deleted else DOCUMENTS.get(status, "unknown")
        total, paid, owed = (
            minor(there[name]["amount"], currency) for name in ("amount", "paid", "outstanding")
        )
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=paid,
            disputed=total if status == "disputed" else 0,
            remaining=owed if document == "open" else None,
            is_settling=status == "pending",
            due_on=date.fromisoformat(there["due_date"]) if there.get("due_date") else None,
            version=str(there["updated"]),
        )
        notes, reference = without_mark(there.get("notes"))
        remote_id = str(there["id"])
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=reference,
            amounts=amounts,
            lines=tuple(
                ShownLine(
                    str(each["description"]),
                    minor(each["amount"]["amount"], currency),
                    number(each["qty"]),
                    number(each["unit_cost"]["amount"]),
                )
                for each in objects(there["lines"])
            ),
            header=header(
                purchase_order=there.get("po_number"), memo=notes, footer=there.get("terms")
            ),
            number=there.get("invoice_number") or None,
        )
        due = there.get("due_offset_days")
        return Sheet(there, remote, None if due is None else int(number(due)))

    # Clients.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        found = []
        for each in self._pages("users/clients", "clients"):
            with self.api.reading("clients"):
                if int(each.get("vis_state") or 0) == DELETED:
                    continue
                person = f"{each.get('fname') or ''} {each.get('lname') or ''}"
                found.append(
                    CustomerThere(
                        remote_id=str(each["id"]),
                        name=each.get("organization") or person,
                        email=each.get("email") or None,
                        tax_id=each.get("vat_number") or None,
                        ours=marked(each.get("note")),
                    )
                )
        return found

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        written: dict[str, Any] = {
            "organization": customer.legal_name or customer.name,
            "currency_code": currency,
            "note": mark(customer.key),
        }
        if customer.email:
            written["email"] = customer.email
        if customer.tax_id:
            written["vat_number"] = customer.tax_id
        if address := customer.address:
            first, *others = address.lines
            written |= {
                "p_street": first,
                "p_street2": ", ".join(others),
                "p_city": address.city,
                "p_code": address.postal_code or "",
            }
        told = self.api.write("POST", self._path("users/clients"), {"client": written})
        with self.api.made(f"client {customer.key}"):
            return str(int(_result(told)["client"]["id"]))

    # The API.

    @property
    def _account(self) -> str:
        account = self.configured.get("account_id")
        if not account:
            raise PermanentError(
                f"{self.key}: no account is chosen - write its id as account_id: under this "
                "connector in workspace.yaml; connecting it shows those that there are"
            )
        return account

    def _path(self, kind: str, remote_id: str | None = None) -> str:
        path = f"/accounting/account/{self._account}/{kind}"
        return path if remote_id is None else f"{path}/{remote_id}"

    def _pages(self, kind: str, name: str, **query: object) -> Iterator[Json]:
        page = 1
        while True:
            told = self.api.get(self._path(kind), page=page, per_page=PAGE, **query)
            with self.api.reading(kind):
                result = _result(told)
                some, last = objects(result[name]), int(result["pages"])
            yield from some
            if page >= last:
                return
            page += 1


_LINES: Final[Mapping[str, object]] = {"include[]": "lines"}
"""Without it an invoice comes without its lines."""


def _result(told: Any) -> Json:
    found: Json = told["response"]["result"]
    return found


def _is_refusal(told: Any) -> bool:
    """Return whether it is an error of FreshBooks', in one of its two shapes."""
    if not isinstance(told, dict):
        return False
    response = told.get("response")
    is_first = isinstance(response, dict) and "errors" in response
    return is_first or {"code", "message"} <= set(told)
