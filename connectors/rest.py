"""A tool's REST or GraphQL API through our HTTP port: requests, and what its refusals mean.

Each project tool's `api.py` or `connector.py` asks and tells through it and says only what is
its own: address, credentials, how a rate limit looks, what a person should do about a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from connectors.http import Http, Request, Response
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)

WAIT_SECONDS: Final = 60
"""How long to wait after "too many requests" where the answer names no time."""
_ADVICE: Final = {
    301: "write the address that it leads to in workspace.yaml",
    400: "look at the thing in the tool: it may be locked, archived or deleted",
    401: "enter a new `token:` for this endpoint in workspace.yaml",
    403: "give the token's account access to it",
    404: "give the token's account access to it, or look whether it was deleted",
}


class NotThereError(PermanentError):
    """The tool knows no such thing, or hides it from this account; it does not say which."""


class ForbiddenError(PermanentError):
    """The token's account may not see or do this one thing."""


class Rest:
    """One account's view of a tool. Every method raises our errors, never a status.

    A tool whose limits look different overrides `is_limit` or `wait`; one whose refusals stand in
    a good answer overrides `refusal`.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        headers: Mapping[str, str],
        *,
        tool: str,
        advice: Mapping[int, str] | None = None,
    ) -> None:
        """Make the view. `url` comes from the settings; `advice` says what to do by status.

        The statuses in `advice` are 301 (any redirect), 400 (any other refusal), 401, 403, 404.
        """
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "billhook", **headers}
        self.tool = tool
        self._advice = {**_ADVICE, **(advice or {})}

    def get(self, path: str, **query: object) -> Any:
        """Return what stands at a path; a list among the query's values repeats its word."""
        return content(self.send("GET", path, query))

    def post(self, path: str, body: object, **query: object) -> Any:
        """Create something and return it."""
        return content(self.send("POST", path, query, body))

    def put(self, path: str, body: object, **query: object) -> Any:
        """Replace something and return it."""
        return content(self.send("PUT", path, query, body))

    def patch(self, path: str, body: object, **query: object) -> Any:
        """Change something and return it."""
        return content(self.send("PATCH", path, query, body))

    def delete(self, path: str, **query: object) -> None:
        """Delete something."""
        self.send("DELETE", path, query)

    def ask(self, path: str, body: object, **query: object) -> Any:
        """Return the answer to a question that is sent by POST and changes nothing."""
        return content(self.send("POST", path, query, body, is_read=True))

    def graphql(
        self, query: str, variables: Mapping[str, object], *, path: str = "", is_read: bool = True
    ) -> Any:
        """Return the `data` of a GraphQL query, or of a mutation (`is_read=False`)."""
        sent = {"query": query, "variables": dict(variables)}
        answer = content(self.send("POST", path, {}, sent, is_read=is_read))
        with self.reading("the answer to a GraphQL query"):
            return answer["data"]

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        *,
        is_read: bool | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return a good answer. `is_read` is true of what changes nothing: by default of GET.

        A body of bytes goes out as it is; anything else is written as JSON.
        """
        is_read = method == "GET" if is_read is None else is_read
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        given = {name: value for name, value in (query or {}).items() if value is not None}
        request = Request(
            method=method,
            url=self._url + path + ("?" + urlencode(given, doseq=True) if given else ""),
            headers=sent,
            body=_written(body),
        )
        try:
            answer = self._http.send(request)
        except OutcomeUnknownError as error:
            if is_read:
                raise TransientError(str(error)) from error
            raise
        self._judge(answer, f"{self.tool}: {method} {path}", is_read=is_read)
        return answer

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn an answer of the wrong shape into a TransientError that names what was asked for."""
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise TransientError(
                f"{self.tool}: {what}: the answer has an unexpected shape ({type(error).__name__})"
                " - check that the address in workspace.yaml is the one of its API"
            ) from error

    def is_own(self, answer: Response) -> bool:
        """Return whether the tool itself gave this answer, not a proxy on the way.

        By default whatever can be read is the tool's own. Not asked about 401, 403, limits and 5xx.
        """
        return True

    def refused(self, answer: Response, where: str) -> ConnectorError:
        """Return the error of a refusal that is about the content."""
        return RejectedError(
            f"{where}: the request was refused (HTTP {answer.status}) - {self._advice[400]}"
        )

    def is_limit(self, answer: Response) -> bool:
        """Return whether a refusal means "too many requests, come again later"."""
        return answer.status == 429

    def wait(self, answer: Response) -> int | None:
        """Return the tool's own advice how long to wait, in seconds; None if it gives none."""
        return retry_after(answer.headers)

    def refusal(self, told: Any, where: str, *, is_read: bool) -> ConnectorError | None:
        """Return the error that an answer with a good status holds (GraphQL's `errors`), or None.

        `extensions.code` of the first error is compared with the words that GraphQL servers use.
        """
        errors = told.get("errors") if isinstance(told, Mapping) else None
        if not isinstance(errors, Sequence) or not errors or isinstance(errors, str):
            return None
        first = errors[0] if isinstance(errors[0], Mapping) else {}
        extensions = first.get("extensions")
        code = str(extensions.get("code", "")) if isinstance(extensions, Mapping) else ""
        if code.upper() in ("RATELIMITED", "RATE_LIMITED", "COMPLEXITY_BUDGET_EXHAUSTED"):
            return RateLimitedError(f"{where}: too many requests", WAIT_SECONDS)
        if code.upper() in ("AUTHENTICATION_ERROR", "UNAUTHENTICATED"):
            return PermanentError(f"{where}: the token was refused - {self._advice[401]}")
        if code.upper() in ("FORBIDDEN", "UNAUTHORIZED"):
            return PermanentError(f"{where}: the token may not do this - {self._advice[403]}")
        return RejectedError(f"{where}: the request was refused - {self._advice[400]}")

    def _judge(self, answer: Response, where: str, *, is_read: bool) -> None:
        """Raise the error that an answer means; return if it is a good one."""
        status, advice = answer.status, self._advice
        is_good = 200 <= status < 300
        is_strange = status not in (401, 403) and not self.is_own(answer)
        if is_good and not is_strange and (not answer.body.strip() or is_json(answer)):
            error = self.refusal(content(answer), where, is_read=is_read)
            if error is not None:
                raise error
            return
        if self.is_limit(answer):
            wait = self.wait(answer)
            raise RateLimitedError(
                f"{where}: too many requests (HTTP {status})",
                WAIT_SECONDS if wait is None else wait,
            )
        if is_good or is_strange or status >= 500:
            problem = "the tool has a problem" if status >= 500 else "the answer is not the tool's"
            if is_read:
                raise TransientError(f"{where}: {problem} (HTTP {status})", self.wait(answer))
            raise OutcomeUnknownError(f"{where}: {problem} (HTTP {status}); it may have been done")
        if status in (408, 409, 425):
            raise TransientError(f"{where}: not now (HTTP {status})", self.wait(answer))
        if status == 401:
            raise PermanentError(f"{where}: the token was refused (HTTP 401) - {advice[401]}")
        if status == 403:
            raise ForbiddenError(f"{where}: the token may not do this (HTTP 403) - {advice[403]}")
        if status == 404:
            raise NotThereError(f"{where}: not there (HTTP 404) - {advice[404]}")
        if status < 400:
            raise PermanentError(f"{where}: it has moved (HTTP {status}) - {advice[301]}")
        raise self.refused(answer, where)


def _written(body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return json.dumps(body, default=str).encode()


def content(answer: Response) -> Any:
    """Return the JSON of an answer, None if it has none. Numbers are exact."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except ValueError:
        return None


def is_json(answer: Response) -> bool:
    """Return whether an answer can be read."""
    try:
        json.loads(answer.body)
    except ValueError:
        return False
    return True


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Return the seconds of a `Retry-After` header, None if it has none or a date."""
    told = headers.get("retry-after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 7 else None


def seconds_until(headers: Mapping[str, str], reset: str) -> int | None:
    """Return the seconds until a Unix time, by the answer's own clock; None if it cannot be told.

    Rate limits often name the moment of their end: `X-RateLimit-Reset: 1790000000`.
    """
    if not (reset.isascii() and reset.isdigit()):
        return None
    try:
        now = int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None
    return max(int(reset[:12]) - now, 1)
