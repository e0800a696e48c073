"""Outgoing HTTP: the only place that opens a socket to another system.

One of the four ports, so a test can count, drop or answer every request. Addresses come
from configuration only; private and link-local ones are refused unless allowed, redirects
are never followed, proxies from the environment are ignored.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from ledger.errors import OutcomeUnknownError, PermanentError, TransientError

TIMEOUT_SECONDS = 30
"""How long one request may take to connect, to send its next byte, and to send its whole body."""
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


class CountingHttp:
    """A port that counts what was answered through it: proof that there is somebody."""

    def __init__(self, http: Http) -> None:
        self.answers = 0
        self._http = http

    def send(self, request: Request) -> Response:
        """Send through the port behind; see `Http.send`."""
        answer = self._http.send(request)
        self.answers += 1
        return answer


class OutgoingHttp:
    """The real port, on `requests`. One per process; it keeps connections open."""

    def __init__(
        self, *, allow_private: bool = False, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._allow_private = allow_private
        self._timeout = timeout_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = HTTPAdapter(max_retries=0) if allow_private else _PublicAdapter(max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, request: Request) -> Response:
        """Send over a real socket; see `Http.send`."""
        where = self._checked(request.url)
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = self._body(where, answer)
        except ValueError as error:
            # The address or a header cannot be written, so nothing was. The error itself is
            # not chained, because it may repeat a credential.
            raise PermanentError(
                f"{where}: the request cannot be written ({type(error).__name__}) - check the "
                "address and the credentials in workspace.yaml for stray characters"
            ) from None
        except requests.ConnectTimeout as error:
            raise TransientError(f"{where}: no connection within {self._timeout} s") from error
        except requests.ConnectionError as error:
            if _was_never_sent(error):
                raise TransientError(f"{where}: cannot connect") from error
            raise OutcomeUnknownError(f"{where}: the connection broke before the answer") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise OutcomeUnknownError(f"{where}: no answer ({type(error).__name__})") from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=body)

    def _body(self, where: str, answer: requests.Response) -> bytes:
        """Return the whole body; raise OutcomeUnknownError if it is too long or takes too long."""
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        # read1 returns what has arrived, so that a body that trickles in cannot hold us up.
        while piece := answer.raw.read1(64 * 1024, decode_content=True):
            body += piece
            if len(body) > MOST_BYTES:
                raise OutcomeUnknownError(f"{where}: the answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise OutcomeUnknownError(f"{where}: the answer took over {self._timeout} s")
        return bytes(body)

    def _checked(self, url: str) -> str:
        """Return the host for messages; raise PermanentError for an address that is not allowed."""
        try:
            parts = urlsplit(url)
            where = parts.hostname or "no host"
            is_http = parts.scheme in ("https", "http") and bool(parts.hostname)
        except ValueError:
            where, is_http = "the address", False
        if not is_http:
            raise PermanentError(
                f"{where}: not an http address - check the address in workspace.yaml"
            )
        if parts.scheme != "https" and not self._allow_private:
            raise PermanentError(
                f"{where}: only https is allowed - write https:// in workspace.yaml, or "
                "private_address: yes for a tool in your own network"
            )
        return where


def _public_socket(connection: HTTPConnection) -> socket.socket:
    """Return a socket to an address of the connection's host that was checked to be public.

    The name is resolved once, and the very address that was checked is connected to: a name
    that answers differently the second time (DNS rebinding) gains nothing. The host's own
    name stays in the certificate check and in the Host header.
    """
    host = connection.host
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(f"{host}: the name cannot be resolved") from error
    for *_, address in found:
        if not is_public(str(address[0])):
            raise PermanentError(
                f"{host}: is a private address - if it is meant, write private_address: yes for a "
                "tool in workspace.yaml, or set BILLHOOK_ALLOW_PRIVATE=yes for everything"
            )
    timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else None
    for family, kind, protocol, _, address in found:
        public = socket.socket(family, kind, protocol)
        public.settimeout(timeout)
        try:
            public.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            public.connect(address)
        except OSError:
            public.close()
            continue
        return public
    raise TransientError(f"{host}: cannot connect")


def is_public(address: str) -> bool:
    """Return whether an IP address may be called: public itself and in what it carries.

    An IPv6 address can have an IPv4 one inside, which a gateway on the way unpacks.

    >>> is_public("93.184.216.34"), is_public("64:ff9b::7f00:1")
    (True, False)
    """
    outer = ipaddress.ip_address(address.partition("%")[0])
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(outer, ipaddress.IPv6Address):
        inner = [outer.ipv4_mapped, outer.sixtofour, *(outer.teredo or ())]
        if outer in _NAT64:
            inner.append(ipaddress.IPv4Address(outer.packed[-4:]))
    every = [outer, *(each for each in inner if each is not None)]
    return all(each.is_global and not each.is_multicast for each in every)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _PublicHttp(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _public_socket(self)


class _PublicHttps(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _public_socket(self)


class _PublicHttpPool(HTTPConnectionPool):
    ConnectionCls = _PublicHttp


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttps


class _PublicAdapter(HTTPAdapter):
    """Connects to public addresses only, whatever a name resolves to."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
        pools = {"http": _PublicHttpPool, "https": _PublicHttpsPool}
        self.poolmanager.pool_classes_by_scheme = pools


def _was_never_sent(error: requests.ConnectionError) -> bool:
    """Return whether the connection could not even be made, so nothing reached the other side."""
    names = {type(cause).__name__ for cause in _causes(error)}
    return bool(
        names
        & {
            "NewConnectionError",
            "NameResolutionError",
            "ConnectTimeoutError",
            # The certificate is refused before the request is written.
            "SSLCertVerificationError",
        }
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    pending: list[object] = [error]
    while pending and len(found) < 20:
        cause = pending.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            pending += [*cause.args, cause.__cause__, getattr(cause, "reason", None)]
    return found
