"""A billing system that renews its tokens: drafts wait while it is cut off, then go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import worker
from app import create_app
from connectors.file.connector import FileConnector
from connectors.http import Request, Response
from connectors.oauth import OAuth2
from connectors.registry import BILLING
from connectors.stand_in import InProcess
from connectors.stand_in_identity import API_PATH, CLIENT, TOKEN_PATH, IdentityStandIn
from ledger.errors import PermanentError
from ledger.tokens import LEASE_SECONDS
from ledger.vault import Vault
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

SITE = "https://books.ledgerly.example"
DRAFT = "acme-EUR-monthly-2026-10"


class Ledgerly(FileConnector):
    """An accounting system with tokens that end: files, behind a door."""

    key = "ledgerly"
    oauth = OAuth2(SITE + TOKEN_PATH)

    def check(self) -> str:
        answer = self.http.send(Request("GET", SITE + API_PATH))
        if answer.status != 200:
            raise PermanentError(f"ledgerly: refused ({answer.status})")
        return str(json.loads(answer.body)["name"])

    def create_draft(self, *args: Any, **kwargs: Any) -> Any:
        self.check()
        return super().create_draft(*args, **kwargs)


class Books:
    """An office whose billing system is Ledgerly, with one draft approved."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.site = IdentityStandIn(office.clock)
        self.runner = create_app(office.line).test_cli_runner()
        inside = InProcess(self.site)
        self.http = inside
        office.outside._sites = {**office.outside._sites, SITE: self}

    def send(self, request: Request) -> Response:
        return self.http.send(request)

    def run(self, *words: str, typed: str = "") -> str:
        done = self.runner.invoke(args=["secrets", *words], input=typed)
        assert done.exit_code == 0, done.output
        return str(done.output)


@pytest.fixture
def books(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setitem(BILLING, "ledgerly", Ledgerly)
    with open_office(tmp_path, sqlite_url) as office:
        office.line.environ = {**office.line.environ, "CLIENT_SECRET": CLIENT[1]}
        office.change("workspace.yaml", "  files: {system: file", "  files: {system: ledgerly")
        client = f'client_id: {CLIENT[0]}, client_secret: "${{CLIENT_SECRET}}"'
        office.change("workspace.yaml", "system: ledgerly", f"system: ledgerly, {client}")
        office.activate()
        office.tell(issue(7), worklog(1, seconds=3600))
        yield Books(office)


def test_a_draft_waits_until_the_connection_is_made_and_is_then_pushed_once(books: Books) -> None:
    office = books.office
    (draft,) = office.invoices()
    office.approve(draft)
    office.settle()
    told = office.invoice(draft)["problem"]
    assert told == "files: is not connected yet - connect it again with `flask secrets store files`"
    assert "files is connected" in books.run("store", "files", typed=books.site.consent() + "\n")
    office.clock.go_on(900)
    office.settle()
    assert office.invoice(draft)["state"] == "pushed"
    (listed,) = json.loads(books.run("list", "--json"))
    assert (listed["name"], listed["version"], listed["needs_reauth"]) == ("files", 2, None)
    assert "token-0" not in json.dumps(listed)


def test_a_renewal_that_was_cut_off_stops_drafts_in_plain_sight_until_a_person_acts(
    books: Books,
) -> None:
    office = books.office
    books.run("store", "files", typed=books.site.consent())
    (draft,) = office.invoices()
    office.approve(draft)

    class Crash(BaseException):
        pass

    def crash(request: Request) -> None:
        if request.url.endswith(TOKEN_PATH):
            raise Crash

    office.outside.after = crash
    with pytest.raises(Crash):
        worker.work_off(office.line)
    office.outside.after = lambda request: None
    for _ in range(3):
        office.clock.go_on(LEASE_SECONDS + 1)
        office.settle()
    row = office.invoice(draft)
    assert row["state"] == "approved"
    assert "was cut off, and its answer is lost" in row["problem"]
    asked = len(books.site.requests)
    office.clock.go_on(900)
    office.settle()
    assert len(books.site.requests) == asked
    doctor = books.runner.invoke(args=["doctor", "--json"])
    found = {each["what"]: each for each in json.loads(doctor.output)}
    assert found["token files"]["status"] == "fail"
    books.run("store", "files", typed=books.site.consent())
    office.clock.go_on(900)
    office.settle()
    assert office.invoice(draft)["state"] == "pushed"
    assert [each["reason"] for each in office.log("credential.refused")] == [
        row["problem"].removeprefix("files: ")
    ]


def test_a_new_secret_key_takes_over_without_connecting_again(books: Books) -> None:
    line = books.office.line
    books.run("store", "files", typed=books.site.consent())
    line.vault = Vault("n" * 40, (line.settings.secret_key,))
    assert "an older key" in books.run("list")
    assert "1 sealed with the present key" in books.run("rotate")
    line.vault = Vault("n" * 40)
    assert "the present key" in books.run("list")
    assert line.billing("files").check() == "Studio Nord"


@pytest.mark.parametrize("name", ["stripe", "nobody", "Files"])
def test_a_token_is_stored_only_for_a_connector_that_renews_it(books: Books, name: str) -> None:
    done = books.runner.invoke(args=["secrets", "store", name], input="refresh-token-1")
    assert done.exit_code == 1
    assert f"{name} is no connector that renews a token - there are: files" in done.output


@pytest.mark.parametrize("typed", ["", "\n", "two words\n", "tok\x07en\n", "tokén\n"])
def test_what_is_no_token_is_not_stored(books: Books, typed: str) -> None:
    done = books.runner.invoke(args=["secrets", "store", "files"], input=typed)
    assert done.exit_code == 1
    assert json.loads(books.run("list", "--json")) == []
