"""Xero's Accounting API through our HTTP port: one organisation's view, and what refusals mean.

https://developer.xero.com/documentation/api/accounting/requests-and-responses. Amounts go out and
come in as exact decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, content
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    RejectedError,
    UnsupportedError,
)
from ledger.events import json_with_numbers

BASE: Final = "https://api.xero.com"
ACCOUNTING: Final = "/api.xro/2.0"
PAGE: Final = 1000
"""The most records of one page."""
MOST_KEY: Final = 128
"""Characters of an `Idempotency-Key`."""
# Without it prices are rounded to two decimal places.
FOUR_PLACES: Final[dict[str, Any]] = {"unitdp": 4}

Json = Mapping[str, Any]

_CONNECT: Final = "connect it again"
_ADVICE: Final = {
    400: "look at the invoice in Xero, mend the draft, then push it again",
    401: _CONNECT,
    403: f"check `tenant:` of this connector in workspace.yaml, or {_CONNECT}",
    404: "check `tenant:` of this connector in workspace.yaml, and look for it in Xero",
}
_CAUSES: Final = (
    (r"tax ?type|TaxType|tax rate", "Xero does not take its tax type", "tax_code:"),
    (r"account code|account is required|AccountCode", "Xero does not take its account", "account:"),
    (r"item code|ItemCode", "Xero has no such item", "item:"),
    (r"tracking", "Xero has no such tracking category or option", "tracking:"),
    (r"branding", "Xero has no such branding theme", "branding_theme:"),
)
"""What a word in Xero's refusal is about, and where that is mended."""
_OTHER_CAUSES: Final = (
    (r"lock|end of year|period", "its date lies in a period that is locked in Xero"),
    (r"archived", "its contact is archived in Xero: restore the contact"),
    (
        r"already assigned",
        "another contact has this name: write books: {customer: ID} into its rule file",
    ),
    (r"line total", "Xero makes another amount of quantity and price of a line"),
    (r"not of valid status", "it is no draft any more"),
)


class DuplicateNumberError(RejectedError):
    """Another sales invoice has this number already."""


class KeyUsedError(OutcomeUnknownError):
    """Some earlier request with this key got through, with other content."""


class NoSuchCurrencyError(UnsupportedError):
    """The organisation keeps its books without this currency."""


class Api(Rest):
    """One organisation's books. Every method raises our errors, never a status."""

    def __init__(self, http: Http, tenant: str, *, base: str = BASE) -> None:
        super().__init__(
            http,
            base.rstrip("/") + ACCOUNTING,
            {"xero-tenant-id": tenant},
            tool="xero",
            advice=_ADVICE,
        )

    def organisation(self) -> Json:
        """Return the organisation itself."""
        found = self._records("Organisations", self.send("GET", "/Organisation"))
        return found[0] if found else {}

    def records(self, resource: str, /, at: str = "", **query: object) -> list[Json]:
        """Return the records of one answer."""
        return self._records(resource, self.send("GET", f"/{resource}{at}", query))

    def pages(
        self, resource: str, *, since: str | None = None, **query: object
    ) -> Iterator[tuple[list[Json], Response]]:
        """Yield the records of each page, and its answer; `since` asks for what changed then.

        They are sorted by what never changes, so that none is missed while others change.
        """
        key = f"{resource.removesuffix('s')}ID"
        headers = {} if since is None else {"If-Modified-Since": since}
        page = 1
        while True:
            asked = {**query, "order": key, "page": page, "pageSize": PAGE}
            answer = self.send("GET", f"/{resource}", asked, headers=headers)
            found = self._records(resource, answer)
            yield found, answer
            if len(found) < PAGE:
                return
            page += 1

    def write(self, method: str, resource: str, record: Json, *, key: str, path: str = "") -> Json:
        """Create (PUT) or change (POST) one record; return it as it stands there now.

        With the same key it is done once. https://developer.xero.com/documentation/guides/
        idempotent-requests/idempotency
        """
        where = f"/{resource}{path}"
        query = FOUR_PLACES if resource == "Invoices" else {}
        body = json_with_numbers({resource: [record]}).encode()
        headers = {"Idempotency-Key": key[-MOST_KEY:]}
        answer = self.send(method, where, query, body, headers=headers)
        found = content(answer).get(resource)
        if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
            raise OutcomeUnknownError(
                f"xero: {method} {where}: the answer has an unexpected shape - look for the "
                "invoice before trying again"
            )
        return found[0]

    def act(self, path: str, *, key: str) -> None:
        """Have something done that has no answer."""
        headers = {"Idempotency-Key": key[-MOST_KEY:]}
        self.send("POST", path, {}, {}, headers=headers)

    def _records(self, resource: str, answer: Response) -> list[Json]:
        with self.reading(resource):
            found = content(answer)[resource]
            if not all(isinstance(each, dict) for each in found):
                raise TypeError
            return list(found)

    def is_own(self, answer: Response) -> bool:
        """Return whether an answer is written as Xero does: a list by its name, or an error."""
        if 300 <= answer.status < 400 or (answer.status == 204 and not answer.body):
            return True
        told = content(answer)
        if not isinstance(told, dict):
            return False
        if answer.status < 300:
            return any(isinstance(each, list) for each in told.values())
        return "ErrorNumber" in told or {"Title", "Status"} <= set(told)

    def refused(self, answer: Response, where: str) -> ConnectorError:
        told = " ".join(_messages(content(answer)))
        if re.search(r"Invoice # must be unique", told):
            return DuplicateNumberError(f"{where}: another invoice there has this number")
        if re.search(r"different request", told):
            return KeyUsedError(f"{where}: its key was used before - it is looked up first")
        if currency := re.search(r"subscribed to currency ([A-Z]{3})", told):
            return NoSuchCurrencyError(
                f"{where}: this organisation has no {currency[1]} - add it in Xero under Settings, "
                "Currencies, or send it elsewhere with send_to:"
            )
        for pattern, problem, word in _CAUSES:
            if re.search(pattern, told, re.IGNORECASE):
                return RejectedError(
                    f"{where}: {problem} (HTTP {answer.status}) - mend {word} of this connector in "
                    "workspace.yaml, or books: in the customer's file"
                )
        for pattern, problem in _OTHER_CAUSES:
            if re.search(pattern, told, re.IGNORECASE):
                return RejectedError(f"{where}: {problem} (HTTP {answer.status}) - {_ADVICE[400]}")
        return super().refused(answer, where)


class Connections(Rest):
    """What a person has connected, whatever organisation it is."""

    def __init__(self, http: Http, *, base: str = BASE) -> None:
        super().__init__(http, base, {}, tool="xero", advice=_ADVICE)

    def organisations(self) -> dict[str, str]:
        """Return the name of each connected organisation by its tenant id."""
        with self.reading("the connections"):
            return {
                each["tenantId"]: each.get("tenantName") or each["tenantId"]
                for each in self.get("/connections")
                if each["tenantType"] == "ORGANISATION"
            }


def in_filter(text: str) -> str | None:
    """Return a text as it stands in a `where` filter; None if it cannot stand there.

    Xero's filters know no escape for a quotation mark:
    https://github.com/XeroAPI/Xero-Java/issues/347

    >>> in_filter("O'Hara & Co"), in_filter('The "Bat" Man'), in_filter("back" + chr(92))
    ('"O\\'Hara & Co"', None, None)
    """
    if set(text) & {'"', "\\"} or not text.isprintable():
        return None
    return f'"{text}"'


def answered_at(answer: Response) -> int | None:
    """Return the Unix time at which Xero gave an answer, by its own clock; None if not told."""
    try:
        return int(parsedate_to_datetime(answer.headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None


def _messages(told: Any) -> Iterator[str]:
    """Yield what Xero says about a refusal; it is compared, never repeated."""
    if isinstance(told, dict):
        for name, value in told.items():
            if name in ("Message", "Detail") and isinstance(value, str):
                yield value
            else:
                yield from _messages(value)
    elif isinstance(told, list):
        for each in told:
            yield from _messages(each)
