"""GitHub's REST API through our HTTP port: requests, pages and what its refusals mean.

`connector.py` asks and tells through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from connectors.http import Http, Request, Response
from ledger.errors import OutcomeUnknownError, PermanentError, RejectedError, TransientError

API_URL: Final = "https://api.github.com"
API_VERSION: Final = "2022-11-28"
PAGE: Final = 100
"""The most that GitHub gives for one request."""
WAIT_SECONDS: Final = 60
"""GitHub's advice where an answer names no time to wait.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""


class GitHubApi:
    """One account's view of GitHub. Every method raises our errors, never a status."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        self._url = (settings.get("api_url") or API_URL).rstrip("/")
        self._token = settings["token"]
        self._http = http

    def get(self, path: str, **query: object) -> Any:
        """Return what stands at a path."""
        return _content(self._send("GET", path, query))

    def pages(self, path: str, *, of: str | None = None, **query: object) -> Iterator[Any]:
        """Return the entries of a list over all its pages; `of` names the list in the answer."""
        page, is_last = 1, False
        while not is_last:
            answer = self._send("GET", path, {**query, "per_page": PAGE, "page": page})
            with reading(path):
                content = _content(answer)
                yield from content[of] if of else content
            # The address of the next page is not used: addresses come from settings only.
            page, is_last = page + 1, 'rel="next"' not in answer.headers.get("link", "")

    def post(self, path: str, **content: object) -> Any:
        """Create something and return it."""
        return _content(self._send("POST", path, {}, content))

    def patch(self, path: str, **content: object) -> Any:
        """Change something and return it."""
        return _content(self._send("PATCH", path, {}, content))

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        content: Mapping[str, object] | None = None,
    ) -> Response:
        request = Request(
            method=method,
            url=self._url + path + ("?" + urlencode(query) if query else ""),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                # GitHub refuses requests that do not say who they are.
                "User-Agent": "billhook",
                "X-GitHub-Api-Version": API_VERSION,
            },
            body=None if content is None else json.dumps(content).encode(),
        )
        try:
            answer = self._http.send(request)
        except OutcomeUnknownError as error:
            if method == "GET":
                raise TransientError(str(error)) from error
            raise
        _judge(answer, where=f"github: {method} {path}", is_read=method == "GET")
        return answer


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn an answer of the wrong shape into a TransientError that names what was asked for."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(
            f"github: {what}: the answer has an unexpected shape ({type(error).__name__})"
            " - check that `api_url:` in workspace.yaml is the address of GitHub's API"
        ) from error


def _judge(answer: Response, *, where: str, is_read: bool) -> None:
    """Raise the error that a status means.

    https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
    """
    status = answer.status
    if 200 <= status < 300 and _content(answer) is not None:
        return
    if 200 <= status < 300 or status >= 500:
        problem = "the answer is not JSON" if status < 300 else "GitHub has a problem"
        if is_read:
            raise TransientError(f"{where}: {problem} (HTTP {status})", _advice(answer.headers))
        raise OutcomeUnknownError(f"{where}: {problem} (HTTP {status}); it may have been done")
    if status == 429 or (status == 403 and _is_rate_limit(answer)):
        wait = _advice(answer.headers)
        raise TransientError(
            f"{where}: too many requests (HTTP {status})", WAIT_SECONDS if wait is None else wait
        )
    if status in (408, 409, 425):
        raise TransientError(f"{where}: not now (HTTP {status})", _advice(answer.headers))
    if status == 401:
        raise PermanentError(
            f"{where}: the token was refused (HTTP 401)"
            " - enter a new `token:` for this endpoint in workspace.yaml"
        )
    if status == 403:
        raise PermanentError(
            f"{where}: the token may not do this (HTTP 403)"
            " - give it read and write access to Issues and Commit statuses of this repository"
        )
    if status == 404:
        raise PermanentError(
            f"{where}: not there, or the token cannot see it (HTTP 404)"
            " - give the token access to this repository"
        )
    if status < 400:
        raise PermanentError(
            f"{where}: it has moved (HTTP {status})"
            " - the repository was renamed, or `api_url:` in workspace.yaml is not an API's address"
        )
    raise RejectedError(
        f"{where}: the request was refused (HTTP {status})"
        " - look at the issue on GitHub: it may be locked or deleted, or issues are switched off"
    )


def _content(answer: Response) -> Any:
    """Return the JSON of an answer; None if it is none. Numbers are exact."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except ValueError:
        return None


def _is_rate_limit(answer: Response) -> bool:
    """Return whether a 403 means "later": GitHub uses it for both of its limits."""
    if "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0":
        return True
    return b"secondary rate limit" in answer.body.lower()


def _advice(headers: Mapping[str, str]) -> int | None:
    """Return the seconds to wait: as told, or until the limit's reset by the answer's own clock."""
    told = headers.get("retry-after", "")
    if told.isascii() and told.isdigit() and len(told) < 7:
        return int(told)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") != "0" or not (reset.isascii() and reset.isdigit()):
        return None
    try:
        now = int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None
    return max(int(reset[:12]) - now, 1)
