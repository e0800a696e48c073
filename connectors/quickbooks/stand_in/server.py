"""The API of the stand-in: requests, replayed answers, queries, change data capture."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn, json_answer
from connectors.stand_in import query as query_words
from connectors.stand_in_identity import IdentityStandIn
from ledger.events import json_with_numbers

from . import query
from .book import SALES, Book
from .faults import FaultError, fault, refused_token

REALM: Final = "9341453000000001"
COMPANY: Final = "/v3/company/<realm>"
FIELD: Final = "PO Number"
ENTITIES: Final = {
    each.lower(): each
    for each in ("Invoice", "Estimate", "Payment", "CreditMemo", "Customer", "Item", "CompanyInfo")
}
MOST_CHANGES: Final = 1000


class QuickBooksStandIn(StandIn):
    """One company at QuickBooks Online."""

    routes = (
        Rule(f"{COMPANY}/preferences", endpoint="preferences", methods=["GET"]),
        Rule(f"{COMPANY}/query", endpoint="ask", methods=["GET"]),
        Rule(f"{COMPANY}/cdc", endpoint="changes", methods=["GET"]),
        Rule(f"{COMPANY}/<kind>/<there_id>", endpoint="read", methods=["GET"]),
        Rule(f"{COMPANY}/<kind>", endpoint="write", methods=["POST"]),
    )

    def __init__(self, book: Book | None = None, identity: IdentityStandIn | None = None) -> None:
        super().__init__()
        self.book = book or Book()
        self.queries: list[str] = []
        self._identity = identity
        self._replayed: dict[str, str] = {}

    def authenticate(self, request: Request) -> None:
        if self._identity is not None:
            self._identity.authenticate(request)
        if not request.path.startswith(f"/v3/company/{REALM}/"):
            raise Forbidden("ApplicationAuthorizationFailed")

    def problem(self, description: str) -> dict[str, Any]:
        if description == "invalid_token":
            return refused_token("Token expired")
        return fault("3100" if "Authorization" in description else "4000", description)

    def preferences(self, request: Request, realm: str) -> Response:
        """Answer what the company has set up, as far as it matters for sales."""
        query_words(request, "minorversion")
        kinds = {"SalesCustomName": ("StringType", "StringValue", FIELD)}
        kinds["UseSalesCustom"] = ("BooleanType", "BooleanValue", "")
        named = [
            {
                "CustomField": [
                    {
                        "Name": f"SalesFormsPrefs.{name}1",
                        "Type": kind,
                        member: value or True,
                    }
                ]
            }
            for name, (kind, member, value) in kinds.items()
        ]
        told = {
            "Id": "1",
            "SyncToken": "0",
            "domain": "QBO",
            "sparse": False,
            "CurrencyPrefs": {
                "MultiCurrencyEnabled": self.book.has_currencies,
                "HomeCurrency": {"value": self.book.home},
            },
            "SalesFormsPrefs": {
                "CustomTxnNumbers": not self.book.counts_itself,
                "CustomField": named,
            },
        }
        return self._told({"Preferences": told})

    def read(self, request: Request, realm: str, kind: str, there_id: str) -> Response:
        """Answer one object."""
        query_words(request, "minorversion")
        entity = ENTITIES.get(kind, "")
        if entity == "CompanyInfo":
            told = {"Id": "1", "SyncToken": "4", "domain": "QBO", "sparse": False}
            return self._told({entity: {**told, "CompanyName": "Studio Nord", "Country": "DE"}})
        return self._told({entity: self.book.get(entity, there_id)})

    def write(self, request: Request, realm: str, kind: str) -> Response:
        """Create, change, delete or void; a `requestid` that was there gets the first answer."""
        words = query_words(request, "minorversion", "requestid", "operation")
        key = words.get("requestid", "")
        if len(key) > 50:
            raise FaultError("2050", "requestid is too long")
        if key in self._replayed:
            return Response(self._replayed[key], 200, content_type="application/json")
        entity = ENTITIES.get(kind, "")
        body = _content(request)
        operation = words.get("operation")
        if entity not in (*SALES, "Customer"):
            raise FaultError("4000", f"no {kind} can be written here")
        if operation == "delete":
            told = self.book.delete(entity, body)
        elif operation == "void":
            told = self.book.get(entity, str(body.get("Id")))
            self.book.void(told)
        else:
            told = self.book.write(entity, body)
        answer = self._told({entity: told})
        if key:
            self._replayed[key] = answer.get_data(as_text=True)
        return answer

    def ask(self, request: Request, realm: str) -> Response:
        """Answer a query: at most a page."""
        text = query_words(request, "minorversion", "query")["query"]
        self.queries.append(text)
        asked = query.read(text)
        fitting = [each for each in self.book.every(asked.entity) if asked.fits(each)]
        page = fitting[asked.first - 1 :][: asked.most]
        told: dict[str, Any] = {}
        if page:
            told = {asked.entity: page, "startPosition": asked.first, "maxResults": len(page)}
        return self._told({"QueryResponse": told})

    def changes(self, request: Request, realm: str) -> Response:
        """Answer what changed since a moment, at most 30 days ago, at most a thousand objects."""
        words = query_words(request, "minorversion", "entities", "changedSince")
        since = datetime.fromisoformat(words["changedSince"])
        if (datetime.now(UTC) - since).days >= 30:
            raise FaultError("4001", "changedSince lies more than 30 days back")
        left, answers = MOST_CHANGES, []
        for entity in words["entities"].split(","):
            there = self.book.every(entity)
            there += [each for kind, each in self.book.deleted if kind == entity]
            some = [each for each in there if _changed(each) >= since][:left]
            left -= len(some)
            count = {"startPosition": 1, "maxResults": len(some)}
            answers.append({entity: some, **count} if some else {})
        return self._told({"CDCResponse": [{"QueryResponse": answers}]})

    def _told(self, content: Mapping[str, Any]) -> Response:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json_with_numbers(copy.deepcopy({**content, "time": now}))
        return Response(text, 200, content_type="application/json;charset=UTF-8")

    def _carried_out(self, request: Request) -> Response:
        try:
            return super()._carried_out(request)
        except FaultError as refused:
            return json_answer(refused.as_json(), 400)
        except HTTPException as problem:
            return json_answer(self.problem(str(problem.description)), problem.code or 500)


def _content(request: Request) -> dict[str, Any]:
    try:
        told = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        raise FaultError("2010", "the body is not JSON") from None
    if not isinstance(told, dict):
        raise FaultError("2010", "the body is no object")
    return told


def _changed(each: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(each["MetaData"]["LastUpdatedTime"])
