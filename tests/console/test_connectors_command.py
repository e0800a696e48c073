"""`flask connectors`: how the billing systems stand, whether they answer, and connecting them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

import connections
from app import create_app
from connectors.file.connector import FileConnector
from connectors.http import Http, Request
from connectors.oauth import OAuth2
from connectors.registry import BILLING
from connectors.stand_in import InProcess
from connectors.stand_in_identity import (
    API_PATH,
    AUTHORIZE_PATH,
    CLIENT,
    REDIRECTS,
    TOKEN_PATH,
    IdentityStandIn,
)
from console import health
from console.loopback import Listener, is_loopback
from console.signs import notes
from ledger import breakers, tables, tokens
from ledger.errors import PermanentError, TransientError
from ledger.vault import Vault
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

SITE = "https://books.ledgerly.example"
OCTOBER = "acme-2026-10"
TENANTS = {"t-1": "Studio Nord GmbH", "t-2": "Studio\x1b[31m Süd"}


class Ledgerly(FileConnector):
    """An accounting system that a person connects in a browser: files, behind a door."""

    key = "ledgerly"
    oauth = OAuth2(
        SITE + TOKEN_PATH, authorize_url=SITE + AUTHORIZE_PATH, tells={"realmId": "realm"}
    )
    fails: Exception | None = None

    def check(self) -> str:
        if self.fails is not None:
            raise self.fails
        answer = self.http.send(Request("GET", SITE + API_PATH))
        if answer.status != 200:
            raise PermanentError(f"ledgerly: refused ({answer.status})")
        return f"{json.loads(answer.body)['name']} (EUR, test)"

    def accounts(self) -> dict[str, str]:
        self.check()
        return TENANTS

    def create_draft(self, *args: Any, **kwargs: Any) -> Any:
        self.check()
        return super().create_draft(*args, **kwargs)


class Books:
    """An office whose billing system is Ledgerly."""

    def __init__(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        self.office = office
        self.site = IdentityStandIn(office.clock)
        self.browser: Http = InProcess(self.site)
        office.outside._sites = {**office.outside._sites, SITE: self.browser}
        self.runner = create_app(office.line).test_cli_runner()
        self._patch = monkeypatch

    def run(self, *words: str) -> Result:
        """Run `flask connectors`."""
        return self.runner.invoke(args=["connectors", *words])

    def listed(self) -> dict[str, Any]:
        """Return what `list` says of Ledgerly."""
        found = json.loads(self.run("list", "--json").stdout)
        return next(each for each in found if each["name"] == "files")

    def allow(self, address: str) -> str:
        """Open an address as a person does; return where the browser is sent."""
        return self.browser.send(Request("GET", address)).headers["location"]

    def connect(
        self, *words: str, opened: Callable[[str], object] | None = None, pasted: str | None = None
    ) -> Result:
        """Run `flask connectors connect` with a person who does what it asks."""
        begin, came = connections.begin, []

        def begun(*given: Any) -> str:
            address = begin(*given)
            came.append(self.allow(address))
            if opened is not None:
                threading.Thread(target=opened, args=(came[0],)).start()
            return address

        self._patch.setattr(connections, "begin", begun)
        self._patch.setattr(click, "prompt", lambda _: pasted or came[0])
        try:
            return self.run("connect", "files", *words)
        finally:
            self._patch.setattr(connections, "begin", begin)


@pytest.fixture
def books(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setitem(BILLING, "ledgerly", Ledgerly)
    with open_office(tmp_path, sqlite_url) as office:
        office.line.environ = {**office.line.environ, "CLIENT_SECRET": CLIENT[1]}
        office.change("workspace.yaml", "  files: {system: file", "  files: {system: ledgerly")
        client = f'client_id: {CLIENT[0]}, client_secret: "${{CLIENT_SECRET}}"'
        office.change("workspace.yaml", "system: ledgerly", f"system: ledgerly, {client}")
        office.activate()
        yield Books(office, monkeypatch)


def get(address: str, host: str | None = None) -> tuple[int, str]:
    """Ask a listener on this machine, over a real socket."""
    _, _, place, target = address.split("/", 3)
    connection = http.client.HTTPConnection("127.0.0.1", int(place.rsplit(":", 1)[1]), timeout=5)
    connection.request("GET", f"/{target}", headers={"Host": host or place})
    answer = connection.getresponse()
    told = answer.status, answer.read().decode()
    connection.close()
    return told


def test_a_new_connector_is_connected_by_pasting_and_its_drafts_go_at_once(books: Books) -> None:
    office = books.office
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    office.settle()
    assert "`flask connectors connect files`" in office.invoice(OCTOBER)["problem"]
    assert books.listed()["state"] == "not connected"
    assert "`flask connectors connect files`" in books.listed()["todo"]
    books.site.tells = {"realmId": "4620816365"}
    done = books.connect("--paste", "--redirect", REDIRECTS[1])
    assert done.exit_code == 0, done.output
    assert f"{SITE}{AUTHORIZE_PATH}?" in done.output
    assert REDIRECTS[1] in done.output
    assert 'write realm: "4620816365" under files in workspace.yaml' in done.output
    assert '"t-1"  Studio Nord GmbH' in done.output
    assert "\x1b" not in done.output
    assert "-token-" not in done.output
    assert CLIENT[1] not in done.output
    assert books.listed()["state"] == "ready"
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "pushed"


def test_what_the_workspace_says_already_is_confirmed(books: Books) -> None:
    books.office.change("workspace.yaml", "system: ledgerly,", "system: ledgerly, realm: t-1,")
    books.office.activate()
    books.site.tells = {"realmId": "t-1"}
    done = books.connect("--paste")
    assert "realm: t-1 - as in workspace.yaml" in done.output
    assert "t-1: Studio Nord GmbH - as in workspace.yaml" in done.output
    assert "write" not in done.output
    books.site.tells = {"realmId": "t-2"}
    assert 'write realm: "t-2" under files in workspace.yaml' in books.connect("--paste").output


def test_the_browser_comes_back_to_this_machine(books: Books, free_tcp_port: int) -> None:
    heard: list[tuple[int, str]] = []

    def opened(address: str) -> None:
        heard.append(get(address.replace("/callback?", "/favicon.ico?")))
        heard.append(get(address, host="evil.example"))
        heard.append(get(address.replace("state=", "state=x")))
        heard.append(get(address))

    done = books.connect("--port", str(free_tcp_port), opened=opened)
    assert done.exit_code == 0, done.output
    assert f"http://127.0.0.1:{free_tcp_port}/callback" in done.output
    assert [status for status, _ in heard] == [404, 421, 400, 200]
    assert heard[-1][1] == "Billhook is connected. You can close this window.\n"
    assert books.listed()["state"] == "ready"


def test_a_refusal_ends_the_wait_and_is_told(books: Books, free_tcp_port: int) -> None:
    books.site.denies = "access_denied"
    heard: list[tuple[int, str]] = []
    done = books.connect(
        "--port", str(free_tcp_port), opened=lambda address: heard.append(get(address))
    )
    assert done.exit_code == 1
    assert "files: the connection was not allowed there - begin again" in done.output
    assert heard == [(400, "Billhook is not connected. The terminal says why.\n")]
    assert books.listed()["state"] == "not connected"


def test_a_wait_ends_by_itself(books: Books, free_tcp_port: int) -> None:
    listener = Listener(f"http://127.0.0.1:{free_tcp_port}/callback", lambda _: None)
    with listener:
        assert not listener.wait(0)


def test_a_port_that_is_taken_is_told_before_anything_is_asked(
    books: Books, free_tcp_port: int
) -> None:
    with Listener(f"http://127.0.0.1:{free_tcp_port}/", lambda _: None):
        done = books.run("connect", "files", "--port", str(free_tcp_port))
    assert done.exit_code == 1
    assert "cannot be listened on - choose another --port, or --paste" in done.output
    assert books.office.rows(tables.consent) == []


@pytest.mark.parametrize(
    ("address", "loops"),
    [
        ("http://127.0.0.1:1/callback", True),
        ("http://localhost:1/x", True),
        ("https://localhost:1/x", False),
        ("http://127.0.0.1.evil.example/x", False),
        ("https://billhook.agency.example/x", False),
    ],
)
def test_only_this_machine_is_listened_on(address: str, loops: bool) -> None:
    assert is_loopback(address) == loops


def test_what_cannot_be_connected_says_what_to_do_instead(books: Books) -> None:
    told = books.run("connect", "stripe", "--paste")
    assert told.exit_code == 1
    assert "stripe: takes no OAuth 2 - its key stands in workspace.yaml" in told.output
    unknown = books.run("connect", "nobody", "--paste")
    assert "nobody is not in the active workspace.yaml - there are: files, stripe" in unknown.output
    for strange in ("ftp://a.example", "callback", "https://a.example/#x"):
        assert books.run("connect", "files", "--redirect", strange).exit_code == 2


def test_a_connection_that_was_refused_needs_a_person_everywhere(books: Books) -> None:
    line = books.office.line
    books.connect("--paste")
    line.database.write(
        lambda connection: tokens.refused(
            connection, "files", "it is not accepted - do this", version=1, now=line.clock.now()
        )
    )
    found = books.listed()
    assert (found["state"], found["detail"]) == ("reconnect needed", "it is not accepted")
    assert found["todo"] == "connect it with `flask connectors connect files`"
    assert "connector files" in notes(line)
    doctor = json.loads(books.runner.invoke(args=["doctor", "--json"]).output)
    (told,) = [each for each in doctor if each["what"] == "connector files"]
    assert (told["status"], told["todo"]) == ("fail", found["todo"])
    checked = books.run("check", "files")
    assert checked.exit_code == 1
    assert "`flask connectors connect files`" in checked.output
    books.connect("--paste")
    assert books.listed()["state"] == "ready"
    assert "connector files" not in notes(line)


def test_a_token_that_cannot_be_opened_needs_a_person(books: Books) -> None:
    books.connect("--paste")
    books.office.line.vault = Vault("n" * 40)
    assert books.listed()["state"] == "reconnect needed"
    assert "BILLHOOK_SECRET_KEY" in books.listed()["detail"]


def test_what_is_missing_is_named_and_nothing_is_called(books: Books) -> None:
    office = books.office
    office.change("workspace.yaml", ", folder: ", ", other: ")
    office.activate()
    assert books.listed()["state"] == "not connected"
    books.connect("--paste")
    found = books.listed()
    assert (found["state"], found["detail"]) == ("incomplete", "has no folder")
    asked = len(books.site.requests)
    assert books.run("check", "files").exit_code == 1
    assert len(books.site.requests) == asked
    office.line.environ = {**office.line.environ, "CLIENT_SECRET": ""}
    assert "CLIENT_SECRET: is not set" in books.listed()["detail"]


def test_a_check_names_each_account_and_fails_if_one_does_not_answer(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.connect("--paste")
    before = books.office.rows(tables.credential)
    done = books.run("check")
    assert done.exit_code == 0, done.output
    assert "ok    files: answers as Studio Nord (EUR, test)" in done.output
    assert books.office.rows(tables.credential) == before
    monkeypatch.setattr(Ledgerly, "fails", TransientError("ledgerly: cannot connect"))
    done = books.run("check", "--json")
    assert done.exit_code == 1
    files, stripe = json.loads(done.stdout)
    assert (files["is_ok"], files["problem"]) == (False, "ledgerly: cannot connect")
    assert stripe["is_ok"]
    assert books.run("check", "stripe").exit_code == 0
    assert books.run("check", "nobody").exit_code == 1


def test_a_rest_is_seen_everywhere_and_ended_by_a_check_that_succeeds(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = books.office
    books.connect("--paste")
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    now = office.clock.now()
    office.line.database.write(
        lambda connection: breakers.limited(
            connection, "files", "ledgerly: too many requests", now + timedelta(hours=2), now
        )
    )
    office.settle()
    told = "files rests until 2026-11-22 11:00:00 UTC: ledgerly: too many requests"
    assert office.invoice(OCTOBER)["attempts"] == 0
    found = books.listed()
    assert (found["state"], found["detail"]) == ("resting", told)
    assert notes(office.line)["connector files"] == told
    shown = books.runner.invoke(args=["invoices", "show", OCTOBER, "--json"])
    assert json.loads(shown.stdout)["problem"] == told
    doctor = json.loads(books.runner.invoke(args=["doctor", "--json"]).output)
    (finding,) = [each for each in doctor if each["what"] == "connector files"]
    assert (finding["status"], finding["detail"]) == ("warn", told)
    numbers = {
        sample.name: sample.value
        for metric in health.Numbers(office.line).collect()
        for sample in metric.samples
        if sample.labels == {"connector": "files"}
    }
    assert numbers == {
        "billhook_connector_rest_seconds": 7200,
        "billhook_connector_failures": 0,
    }
    monkeypatch.setattr(Ledgerly, "fails", TransientError("ledgerly: cannot connect"))
    assert books.run("check", "files").exit_code == 1
    assert books.listed()["state"] == "resting"
    monkeypatch.setattr(Ledgerly, "fails", None)
    assert "it rests no longer" in books.run("check", "files").output
    assert books.listed()["state"] == "ready"
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "pushed"
    assert "rests no longer" not in books.run("check", "files").output


def test_the_list_says_how_far_each_is_proven_and_calls_nobody(books: Books) -> None:
    done = books.run("list")
    assert done.exit_code == 0
    assert "stripe: stripe, ready" in done.output
    found = {each["name"]: each for each in json.loads(books.run("list", "--json").stdout)}
    assert "stripe package" in found["stripe"]["proven"]
    assert "|" not in found["stripe"]["proven"]
    assert books.site.requests == []
