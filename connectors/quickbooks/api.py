"""QuickBooks Online's Accounting API through our HTTP port: requests, and what its faults mean.

https://developer.intuit.com/app/developer/qbo/docs/develop/rest-api-features
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from connectors.http import Http, Request, Response
from connectors.rest import WAIT_SECONDS, content, retry_after
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from ledger.events import json_with_numbers

LIVE: Final = "https://quickbooks.api.intuit.com"
SANDBOX: Final = "https://sandbox-quickbooks.api.intuit.com"
PAGE: Final = 1000
"""The most objects of one answer to a query."""
MOST_KEY: Final = 48
"""A `requestid` has at most 50 characters."""

Json = Mapping[str, Any]

NOT_THERE, STALE, DUPLICATE_NUMBER, DUPLICATE_NAME = "610", "5010", "6140", "6240"
REFUSED_TOKEN: Final = {"3200", "3100", "120"}
CLOSED_ACCOUNT: Final = {"6190"}
_ADVICE: Final = {
    "2500": "an item, tax code, class or customer that it names is not there: mend item: and "
    "tax_code: in workspace.yaml, or books: in the customer's file",
    "6000": "QuickBooks' rules for its books forbid it: look at customer, item and tax settings "
    "there",
    "6070": "an amount is not what QuickBooks makes of quantity and rate",
    DUPLICATE_NUMBER: "another transaction there has this number: give that one another number",
    "6200": "the books of this period are closed there: open them, or bill in a later one",
    "6210": "the books of this period are closed there: open them, or bill in a later one",
    DUPLICATE_NAME: "a customer, vendor or employee there has this name already, perhaps one that "
    "is inactive: write books: {customer: ID} into the rule file",
}
"""What to do about a fault, by its code.
https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes"""


class NotThereError(PermanentError):
    """QuickBooks itself says that there is no such object (any more)."""


class StaleError(TransientError):
    """Somebody else has changed it since we looked (fault 5010): surely not carried out."""


class Api:
    """One company's books. Every method raises our errors, never a status."""

    def __init__(self, http: Http, realm: str, *, base: str, minor_version: str) -> None:
        self._http = http
        self._url = f"{base.rstrip('/')}/v3/company/{realm}"
        self._minor_version = minor_version

    def get(self, entity: str, remote_id: str) -> Json:
        """Return one object; raise NotThereError if QuickBooks has none with this id."""
        return self._object(
            self._read(f"reading {entity} {remote_id}", f"/{entity.lower()}/{remote_id}", entity),
            entity,
        )

    def preferences(self) -> Json:
        """Return the company's preferences."""
        return self._object(self._read("reading preferences", "/preferences", "Preferences"))

    def query(self, entity: str, where: str = "") -> list[Json]:
        """Return all objects of a kind that fit a condition, page by page."""
        found: list[Json] = []
        condition = f" WHERE {where}" if where else ""
        while True:
            first = len(found) + 1
            page = f"FROM {entity}{condition} ORDERBY Id STARTPOSITION {first} MAXRESULTS {PAGE}"
            told = self._read(
                f"looking through {entity}", "/query", "QueryResponse", query=f"SELECT * {page}"
            )
            some = _objects(told["QueryResponse"], entity)
            found += some
            if len(some) < PAGE:
                return found

    def by_ids(self, entity: str, ids: Sequence[str]) -> list[Json]:
        """Return those objects of a kind that are there, in the order of their ids."""
        named = ", ".join(quoted(one) for one in dict.fromkeys(ids))
        return self.query(entity, f"Id IN ({named})") if named else []

    def changed(self, entities: Sequence[str], since: str) -> tuple[dict[str, list[Json]], str]:
        """Return what changed since a moment, by kind, and the time there (empty: not told).

        The deleted ones have `status` "Deleted". At most `PAGE` objects come, of all kinds.
        """
        told = self._read(
            "reading changes",
            "/cdc",
            "CDCResponse",
            entities=",".join(entities),
            changedSince=since,
        )
        answers = [
            part
            for each in _list(told["CDCResponse"])
            for part in _list(each.get("QueryResponse", []))
        ]
        changed: dict[str, list[Json]] = {entity: [] for entity in entities}
        for entity in entities:
            for part in answers:
                changed[entity] += _objects(part, entity)
        return changed, str(told.get("time", ""))

    def write(
        self, what: str, entity: str, body: Json, *, key: str, operation: str | None = None
    ) -> Json:
        """Create or change an object and return it as it is now; the same key does it once."""
        # `requestid`: https://blogs.intuit.com/2015/04/06/15346/
        query = {"requestid": hashlib.sha256(key.encode()).hexdigest()[:MOST_KEY]}
        if operation:
            query["operation"] = operation
        told = self._send("POST", what, f"/{entity.lower()}", entity, query, body)
        written = told[entity]
        if not isinstance(written, dict):
            raise OutcomeUnknownError(f"quickbooks: {what}: the answer has an unexpected shape")
        return written

    def _object(self, told: Json, entity: str = "Preferences") -> Json:
        found = told[entity]
        if not isinstance(found, dict):
            raise _unexpected(entity)
        return found

    def _read(self, what: str, path: str, wanted: str, **query: str) -> Json:
        return self._send("GET", what, path, wanted, query, None)

    def _send(
        self,
        method: str,
        what: str,
        path: str,
        wanted: str,
        query: Mapping[str, str],
        body: Json | None,
    ) -> Json:
        """Return an answer that has what is wanted; raise what any other answer means."""
        is_read = body is None
        asked = urlencode({**query, "minorversion": self._minor_version})
        headers = {"Accept": "application/json", "User-Agent": "billhook"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(
            method,
            f"{self._url}{path}?{asked}",
            headers,
            None if body is None else json_with_numbers(body).encode(),
        )
        try:
            answer = self._http.send(request)
        except OutcomeUnknownError as error:
            if is_read:
                raise TransientError(str(error)) from error
            raise
        told = content(answer)
        refused = _meaning(answer, told, f"quickbooks: {what}", wanted, is_read=is_read)
        if refused is not None:
            raise refused
        found: Json = told
        return found


def quoted(text: str) -> str:
    """Return a text as a value in a query.

    >>> print(quoted("O'Hara \\\\ Sons"))
    'O\\'Hara \\\\ Sons'
    """
    # https://developer.intuit.com/hub/blog/2017/02/08/deep-dive-sql-queries, "Escape Character"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@contextmanager
def shaped(what: str) -> Iterator[None]:
    """Turn an answer of the wrong shape into a TransientError that names what was asked for."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _unexpected(what) from error


def number(value: object) -> Decimal:
    """Return a number of an answer exactly; raise TransientError if it is none."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value)
    raise _unexpected("an amount")


def _meaning(
    answer: Response, told: Any, where: str, wanted: str, *, is_read: bool
) -> ConnectorError | None:
    """Return the error that an answer means; None if it is a good one."""
    status, code = answer.status, _fault_code(told)
    if status == 429:
        # 500 requests a minute for a company; the advice is to wait for a minute.
        wait = retry_after(answer.headers)
        return RateLimitedError(
            f"{where}: too many requests", WAIT_SECONDS if wait is None else wait
        )
    if status == 401 or (code in REFUSED_TOKEN and status < 500):
        return PermanentError(
            f"{where}: QuickBooks does not accept our token (HTTP {status}) - connect the company "
            "again and look whether realm: in workspace.yaml is its id"
        )
    is_good = 200 <= status < 300 and code is None
    if is_good and isinstance(told, dict) and wanted in told:
        return None
    if is_good or status >= 500 or code is None:
        problem = f"{where}: the answer is not one of QuickBooks' (HTTP {status})"
        if status >= 500:
            problem = f"{where}: QuickBooks has a problem (HTTP {status})"
        if is_read:
            return TransientError(problem, retry_after(answer.headers))
        return OutcomeUnknownError(f"{problem}; it may have been carried out")
    return _refusal(where, status, code)


def _refusal(where: str, status: int, code: str) -> ConnectorError:
    """Return the error for a fault by which nothing was carried out."""
    told = f"{where}: QuickBooks refuses it (fault {code})"
    if code == NOT_THERE:
        return NotThereError(f"{told}: there is nothing with this id - look whether it was deleted")
    if code == STALE:
        return StaleError(
            f"{told}: somebody has changed it at the same time; it is looked at again"
        )
    if status == 409:
        return TransientError(told)
    if status == 403 or code in CLOSED_ACCOUNT:
        return PermanentError(
            f"{told} - look whether the company's subscription runs and whether the user who "
            "connected it may do this"
        )
    if status == 404:
        return PermanentError(f"{told} - check realm: and api_base: in workspace.yaml")
    return RejectedError(f"{told} - {_ADVICE.get(code, 'change what it is about')}")


def _fault_code(told: Any) -> str | None:
    """Return the code of the first error of a fault; None if the answer holds no fault.

    Intuit writes the names with a capital in most answers, and without one in refusals of tokens.
    """
    if not isinstance(told, dict):
        return None
    fault = told.get("Fault") or told.get("fault")
    errors = fault.get("Error") or fault.get("error") if isinstance(fault, dict) else None
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return None
    code = str(errors[0].get("code", "")).lstrip("0")
    return code if code.isascii() and code.isdigit() and len(code) < 7 else "unknown"


def _objects(holder: Any, entity: str) -> list[Json]:
    if not isinstance(holder, dict):
        raise _unexpected(entity)
    return _list(holder.get(entity, []))


def _list(value: Any) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _unexpected("a list")
    return value


def _unexpected(what: str) -> TransientError:
    return TransientError(f"quickbooks: {what}: the answer has an unexpected shape")
