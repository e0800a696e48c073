"""The real web server, as the Procfile starts it, against clients that keep to no rule."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connectors.http import OutgoingHttp, Request
from ledger.database import upgrade
from ledger.tables import delivery, refusal
from line import Line
from tests.journeys.house import SECRET, House, issue

ROOT = Path(__file__).parent.parent.parent
SLOW_CLIENTS = 200
READ_SECONDS = 1.5
"""Shorter than in production, so that the test need not wait."""
START = (
    f"import serving; serving.READ_SECONDS = {READ_SECONDS}; "
    "from gunicorn.app.wsgiapp import run; run()"
)
BODY = json.dumps(issue(7)).encode()


@dataclass
class Server:
    """One gunicorn on a real database."""

    line: Line
    port: int
    log: Path

    def ask(self, raw: bytes, *, half_close: bool = True) -> bytes:
        """Send bytes as they are and return everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            try:
                connection.sendall(raw)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            except OSError:
                return b""
        return answer

    def open(self, raw: bytes) -> socket.socket:
        """Return a connection on which some bytes have been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(raw)
        return connection

    def stored(self) -> int:
        """Return how many deliveries are in the ledger."""
        with self.line.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(delivery)) or 0

    def is_well(self) -> bool:
        """Return whether somebody else is served now."""
        answer = OutgoingHttp(allow_private=True).send(
            Request("GET", f"http://127.0.0.1:{self.port}/healthz")
        )
        return answer.status == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    url = f"sqlite:///{folder / 'billhook.sqlite3'}"
    upgrade(url)
    house = House(folder, url)
    line = house.line()
    house.activate(line)
    (web,) = re.findall(r"^web: gunicorn (.+) --bind .*$", (ROOT / "Procfile").read_text(), re.M)
    web = web.replace("${WEB_CONCURRENCY:-2}", "2")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "web.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", START, *shlex.split(web), "--bind", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **house.environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    server = Server(line, port, log)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert server.is_well()
            break
        except Exception:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    yield server
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    line.database.close()


def head(*lines: str, method: str = "POST", path: str = "/webhooks/jira-acme") -> bytes:
    """Return the head of a request, signed for `BODY`."""
    code = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    signed = [f"X-Hub-Signature: sha256={code}", "X-Atlassian-Webhook-Identifier: raw"]
    return "\r\n".join(
        [
            f"{method} {path} HTTP/1.1",
            "Host: billhook.example",
            "Connection: close",
            *signed,
            *lines,
            "",
            "",
        ]
    ).encode("latin-1")


JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"


def status(answer: bytes) -> int:
    """Return the status of the first answer, 0 where the connection just ended."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


def test_what_is_sent_as_it_should_be_is_accepted(server: Server) -> None:
    before = server.stored()
    assert status(server.ask(head(JSON, LENGTH) + BODY)) == 202
    assert status(server.ask(head(JSON, CHUNKED) + CHUNKS)) == 202
    assert server.stored() == before + (1 if before == 0 else 0)


REFUSED = {
    "two lengths that differ": (head(JSON, LENGTH, "Content-Length: 5") + BODY, {400}),
    "two lengths in one header": (head(JSON, f"Content-Length: {len(BODY)}, 5") + BODY, {400}),
    "a negative length": (head(JSON, "Content-Length: -1") + BODY, {400}),
    "a length with a sign": (head(JSON, f"Content-Length: +{len(BODY)}") + BODY, {400}),
    "a length in hex": (head(JSON, f"Content-Length: 0x{len(BODY):x}") + BODY, {400}),
    "a length in other digits": (head(JSON, "Content-Length: \xb2\xb2") + BODY, {400}),
    "an endless length": (head(JSON, "Content-Length: " + "9" * 30) + BODY, {400, 413}),
    "no length": (head(JSON) + BODY, {401}),
    "a length that is too short": (head(JSON, "Content-Length: 5") + BODY, {401}),
    "a length that is too long": (
        head(JSON, f"Content-Length: {len(BODY) + 5}") + BODY,
        {400},
    ),
    "a length and chunks": (head(JSON, LENGTH, CHUNKED) + CHUNKS, {400}),
    "chunks within chunks": (head(JSON, CHUNKED, CHUNKED) + CHUNKS, {400}),
    "chunks that are not last": (
        head(JSON, "Transfer-Encoding: chunked, identity") + CHUNKS,
        {400},
    ),
    "an unknown transfer": (head(JSON, "Transfer-Encoding: xchunked") + CHUNKS, {400, 501}),
    "chunks with a tab": (head(JSON, "Transfer-Encoding:\tchunked", LENGTH) + CHUNKS, {400}),
    "a chunk of a bad size": (head(JSON, CHUNKED) + b"zz\r\n" + BODY, {0, 400}),
    "a chunk of a negative size": (head(JSON, CHUNKED) + b"-1\r\n" + BODY, {0, 400}),
    "a chunk of an endless size": (head(JSON, CHUNKED) + b"f" * 40 + b"\r\n" + BODY, {0, 400, 413}),
    "a chunk that ends early": (head(JSON, CHUNKED) + b"fff\r\n" + BODY, {0, 400, 401}),
    "a chunk with a long extension": (head(JSON, CHUNKED) + b"1;" + b"a" * 100_000, {0, 400}),
    "a space before a header's colon": (head(JSON, f"Content-Length : {len(BODY)}") + BODY, {400}),
    "a folded header": (head(JSON, "X-Folded: a\r\n b", LENGTH) + BODY, {400}),
    "a header without a name": (head(JSON, ": nothing", LENGTH) + BODY, {400}),
    "a NUL in a header": (head(JSON, "X-Odd: a\x00b", LENGTH) + BODY, {400}),
    "a bare line feed": (head(JSON, "X-Odd: a\nX-Injected: b", LENGTH) + BODY, {202, 400}),
    "a huge header": (head(JSON, "X-Huge: " + "a" * 20_000, LENGTH) + BODY, {400, 431}),
    "a thousand headers": (
        head(JSON, *(f"X-{n}: a" for n in range(1000)), LENGTH) + BODY,
        {400, 431},
    ),
    "a huge address": (head(JSON, LENGTH, path="/webhooks/" + "a" * 9000) + BODY, {400, 414}),
    "an address with control characters": (
        head(JSON, LENGTH, path="/webhooks/a\x01b") + BODY,
        {400, 404},
    ),
    "another method": (head(JSON, LENGTH, method="BREW") + BODY, {400, 405, 501}),
    "a method of odd letters": (head(JSON, LENGTH, method="P\xd6ST") + BODY, {400, 405}),
    "PUT": (head(JSON, LENGTH, method="PUT") + BODY, {405}),
    "DELETE": (head(JSON, LENGTH, method="DELETE") + BODY, {405}),
    "TRACE": (head(JSON, method="TRACE"), {405}),
    "CONNECT": (head(JSON, method="CONNECT"), {400, 404, 405}),
    "HEAD": (head(JSON, method="HEAD"), {404, 405}),
    "OPTIONS": (head(JSON, method="OPTIONS"), {200, 204, 404, 405}),
    "an old protocol": (b"GET /healthz HTTP/0.9\r\n\r\n", {0, 400, 505}),
    "a newer protocol": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400, 505}),
    "no protocol": (b"hello\r\n\r\n", {0, 400}),
    "only bytes": (bytes(range(256)) * 40, {0, 400, 414}),
    "TLS at a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300, {0, 400}),
    "nothing": (b"", {0}),
    "a compressed body": (head(JSON, LENGTH, "Content-Encoding: gzip") + BODY, {415}),
    "a body packed twice": (head(JSON, LENGTH, "Content-Encoding: gzip, br") + BODY, {415}),
    "parts": (head("Content-Type: multipart/form-data; boundary=x", LENGTH) + BODY, {415}),
    "a form": (head("Content-Type: application/x-www-form-urlencoded", LENGTH) + BODY, {415}),
    "a page": (head("Content-Type: text/html", LENGTH) + BODY, {415}),
    "bytes of no type": (head("Content-Type: application/octet-stream", LENGTH) + BODY, {415}),
    "no signature": (
        b"POST /webhooks/jira-acme HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Content-Length: 2\r\n\r\n{}",
        {401},
    ),
    "two signatures": (head(JSON, "X-Hub-Signature: sha256=" + "0" * 64, LENGTH) + BODY, {401}),
    "too large": (head(JSON, "Content-Length: 2000000") + b" " * 10, {413}),
    "no such endpoint": (head(JSON, LENGTH, path="/webhooks/../etc/passwd") + BODY, {404}),
    "an absolute address": (
        head(JSON, LENGTH, path="http://elsewhere.example/webhooks/nobody") + BODY,
        {404},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_the_rules_is_refused_without_a_5xx(server: Server, case: str) -> None:
    raw, expected = REFUSED[case]
    before = server.stored()
    answer = server.ask(raw)
    assert status(answer) in expected, answer[:300]
    assert not re.search(rb"HTTP/1\.[01] 5\d\d", answer.replace(b"501", b"").replace(b"505", b""))
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) <= 1, "two answers to one request"
    assert server.stored() == before or expected & {202}
    assert b"Traceback" not in answer


def test_what_is_smuggled_behind_a_body_is_no_second_request(server: Server) -> None:
    inner = b"POST /webhooks/jira-acme HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    before = server.stored()
    answer = server.ask(head(JSON, LENGTH, CHUNKED) + b"0\r\n\r\n" + inner)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.stored() == before


def test_who_hangs_up_early_leaves_nothing_half_stored(server: Server) -> None:
    before = server.stored()
    whole = head(JSON, LENGTH.replace(str(len(BODY)), str(len(BODY) + 50))) + BODY
    for length in range(1, len(whole), len(whole) // 25):
        server.open(whole[:length]).close()
    for _ in range(20):
        reset = server.open(whole)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        reset.close()
    assert server.is_well()
    assert server.stored() == before


def test_two_hundred_slow_clients_do_not_stop_the_others(server: Server) -> None:
    """Each sends the head of a request, then now and then a byte: more of them than threads."""
    slow = [server.open(head(JSON, "Content-Length: 1000")) for _ in range(SLOW_CLIENTS)]
    begun = time.monotonic()
    try:
        assert status(server.ask(head(JSON, LENGTH) + BODY, half_close=False)) == 202
        # Of 64 threads each is free after READ_SECONDS, four times over.
        assert time.monotonic() - begun < 4 * (READ_SECONDS + 1) + 10
    finally:
        for connection in slow:
            connection.close()
    assert server.is_well()


def test_no_request_so_far_has_left_a_traceback_in_the_log(server: Server) -> None:
    log = server.log.read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]
    assert SECRET not in log


def test_a_flood_of_bad_signatures_is_one_row(server: Server) -> None:
    unsigned = head(JSON, LENGTH).replace(b"sha256=", b"sha256=0") + BODY
    for _ in range(50):
        assert status(server.ask(unsigned)) == 401
    with server.line.database.read() as connection:
        rows = connection.execute(select(refusal).where(refusal.c.reason == "signature")).all()
    assert len(rows) == 1
    assert rows[0]._mapping["count"] >= 50
