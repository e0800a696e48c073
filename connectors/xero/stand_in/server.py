"""The stand-in's HTTP: tokens, tenants, keys that live six minutes, filters and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.http import http_date
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn
from connectors.stand_in_identity import TOKEN_PATH, IdentityStandIn
from ledger.events import json_with_numbers
from ledger.ports import Clock, SystemClock

from .books import Books, InvalidError, Row, json_day, json_moment

TENANT: Final = "45e4708e-d862-4111-ab3a-dd8cd03913e1"
KEY_LIVES: Final = timedelta(minutes=6)
_TERM: Final = re.compile(r'(\w+)=="([^"\\]*)"')
_LIST: Final = [
    "ContactIDs",
    "IDs",
    "InvoiceNumbers",
    "Statuses",
    "createdByMyApp",
    "order",
    "page",
    "pageSize",
    "summaryOnly",
    "unitdp",
    "where",
]


class _Refusal(HTTPException):
    """A refusal with the body that Xero gives."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(json.dumps(body))
        self.code = status


class XeroStandIn(StandIn):
    """Xero's identity provider and one organisation, as far as Billhook knows Xero."""

    routes = (
        Rule(TOKEN_PATH, endpoint="token", methods=["POST"]),
        Rule("/connections", endpoint="connections", methods=["GET"]),
        Rule("/api.xro/2.0/Organisation", endpoint="organisation", methods=["GET"]),
        Rule("/api.xro/2.0/Contacts", endpoint="contacts", methods=["GET", "PUT"]),
        Rule("/api.xro/2.0/Invoices", endpoint="invoices", methods=["GET", "PUT"]),
        Rule("/api.xro/2.0/Invoices/<remote_id>", endpoint="invoice", methods=["GET", "POST"]),
        Rule("/api.xro/2.0/Invoices/<remote_id>/Email", endpoint="email", methods=["POST"]),
    )

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        identity: IdentityStandIn | None = None,
        rounding: str = ROUND_HALF_UP,
        most_of_a_page: int = 1000,
    ) -> None:
        """Make it. `rounding` of halves is not documented well enough to rely on it."""
        super().__init__()
        self._clock = clock or SystemClock()
        self.identity = identity or IdentityStandIn(self._clock)
        self.books = Books(self._clock.now, rounding)
        self.emailed: list[str] = []
        self.app = "billhook"
        """The app whose token is shown."""
        self._most = most_of_a_page
        self._keys: dict[str, tuple[datetime, Any, Response]] = {}

    def authenticate(self, request: Request) -> None:
        try:
            self.identity.authenticate(request)
        except HTTPException as error:
            raise _gateway(401, "Unauthorized", "AuthenticationUnsuccessful") from error
        is_ours = request.headers.get("xero-tenant-id") == TENANT
        if request.path.startswith("/api.xro/") and not is_ours:
            raise _gateway(403, "Forbidden", "AuthenticationUnsuccessful")

    def problem(self, description: str) -> Row:
        try:
            told = json.loads(description)
        except ValueError:
            return {"Title": "NotFound", "Status": 404, "Detail": description, "Type": None}
        return dict(told)

    def token(self, request: Request) -> Response:
        """Give new tokens for a refresh token."""
        return self.identity.token(request)

    def connections(self, request: Request) -> Response:
        """Tell what the person has connected: one organisation, and one practice."""
        there = [
            {"tenantId": TENANT, "tenantType": "ORGANISATION", "tenantName": "Studio Nord"},
            {"tenantId": "0" * 8, "tenantType": "PRACTICE", "tenantName": "Books & Co"},
        ]
        return Response(json.dumps(there), content_type="application/json")

    def organisation(self, request: Request) -> Response:
        """Tell about the organisation."""
        there = {"Name": "Studio Nord", "BaseCurrency": "EUR", "IsDemoCompany": True}
        return self._answer_with({"Organisations": [there]})

    def contacts(self, request: Request) -> Response:
        """List contacts, or create one."""
        if request.method == "PUT":
            return self._once(
                request, "Contacts", lambda told: _contact(self.books.create_contact(told))
            )
        fits = _filter(request)
        ids = request.args.get("IDs", "").split(",")
        found = [
            _contact(each)
            for each in self.books.contacts.values()
            if ("IDs" not in request.args or each["ContactID"] in ids) and fits(each)
        ]
        return self._listed(request, "Contacts", "ContactID", found)

    def invoices(self, request: Request) -> Response:
        """List invoices, or create one."""
        places = _places(request)
        if request.method == "PUT":
            return self._once(
                request,
                "Invoices",
                lambda told: self._invoice(
                    self.books.create_invoice(told, app=self.app, places=places), places
                ),
            )
        fits = _filter(request)
        since = request.headers.get("If-Modified-Since")
        numbers = request.args.get("InvoiceNumbers")
        found = [
            self._invoice(each, places)
            for each in self.books.invoices.values()
            if fits(each)
            and (numbers is None or each["InvoiceNumber"] in numbers.split(","))
            and ("createdByMyApp" not in request.args or each["app"] == self.app)
            # Accurate to the second.
            and (since is None or each["changed_at"].replace(microsecond=0) >= _moment(since))
        ]
        if "page" not in request.args or "summaryOnly" in request.args:
            for each in found:
                del each["LineItems"]
        return self._listed(request, "Invoices", "InvoiceID", found)

    def invoice(self, request: Request, remote_id: str) -> Response:
        """Return or change an invoice; what was deleted is still there."""
        if remote_id not in self.books.invoices:
            raise NotFound("The resource you're looking for cannot be found")
        places = _places(request)
        if request.method == "POST":
            return self._once(
                request,
                "Invoices",
                lambda told: self._invoice(
                    self.books.update_invoice(remote_id, told, places=places), places
                ),
            )
        return self._answer_with({"Invoices": [self._invoice(self.books.invoices[remote_id], 4)]})

    def email(self, request: Request, remote_id: str) -> Response:
        """Send an approved invoice to its contact."""
        if self.books.status(self.books.invoices[remote_id]) not in ("AUTHORISED", "PAID"):
            raise _invalid("Invoice not of valid status for emailing")
        self.emailed.append(remote_id)
        return Response(b"", 204)

    def _answer(self, request: Request) -> Response:
        answer = super()._answer(request)
        answer.headers["Date"] = http_date(self._clock.now())
        return answer

    def _once(self, request: Request, resource: str, do: Callable[[Row], Row]) -> Response:
        """Carry out a change, or give the answer again that its key has brought before."""
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 128:
            raise _invalid("The Idempotency-Key has more than 128 characters")
        asked = (request.method, request.full_path, request.get_data())
        kept = self._keys.get(key)
        if kept and self._clock.now() - kept[0] < KEY_LIVES:
            if kept[1] != asked:
                raise _invalid("The Idempotency-Key is used with a different request")
            return Response(kept[2].get_data(), kept[2].status_code, kept[2].headers)
        with _validated():
            told = json.loads(request.get_data(), parse_float=Decimal)
            if set(told) != {resource} or len(told[resource]) != 1:
                raise InvalidError("one record is expected")
            made = do(told[resource][0])
        answer = self._answer_with({resource: [made]})
        if key:
            self._keys[key] = (self._clock.now(), asked, answer)
        return answer

    def _listed(self, request: Request, resource: str, key: str, found: list[Row]) -> Response:
        if unknown := set(request.args) - set(_LIST):
            raise _invalid(f"unknown query words: {sorted(unknown)}")
        if "page" not in request.args:
            return self._answer_with({resource: found})
        if request.args.get("order", key) == key:
            found.sort(key=lambda each: str(each[key]))
        page, size = int(request.args["page"]), int(request.args.get("pageSize", 100))
        size = min(size, self._most)
        pagination = {"page": page, "pageSize": size, "itemCount": len(found)}
        some = found[(page - 1) * size : page * size]
        return self._answer_with({"pagination": pagination, resource: some})

    def _invoice(self, there: Row, places: int) -> Row:
        kept = ("Type", "InvoiceID", "InvoiceNumber", "Reference", "CurrencyCode", "Contact")
        optional = {name: there[name] for name in ("BrandingThemeID",) if name in there}
        if "DueDate" in there:
            optional["DueDate"] = json_day(there["DueDate"])
        return {
            **{name: there.get(name, "") for name in kept},
            **optional,
            "Status": self.books.status(there),
            "Date": json_day(there["Date"]),
            "LineAmountTypes": there["LineAmountTypes"],
            "LineItems": [_line(each, places) for each in there["LineItems"]],
            **self.books.amounts(there),
            "Payments": [
                {"PaymentID": each["PaymentID"], "Amount": each["Amount"]}
                for each in there["paid"]
                if each["Status"] != "DELETED"
            ],
            "CreditNotes": [_applied(each, "CreditNoteID") for each in there["credits"]],
            "Prepayments": [_applied(each, "PrepaymentID") for each in there["prepaid"]],
            "Overpayments": [],
            "UpdatedDateUTC": json_moment(there["changed_at"]),
            "SentToContact": there["InvoiceID"] in self.emailed,
            "HasAttachments": False,
        }

    def _answer_with(self, content: Row) -> Response:
        return Response(json_with_numbers(content), content_type="application/json")


def _line(line: Row, places: int) -> Row:
    if "UnitAmount" not in line:
        return line
    return {**line, "UnitAmount": line["UnitAmount"].quantize(Decimal(1).scaleb(-places))}


def _contact(there: Row) -> Row:
    shown = {name: value for name, value in there.items() if name != "changed_at"}
    return {**shown, "UpdatedDateUTC": json_moment(there["changed_at"])}


def _applied(each: Row, name: str) -> Row:
    return {name: each["ID"], "AppliedAmount": each["AppliedAmount"]}


def _places(request: Request) -> int:
    return 4 if request.args.get("unitdp") == "4" else 2


def _filter(request: Request) -> Callable[[Row], bool]:
    """Return whether a record fits the `where` words, which know no escape for a quote."""
    where = request.args.get("where")
    if where is None:
        return lambda _: True
    terms = [_TERM.fullmatch(term) for term in where.split(" AND ")]
    if not all(terms):
        raise _Refusal(
            400, {"ErrorNumber": 16, "Type": "QueryParseException", "Message": "Syntax error"}
        )
    wanted = {term[1]: term[2] for term in terms if term}
    return lambda there: all(there.get(name) == value for name, value in wanted.items())


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told)


@contextmanager
def _validated() -> Iterator[None]:
    try:
        yield
    except InvalidError as error:
        raise _invalid(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(f"A value is not valid ({type(error).__name__})") from error


def _invalid(message: str) -> _Refusal:
    return _Refusal(
        400,
        {
            "ErrorNumber": 10,
            "Type": "ValidationException",
            "Message": "A validation exception occurred",
            "Elements": [{"ValidationErrors": [{"Message": message}]}],
        },
    )


def _gateway(status: int, title: str, detail: str) -> _Refusal:
    return _Refusal(status, {"Type": None, "Title": title, "Status": status, "Detail": detail})
