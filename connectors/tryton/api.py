"""Tryton's JSON-RPC through our HTTP port: one user's view, and what its refusals mean.

https://docs.tryton.org/latest/server/topics/rpc.html. A method is called by POST; what Tryton
refuses comes back with status 200 and an `error`. Decimals and days are objects with a `__class__`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from connectors.http import Http, Request, Response
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from ledger.events import json_with_numbers

Json = Mapping[str, Any]
Clause = Sequence[Any]

SESSION_SECONDS: Final = 120
"""How old a session gets before we log in anew. Tryton ends one that is idle for five minutes, and
asks for the password again before some changes after as long."""
PAGE: Final = 500
WAIT_SECONDS: Final = 60
"""How long to wait after "too many requests" where the answer names no time: Tryton names none."""
_ADVICE: Final = {
    401: "enter a valid `user:` and `password:` of this connector in workspace.yaml",
    403: "give the user access to invoices, parties and accounting in Tryton",
    404: "check `url:` and `database:` of this connector in workspace.yaml",
}
_MENDED: Final = "correct the draft, or the record that it is about in Tryton, then push it again"


class Api:
    """One database as one user sees it. Every method raises our errors, never a status."""

    def __init__(self, http: Http, url: str, database: str, user: str, password: str) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/{database}/rpc/"
        self._user, self._password = user, password
        self._session = ""
        self._session_ends = 0.0
        self._user_id = 0

    @property
    def user_id(self) -> int:
        """Return the id of our user there."""
        self._stay_logged_in()
        return self._user_id

    def ask(self, method: str, *params: object) -> Any:
        """Return the result of a method that changes nothing; its last parameter is the context."""
        return self._called(method, params, is_read=True)

    def change(self, method: str, *params: object) -> Any:
        """Return the result of a method that changes something."""
        return self._called(method, params, is_read=False)

    def records(
        self, model: str, domain: Sequence[Clause | str], fields: Sequence[str], context: Json
    ) -> Iterator[dict[str, Any]]:
        """Yield all records that fit, page by page, in the order in which they were made."""
        last = 0
        while True:
            # By id and not by offset, so that none is missed while others come and go.
            asked = [["id", ">", last], list(domain)]
            order = [["id", "ASC"]]
            method = f"model.{model}.search_read"
            page = self.ask(method, asked, 0, PAGE, order, list(fields), context)
            with reading(model):
                yield from page
                if len(page) < PAGE:
                    return
                last = page[-1]["id"]

    def _called(self, method: str, params: Sequence[object], *, is_read: bool) -> Any:
        self._stay_logged_in()
        try:
            return self._sent(method, params, self._session, is_read=is_read)
        except _LoggedOutError:
            self._session_ends = 0.0
            raise

    def _stay_logged_in(self) -> None:
        """Get a session: with the password in each request, each would take a fifth of a second."""
        now = time.monotonic()
        if now < self._session_ends:
            return
        secret = {"password": self._password}
        told = self._sent("common.db.login", [self._user, secret, None], "", is_read=True)
        with reading("logging in"):
            self._user_id = int(told[0])
            session = f"{self._user}:{told[0]}:{told[1]}".encode()
        self._session_ends = now + SESSION_SECONDS
        self._session = f"Session {base64.b64encode(session).decode()}"

    def _sent(
        self, method: str, params: Sequence[object], authorization: str, *, is_read: bool
    ) -> Any:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "billhook",
            **({"Authorization": authorization} if authorization else {}),
        }
        body = {"id": 1, "method": method, "params": [_marked(each) for each in params]}
        request = Request("POST", self._url, headers, json_with_numbers(body).encode())
        where = f"tryton: {method.removeprefix('model.')}"
        try:
            answer = self._http.send(request)
        except OutcomeUnknownError as error:
            if is_read:
                raise TransientError(str(error)) from error
            raise
        told = _content(answer)
        if answer.status == 200 and isinstance(told, dict) and told.get("id") == 1:
            if "error" in told:
                raise self._refused(told["error"], where, is_read=is_read)
            if "result" in told:
                return told["result"]
        raise _unusable(answer, where, is_read=is_read)

    def _refused(self, error: Any, where: str, *, is_read: bool) -> ConnectorError:
        """Return what an error means that Tryton itself has answered with."""
        name, told = _error(error)
        if name == "ConcurrencyException":
            return TransientError(f"{where}: somebody has changed it there in this moment")
        if name == "LoginException":
            return _LoggedOutError(f"{where}: more than a password is asked for - {_ADVICE[401]}")
        if name in ("UserError", "UserWarning"):
            said = " ".join(told.replace(self._password, "***").split())[:300]
            return RejectedError(f"{where}: {said} - {_MENDED}")
        # An error of the server's own: it is rolled back, unless it came after the commit.
        problem = f"{where}: the server has failed in it"
        if is_read:
            return TransientError(problem)
        return OutcomeUnknownError(f"{problem} - look for the invoice before trying again")


class _LoggedOutError(PermanentError):
    """The user or the session is not known there."""


def _unusable(answer: Response, where: str, *, is_read: bool) -> ConnectorError:
    """Return the error of an answer that holds no result and no error of a method."""
    status = answer.status
    if status == 401:
        return _LoggedOutError(f"{where}: the user was refused (HTTP 401) - {_ADVICE[401]}")
    if status == 403:
        return PermanentError(f"{where}: the user may not do this (HTTP 403) - {_ADVICE[403]}")
    if status == 429:
        wait = _retry_after(answer)
        return RateLimitedError(f"{where}: too many requests (HTTP 429)", wait or WAIT_SECONDS)
    if 400 <= status < 500 and _is_page_of_tryton(answer):
        if status == 404:
            return PermanentError(f"{where}: not there (HTTP 404) - {_ADVICE[404]}")
        if status in (408, 409, 423):
            return TransientError(f"{where}: not now (HTTP {status})", _retry_after(answer))
        return RejectedError(f"{where}: the request was refused (HTTP {status}) - {_MENDED}")
    if 300 <= status < 400:
        return PermanentError(f"{where}: it has moved (HTTP {status}) - {_ADVICE[404]}")
    problem = "the server has a problem" if status >= 500 else "the answer is not Tryton's"
    if is_read:
        return TransientError(f"{where}: {problem} (HTTP {status})", _retry_after(answer))
    return OutcomeUnknownError(f"{where}: {problem} (HTTP {status}); it may have been done")


def _is_page_of_tryton(answer: Response) -> bool:
    """Return whether Tryton's own server wrote this page, not a proxy on the way."""
    return answer.body.startswith(
        b"<!doctype html>\n<html lang=en>\n<title>%d " % answer.status,
    )


def _error(error: Any) -> tuple[str, str]:
    """Return name and message of an error: `["UserError", [message, description, domain]]`."""
    if not isinstance(error, list) or len(error) < 2:
        return "", ""
    name, about = error[0], error[1]
    if not isinstance(about, list):
        return str(name), str(about)
    # A warning names itself first.
    return str(name), " ".join(
        each for each in about[1 if name == "UserWarning" else 0 :][:2] if isinstance(each, str)
    )


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn an answer of the wrong shape into a TransientError that names what was asked for."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise TransientError(
            f"tryton: {what}: the answer has an unexpected shape ({type(error).__name__}) - check "
            "that `url:` in workspace.yaml leads to a Tryton server of series 7.0 or later"
        ) from error


def _marked(value: object) -> object:
    """Return a value with what JSON lacks written as Tryton does. Decimals become objects.

    A quantity, which Tryton wants as a plain number, comes in as `Number`.
    """
    match value:
        case Number():
            return value.exact
        case Decimal():
            return {"__class__": "Decimal", "decimal": f"{value:f}"}
        case datetime():
            parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
        case date():
            return {
                "__class__": "date",
                "year": value.year,
                "month": value.month,
                "day": value.day,
            }
        case Mapping():
            return {name: _marked(each) for name, each in value.items()}
        case list() | tuple():
            return [_marked(each) for each in value]
    return value


class Number:
    """A decimal that goes out as a plain JSON number, with just its digits."""

    def __init__(self, exact: Decimal) -> None:
        self.exact = exact


def _content(answer: Response) -> Any:
    """Return the JSON of an answer with what Tryton has marked; None if it has none."""
    try:
        return json.loads(answer.body, object_hook=_unmarked, parse_float=Decimal)
    except (ValueError, TypeError, ArithmeticError):
        return None


def _unmarked(told: dict[str, Any]) -> Any:
    parts = {name: value for name, value in told.items() if name != "__class__"}
    match told.get("__class__"):
        case "Decimal":
            return Decimal(parts["decimal"])
        case "datetime":
            return datetime(**parts)  # noqa: DTZ001 - Tryton's moments have no zone.
        case "date":
            return date(**parts)
    return told


def _retry_after(answer: Response) -> int | None:
    told = answer.headers.get("retry-after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 7 else None
