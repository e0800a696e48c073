"""The `jira` package's requests, led through our HTTP port; `connector.py` works through it.

Answers are judged here and not by the package, because the text of its `JIRAError` holds
the request's headers and with them the token.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import requests
from jira import JIRA
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from connectors.http import Http, Request, Response
from connectors.rest import NotThereError, retry_after
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
)

READS_BY_POST: Final = ("/worklog/list", "/issue/bulkfetch")
"""Requests that change nothing although they are sent by POST: their ids would not fit a URL."""


def open_jira(settings: Mapping[str, str], http: Http) -> JIRA:
    """Return the package's client, every request of which goes through the port. Sends nothing.

    With a `user` the token is sent as Jira Cloud wants it (basic authentication), without one
    as Data Center wants a personal access token (bearer):
    https://developer.atlassian.com/cloud/jira/platform/basic-auth-for-rest-apis/
    https://confluence.atlassian.com/enterprise/using-personal-access-tokens-1026032365.html
    """
    if settings.get("user"):
        pair = f"{settings['user']}:{settings['token']}".encode()
        authorization = "Basic " + base64.b64encode(pair).decode()
    else:
        authorization = "Bearer " + settings["token"]
    client = JIRA(
        server=settings["url"],
        options={"headers": {"Authorization": authorization, "User-Agent": "billhook"}},
        get_server_info=False,
        max_retries=0,
    )
    # Otherwise `requests` would replace our header by what a .netrc file says about the host.
    client._session.trust_env = False
    client._session.adapters.clear()
    client._session.mount("", PortAdapter(http))
    return client


class PortAdapter(BaseAdapter):
    """A transport for `requests` that sends through our port and lets only good answers pass."""

    def __init__(self, http: Http) -> None:
        super().__init__()
        self._http = http

    def send(
        self,
        request: requests.PreparedRequest,
        *_: object,
        **__: object,
    ) -> requests.Response:
        """Return the answer; raise one of our errors for anything but a readable success.

        Time limits, certificates and proxies are the port's, so what the package says of them
        is not used.
        """
        url, body = request.url or "", request.body
        is_read = request.method == "GET" or url.endswith(READS_BY_POST)
        try:
            answer = self._http.send(
                Request(
                    method=request.method or "GET",
                    url=url,
                    headers=dict(request.headers),
                    body=body.encode() if isinstance(body, str) else body,
                )
            )
        except OutcomeUnknownError as error:
            if is_read:
                raise TransientError(str(error)) from error
            raise
        _judge(answer, where=_where(request), is_read=is_read)
        passed = requests.Response()
        passed.status_code = answer.status
        passed.headers = CaseInsensitiveDict(answer.headers)
        passed.encoding = "utf-8"
        passed.url = url
        passed.request = request
        passed.raw = io.BytesIO(answer.body)
        return passed

    def close(self) -> None:
        """Do nothing: the port belongs to the process and goes on."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn an answer of the wrong shape into a TransientError that names what was asked for."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(
            f"jira: {what}: the answer has an unexpected shape ({type(error).__name__})"
            " - check that `url:` in workspace.yaml is the address of a Jira"
        ) from error


def _judge(answer: Response, *, where: str, is_read: bool) -> None:
    """Raise the error that a status means.

    https://developer.atlassian.com/cloud/jira/platform/rest/v2/intro/#status-codes
    https://developer.atlassian.com/cloud/jira/platform/rate-limiting/
    """
    status = answer.status
    advice = retry_after(answer.headers)
    if 200 <= status < 300 and _is_json(answer.body):
        return
    if 200 <= status < 300 or status >= 500:
        problem = "the answer is not JSON" if status < 300 else "Jira has a problem"
        if is_read:
            raise TransientError(f"{where}: {problem} (HTTP {status})", advice)
        raise OutcomeUnknownError(f"{where}: {problem} (HTTP {status}); it may have been done")
    if status == 429:
        raise TransientError(f"{where}: too many requests (HTTP 429)", advice)
    if status in (408, 409, 425):
        raise TransientError(f"{where}: not now (HTTP {status})", advice)
    if status == 401:
        raise PermanentError(
            f"{where}: the token was refused (HTTP 401)"
            " - enter a new `token:` (and its `user:`) for this endpoint in workspace.yaml"
        )
    if status == 403:
        raise PermanentError(
            f"{where}: the account may not do this (HTTP 403)"
            " - give it Browse Projects, Add Comments, Edit Own Comments and Edit Issues"
        )
    if status == 404:
        raise NotThereError(
            f"{where}: not there, or the account cannot see it (HTTP 404)"
            " - give the account access to the project"
        )
    if status < 400:
        raise PermanentError(
            f"{where}: the address answers with a redirect (HTTP {status})"
            " - write the address that it leads to as `url:` in workspace.yaml"
        )
    raise RejectedError(
        f"{where}: the request was refused (HTTP {status})"
        " - look at the issue in Jira: it may be locked, archived or at a limit"
    )


def _where(request: requests.PreparedRequest) -> str:
    return f"jira: {request.method} {urlsplit(request.url or '').path}"


def _is_json(body: bytes) -> bool:
    """Return whether a body can be read; an empty one is what Jira answers to a set property."""
    if not body.strip():
        return True
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
