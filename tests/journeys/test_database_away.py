"""A database that is away, locked, full or read-only: 503, never a false 2xx, then it goes on."""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

import worker
from app import create_app, create_web
from console.views import COOKIE
from ledger import database as databases
from ledger import tables
from ledger.access import create_token, sign_session
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.claims import LEASE_SECONDS
from ledger.database import Database, upgrade
from ledger.events import Delivery
from ledger.inbox import Inbox
from tests.databases import copy_sqlite
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office
from tests.journeys.test_processes import until
from tests.services import Service, ServiceUnavailableError

OCTOBER = "acme-2026-10"
QUICKLY = 4.0
"""Seconds: a tool gives up after ten, and a connection that cannot be made after three."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody: what is tested is what happens after the wait."""
    monkeypatch.setattr("ledger.inbox.WAIT_SECONDS", 2)


@pytest.fixture
def web(office: Office) -> FlaskClient:
    """Give a client of the whole web process of an office."""
    return web_of(office)


def web_of(office: Office) -> FlaskClient:
    if office.line.database.is_sqlite:
        with mock.patch.object(databases, "REQUEST_SECONDS", 0):
            office.line.database.answer_quickly()
    return create_app(office.line).test_client()


def post(office: Office, web: FlaskClient, body: Any, number: str = "1") -> Any:
    raw = json.dumps(body).encode()
    return web.post("/webhooks/jira", data=raw, headers=office.signed(raw, "jira", number))


def answers_503(office: Office, web: FlaskClient) -> None:
    """Everything that needs the database says 503 and when to come again; nothing is accepted."""
    before = time.monotonic()
    told = post(office, web, issue(7), "refused")
    assert (told.status_code, told.headers.get("Retry-After")) == (503, "5")
    ready = web.get("/readyz")
    assert (ready.status_code, ready.headers.get("Retry-After")) == (503, "5")
    assert ready.json is not None
    assert {ready.json["database"], ready.json["inbox"]} != {"ok"}
    assert web.get("/healthz").status_code == 200
    assert time.monotonic() - before < 2 * QUICKLY


def goes_on(office: Office, web: FlaskClient) -> None:
    """What is sent again is accepted and billed, and every promise is kept."""
    for number, body in enumerate([issue(7), worklog(1, seconds=3600)]):
        assert post(office, web, body, f"again-{number}").status_code == 202
    assert web.get("/readyz").status_code == 200
    office.settle()
    assert office.invoices()[OCTOBER] == ("draft", 12000)
    promises_are_kept(office)


def promises_are_kept(office: Office) -> None:
    office.line.database.write(seal)
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now()) == []


@contextmanager
def sqlite_office(folder: Path, url: str) -> Iterator[Office]:
    with open_office(folder, url) as office:
        yield office


def path_of(office: Office) -> str:
    return str(office.line.database.engine.url.database)


def test_a_file_that_another_process_has_locked_is_waited_for_and_then_503(
    tmp_path: Path, sqlite_url: str
) -> None:
    with sqlite_office(tmp_path, sqlite_url) as office:
        web = web_of(office)
        with closing(sqlite3.connect(path_of(office), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers_503(office, web)
            with pytest.raises(OperationalError):
                office.line.database.write(seal)
            other.execute("ROLLBACK")
        goes_on(office, web)


def test_a_full_disk_accepts_nothing_that_it_does_not_keep(tmp_path: Path, sqlite_url: str) -> None:
    with sqlite_office(tmp_path, sqlite_url) as office:
        web = web_of(office)
        with limited(office, more_pages=8):
            accepted = fill_up(office, web)
            answers_503(office, web)
            assert len(office.rows(tables.delivery)) == accepted > 0
        goes_on(office, web)


@contextmanager
def limited(office: Office, *, more_pages: int) -> Iterator[None]:
    """Let a database grow by a few pages only, as on a disk that is nearly full."""
    with office.line.database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + more_pages

    def limit(opened: Any, _entry: object) -> None:
        opened.execute(f"PRAGMA max_page_count={pages}")

    event.listen(office.line.database.engine, "connect", limit)
    office.line.database.close()
    yield
    event.remove(office.line.database.engine, "connect", limit)
    office.line.database.close()


def fill_up(office: Office, web: FlaskClient) -> int:
    """Post large deliveries until one is refused; return how many were accepted."""
    for number in range(500):
        body = issue(100 + number, title="x" * 3000)
        answer = post(office, web, body, f"large-{number}")
        if answer.status_code != 202:
            assert answer.status_code == 503
            return number
    pytest.fail("it never became full")


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk"
)
def test_a_disk_that_is_really_full_goes_on_when_there_is_room(
    tmp_path: Path, sqlite_template: Path
) -> None:
    problem = in_own_mounts(lambda: fill_a_real_disk(tmp_path / "disk", sqlite_template))
    assert problem == "", problem


def fill_a_real_disk(disk: Path, template: Path) -> None:
    disk.mkdir()
    options = b"size=8m"
    assert ctypes.CDLL(None).mount(b"none", str(disk).encode(), b"tmpfs", 0, options) == 0
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 6_000_000)
    url = copy_sqlite(template, disk / "billhook.sqlite3")
    with sqlite_office(disk, url) as office:
        web = web_of(office)
        accepted = fill_up(office, web)
        told = post(office, web, issue(7), "refused")
        assert (told.status_code, told.headers["Retry-After"]) == (503, "5")
        with pytest.raises(OperationalError):
            office.settle()
        # The worker has counted nothing against the rows that it had at hand.
        ballast.unlink()
        assert len(office.rows(tables.delivery)) == accepted > 0
        goes_on(office, web)
        assert {row["state"] for row in office.rows(tables.delivery)} == {"ignored", "normalized"}


def in_own_mounts(work: Callable[[], None]) -> str:
    """Do something in a process that may mount; return what went wrong there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = ""
        try:
            new_mounts, private, recursive = 0x20000, 1 << 18, 0x4000
            libc = ctypes.CDLL(None)
            if libc.unshare(new_mounts) or libc.mount(
                b"none", b"/", None, private | recursive, None
            ):
                told = "skip"
            else:
                work()
        except BaseException:
            told = traceback.format_exc()
        os.write(writing, told.encode()[-60_000:])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    if told == "skip":
        pytest.skip("this machine lets nobody mount")
    return told


def test_a_file_that_may_only_be_read_accepts_nothing(tmp_path: Path, sqlite_url: str) -> None:
    def only_read(opened: Any, _entry: object) -> None:
        opened.execute("PRAGMA query_only=ON")

    with sqlite_office(tmp_path, sqlite_url) as office:
        web, engine = web_of(office), office.line.database.engine
        event.listen(engine, "connect", only_read)
        office.line.database.close()
        answers_503(office, web)
        event.remove(engine, "connect", only_read)
        office.line.database.close()
        goes_on(office, web)


def test_the_api_and_the_pages_say_when_to_come_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = web_of(office)
    now = office.clock.now()
    token = office.line.database.write(
        lambda connection: create_token(connection, "mia", "approver", actor="mia", now=now)
    )

    def away(*_: object, **__: object) -> Any:
        raise OperationalError("select", {}, Exception("the server has closed the connection"))

    web.set_cookie(COOKIE, sign_session(office.line.settings.secret_key, now))
    bearer = {"Authorization": f"Bearer {token}"}
    monkeypatch.setattr(office.line.database, "read", away)
    for path, headers in (
        ("/api/v1/held", bearer),
        ("/metrics", bearer),
        ("/", {}),
        (f"/invoices/{OCTOBER}", {}),
    ):
        answer = web.get(path, headers=headers)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), path
        assert "closed" not in answer.text


def test_a_setting_that_sqlite_passes_over_is_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing where it cannot do it: then a commit might not be on the disk."""
    monkeypatch.setattr(databases, "_PRAGMAS", {"synchronous": 2, "page_size": 3})
    with pytest.raises(OperationalError, match="PRAGMA page_size is 4096, and has to be 3"):
        Database(sqlite_url).engine.connect()


def test_every_connection_has_the_settings_that_keep_promises(office: Office) -> None:
    with office.line.database.read() as connection:
        if office.line.database.is_sqlite:
            wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
        else:
            wanted = {"statement_timeout": "5min", "lock_timeout": "10s", "timezone": "UTC"}
            wanted["idle_in_transaction_session_timeout"] = "1min"
            wanted["synchronous_commit"] = "on"
            found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in wanted}
    assert found == wanted


def test_one_delivery_that_cannot_be_stored_fails_alone(office: Office) -> None:
    """Deliveries share a commit: whatever is wrong with one, the others are accepted."""
    database = office.line.database
    inbox = Inbox(database, office.clock)
    has_begun, may_go_on = threading.Event(), threading.Event()

    def slowly(commit: Any) -> None:
        has_begun.set()
        assert may_go_on.wait(10)
        commit()

    def accept(number: int) -> bool:
        # What the receiver never does: a moment without a time zone cannot be stored.
        now = office.clock.now()
        moment = now.replace(tzinfo=None) if number == 3 else now
        delivery = Delivery({}, f"{number}".encode(), moment, "jira")
        return inbox.accept(delivery, source="jira", delivery_id=str(number))

    database.commit = slowly  # type: ignore[method-assign]
    with ThreadPoolExecutor(8) as pool:
        asked = {0: pool.submit(accept, 0)}
        assert has_begun.wait(10)
        asked |= {number: pool.submit(accept, number) for number in range(1, 8)}
        until(lambda: inbox._queue.qsize() == 7, "the others wait together")
        may_go_on.set()
        failed = [number for number, each in asked.items() if each.exception() is not None]
    assert failed == [3]
    assert sorted(row["body"] for row in office.rows(tables.delivery)) == [
        str(number).encode() for number in range(8) if number != 3
    ]


@pytest.mark.parametrize("text", ["a\x00b", "\udc80", "x" * 300 + "\x00"])
def test_an_id_that_no_database_can_hold_is_kept_in_other_words(office: Office, text: str) -> None:
    inbox = Inbox(office.line.database, office.clock)
    delivery = Delivery({"x-title": text}, b"{}", office.clock.now(), "jira")
    assert inbox.accept(delivery, source="jira", delivery_id=text) is True
    assert inbox.accept(delivery, source="jira", delivery_id=text) is False
    office.settle()
    (row,) = office.rows(tables.delivery)
    assert row["state"] == "unreadable"


def test_a_web_process_starts_without_its_database_and_accepts_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    away = "postgresql://nobody@127.0.0.1:9/nothing"
    for name, value in {**office.line.environ, "DATABASE_URL": away}.items():
        monkeypatch.setenv(name, value)
    answers_503(office, create_web().test_client())


@pytest.fixture
def postgres_of_its_own(service_directory: Path) -> Iterator[Service]:
    """Give a PostgreSQL that the test may stop and start again; it keeps what it commits."""
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=service_directory))
    server = Service("postgres", directory, durable=True)
    try:
        server.start()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.mark.postgres
def test_a_postgresql_that_is_restarted_under_load_loses_nothing(
    postgres_of_its_own: Service, tmp_path: Path
) -> None:
    server = postgres_of_its_own
    upgrade(server.url)
    with open_office(tmp_path, server.url) as office:
        web = web_of(office)
        stop, slowest = threading.Event(), [0.0]
        accepted: list[int] = []
        seen: set[int] = set()

        def load(share: int) -> None:
            client = create_app(office.line).test_client()
            number = share
            while not stop.is_set():
                begun = time.monotonic()
                answer = post(office, client, worklog(number, seconds=60), f"load-{number}")
                slowest[0] = max(slowest[0], time.monotonic() - begun)
                seen.add(answer.status_code)
                if answer.status_code == 202:
                    accepted.append(number)
                    number += 4

        threads = [threading.Thread(target=load, args=(share,)) for share in range(1, 5)]
        working = threading.Thread(target=worker.loop, args=(office.line, stop))
        for thread in (*threads, working):
            thread.start()
        until(lambda: len(accepted) > 20, "deliveries are taken")
        server.stop()
        until(lambda: 503 in seen, "they are told to come again")
        assert web.get("/readyz").status_code == 503
        taken = len(accepted)
        server.start()
        until(lambda: len(accepted) > taken + 20, "deliveries are taken again")
        taken = accepted[-1]
        until(lambda: is_read(office, taken), "the worker goes on")
        stop.set()
        for thread in (*threads, working):
            thread.join()
        assert seen == {202, 503}
        assert slowest[0] < 2 * QUICKLY
        stored = {row["delivery_id"] for row in office.rows(tables.delivery)}
        assert {f"load-{number}" for number in accepted} <= stored
        office.settle()
        promises_are_kept(office)


def is_read(office: Office, number: int) -> bool:
    """Return whether a delivery has been read; what was at hand in the outage is due by now."""
    office.clock.go_on(LEASE_SECONDS + 1)
    rows = office.rows(tables.delivery)
    return any(
        row["delivery_id"] == f"load-{number}" and row["state"] == "normalized" for row in rows
    )
