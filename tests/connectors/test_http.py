"""The outgoing port against real sockets on the loopback address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses

from connectors import http as port
from connectors.http import OutgoingHttp, Request
from ledger.errors import OutcomeUnknownError, PermanentError, TransientError

Answer = Callable[[socket.socket], None]


def whole_request(connection: socket.socket) -> bytes:
    """Return a request to its end: its body may come in a piece of its own."""
    request = b""
    while b"\r\n\r\n" not in request or (
        b"Content-Length: 4" in request and not request.endswith(b"body")
    ):
        piece = connection.recv(65536)
        if not piece:
            break
        request += piece
    return request


class Server:
    """Answers each connection with the bytes, or the silence, that a test asks for."""

    def __init__(self) -> None:
        self.answer: Answer = lambda connection: None
        self.received: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self.received.append(whole_request(connection))
                try:
                    self.answer(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self._listening.close()


def says(text: str, body: bytes = b"") -> Answer:
    head = f"HTTP/1.1 {text}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def http() -> OutgoingHttp:
    return OutgoingHttp(allow_private=True, timeout_seconds=20)


@pytest.fixture
def hurried() -> OutgoingHttp:
    """Return a port that gives up soon, for answers that never come."""
    return OutgoingHttp(allow_private=True, timeout_seconds=0.2)


def test_an_answer_is_read_to_its_end(server: Server, http: OutgoingHttp) -> None:
    server.answer = says("422 Unprocessable\r\nX-Reason: Why", b"no")
    answer = http.send(Request("POST", f"{server.url}/a?b=c", {"X-Key": "k"}, b"body"))
    assert (answer.status, answer.headers["x-reason"], answer.body) == (422, "Why", b"no")
    assert server.received[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"X-Key: k\r\n" in server.received[0]
    assert server.received[0].endswith(b"\r\n\r\nbody")


def test_a_redirect_is_not_followed(server: Server, http: OutgoingHttp) -> None:
    server.answer = says(f"302 Found\r\nLocation: {server.url}/elsewhere")
    assert http.send(Request("GET", server.url)).status == 302
    assert len(server.received) == 1


def test_a_proxy_from_the_environment_is_ignored(
    server: Server, http: OutgoingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answer = says("200 OK")
    assert http.send(Request("GET", server.url)).status == 200


def test_a_refused_connection_was_surely_not_sent(http: OutgoingHttp) -> None:
    with socket.socket() as bound:
        # Bound, so that nobody else takes the port, but not listening.
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(TransientError, match=r"127\.0\.0\.1: cannot connect"):
            http.send(Request("POST", url, body=b"body"))


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        lambda connection: connection.sendall(b"no http at all\r\n\r\n"),
        lambda connection: connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        ),
        lambda connection: connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
        ),
    ],
    ids=["closed", "half", "no http", "bad chunk", "bad gzip"],
)
def test_a_broken_answer_leaves_the_outcome_open(
    server: Server, http: OutgoingHttp, answer: Answer
) -> None:
    server.answer = answer
    with pytest.raises(OutcomeUnknownError, match=r"127\.0\.0\.1"):
        http.send(Request("POST", server.url, body=b"body"))


def test_silence_leaves_the_outcome_open(server: Server, hurried: OutgoingHttp) -> None:

    def wait(connection: socket.socket) -> None:
        connection.recv(1)

    server.answer = wait
    with pytest.raises(OutcomeUnknownError):
        hurried.send(Request("POST", server.url, body=b"body"))


def test_a_body_that_trickles_in_is_given_up(server: Server, hurried: OutgoingHttp) -> None:
    pieces = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            pieces.wait(0.05)

    server.answer = trickle
    with pytest.raises(OutcomeUnknownError, match="took over"):
        hurried.send(Request("GET", server.url))


def test_an_endless_answer_is_given_up(
    server: Server, http: OutgoingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "MOST_BYTES", 1000)
    server.answer = says("200 OK", b"x" * 1001)
    with pytest.raises(OutcomeUnknownError, match="longer than 1000 bytes"):
        http.send(Request("GET", server.url))
    server.answer = says("200 OK", b"x" * 1000)
    assert len(http.send(Request("GET", server.url)).body) == 1000


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "a.example",
        "",
        "https://",
        "http://[",
        "https:///x",
    ],
)
def test_what_is_no_http_address_is_refused(http: OutgoingHttp, url: str) -> None:
    with pytest.raises(PermanentError, match="not an http address"):
        http.send(Request("GET", url))


def test_a_credential_with_a_stray_line_break_is_refused_without_repeating_it(
    server: Server, http: OutgoingHttp
) -> None:
    with pytest.raises(PermanentError, match="stray characters") as caught:
        http.send(Request("GET", server.url, {"Authorization": "Bearer secret\nX: y"}))
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert server.received == []


def resolving(*addresses: str) -> Callable[..., list[Any]]:
    def resolve(_host: str, port: int, *_: object, **__: object) -> list[Any]:
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port))
            for kind, address in zip(kinds, addresses, strict=True)
        ]

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "224.0.0.1", "ff02::1"),
        *("2001:0:4136:e378:8000:63bf:80ff:fffe", "255.255.255.255", "fd00:ec2::254"),
    ],
)
def test_a_private_address_is_refused_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("93.184.216.34", address))
    with pytest.raises(PermanentError, match="private address"):
        OutgoingHttp().send(Request("GET", "https://api.vendor.example/"))


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "2130706433", "0"),
        *("[::1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "localhost", "127.0.0.1."),
        *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    ],
)
def test_no_way_to_write_a_private_address_gets_through(host: str) -> None:
    """Resolved by the machine's own resolver: none of these needs a network."""
    with pytest.raises((PermanentError, TransientError)) as refused:
        OutgoingHttp().send(Request("GET", f"https://{host}/latest/meta-data"))
    is_private = "private address" in str(refused.value)
    assert is_private or "cannot be resolved" in str(refused.value), refused.value


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[Any] = []
    resolved: list[str] = []
    answer = resolving("93.184.216.34", "93.184.216.35")

    def resolve(host: str, *more: Any, **named: Any) -> list[Any]:
        resolved.append(host)
        return (
            answer(host, *more, **named) if len(resolved) == 1 else resolving("10.0.0.1")(host, 0)
        )

    def connect(_socket: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(TransientError, match="cannot connect"):
        OutgoingHttp().send(Request("GET", "https://api.vendor.example/"))
    assert resolved == ["api.vendor.example"]
    assert connected == [("93.184.216.34", 443), ("93.184.216.35", 443)]


def test_the_host_keeps_its_own_name_when_a_checked_address_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for a public address, so that the checked way is really taken over a socket.
    monkeypatch.setattr("connectors.http.is_public", lambda _: True)
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.1"))
    http = OutgoingHttp()
    monkeypatch.setattr(http, "_checked", lambda url: "vendor.example")
    server.answer = says("200 OK")
    assert http.send(Request("GET", f"http://vendor.example:{server.port}/")).status == 200
    assert f"Host: vendor.example:{server.port}".encode() in server.received[0]


def test_a_name_that_cannot_be_resolved_was_surely_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for http in (OutgoingHttp(), OutgoingHttp(allow_private=True)):
        with pytest.raises(TransientError):
            http.send(Request("POST", "https://api.vendor.example/"))


def test_plain_http_is_refused_outside_a_private_network() -> None:
    with pytest.raises(PermanentError, match="only https"):
        OutgoingHttp().send(Request("GET", "http://api.vendor.example/"))


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500])
@responses.activate
def test_every_status_is_an_answer_and_no_error(http: OutgoingHttp, status: int) -> None:
    responses.get("https://api.example/v1/thing", body=b"text", status=status)
    answer = http.send(Request("GET", "https://api.example/v1/thing"))
    assert (answer.status, answer.body) == (status, b"text")
