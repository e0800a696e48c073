"""Outgoing HTTP: the only place that opens a socket to another system.

One of the four ports, so a test can count, drop or answer every request. Addresses come
from configuration only; private and link-local ones are refused unless allowed, redirects
are never followed, proxies from the environment are ignored.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from ledger.errors import OutcomeUnknownError, PermanentError, TransientError

TIMEOUT_SECONDS = 30
"""How long one request may take to connect or to send its next byte."""
MOST_BYTES = 16 * 1024 * 1024
"""The longest answer that is read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One outgoing request, complete."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    """Header values by lower-case name."""
    body: bytes


class Http(Protocol):
    """The port: sends one request and returns its answer, whatever its status."""

    def send(self, request: Request) -> Response:
        """Return the answer.

        Raise TransientError if the request surely was not sent, OutcomeUnknownError if it
        may have been carried out (a lost reply), PermanentError if its address is not allowed.
        """
        ...


class OutgoingHttp:
    """The real port, on `requests`. One per process; it keeps connections open."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = HTTPAdapter(max_retries=0, pool_maxsize=4)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, request: Request) -> Response:
        """Send over a real socket; see `Http.send`."""
        where = self._checked(request.url)
        try:
            answer = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            body = answer.raw.read(MOST_BYTES + 1, decode_content=True)
        except requests.ConnectTimeout as error:
            raise TransientError(f"{where}: no connection within {TIMEOUT_SECONDS} s") from error
        except requests.ConnectionError as error:
            if _was_never_sent(error):
                raise TransientError(f"{where}: cannot connect") from error
            raise OutcomeUnknownError(f"{where}: the connection broke before the answer") from error
        except (requests.RequestException, OSError) as error:
            raise OutcomeUnknownError(f"{where}: no answer ({type(error).__name__})") from error
        except Exception as error:  # urllib3 raises its own kinds while the body is read.
            if type(error).__module__.startswith("urllib3"):
                raise OutcomeUnknownError(f"{where}: the answer broke off") from error
            raise
        finally:
            if "answer" in locals():
                answer.close()
        if len(body) > MOST_BYTES:
            raise OutcomeUnknownError(f"{where}: the answer is longer than {MOST_BYTES} bytes")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=body)

    def _checked(self, url: str) -> str:
        parts = urlsplit(url)
        where = parts.hostname or url
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise PermanentError(f"{where}: not an http address - check the address in workspace.yaml")
        if self._allow_private:
            return where
        if parts.scheme != "https":
            raise PermanentError(f"{where}: only https is allowed - write https:// in workspace.yaml")
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise TransientError(f"{where}: the name cannot be resolved") from error
        for *_, address in found:
            if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
                raise PermanentError(
                    f"{where}: is a private address - set BILLHOOK_ALLOW_PRIVATE=yes if that is meant"
                )
        return where


def _was_never_sent(error: requests.ConnectionError) -> bool:
    """Return whether the connection could not even be made, so nothing reached the other side."""
    names = {type(cause).__name__ for cause in _causes(error)}
    return bool(names & {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    pending: list[object] = [error]
    while pending and len(found) < 20:
        cause = pending.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            pending += [*cause.args, cause.__cause__, getattr(cause, "reason", None)]
    return found

