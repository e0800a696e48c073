"""Every route of the application, walked: who gets in, what a GET changes, what an answer carries.

A month of an office whose every text was written by somebody who means harm stands behind them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import create_app
from console.views import COOKIE, POLICY
from ledger import tables
from ledger.access import create_token, sign_link
from ledger.database import upgrade
from ledger.tables import metadata
from tests.journeys.house import issue, worklog
from tests.journeys.office import OLD_SECRET, PATH_TOKEN, SECRET, STRIPE_KEY, Office, open_office

POLYGLOTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "';alert(1)//\\';alert(1)//--></SCRIPT>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "</title><iframe srcdoc='<b>'>",
    '=HYPERLINK("http://evil.example","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u202e\u2066evil\x1b[2J",
)
CANARY = "canary-7f3a9c1e5b2d"
"""Stands in every text that a tool writes; it must be in no log line."""
CHANGING = {"/signin", "/signout"}


class House:
    """The office, its whole application, and a browser that is signed in."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.app: Flask = create_app(office.line)
        self.browser: FlaskClient = self.app.test_client()
        self.link = sign_link(office.line.settings.secret_key, office.clock.now())
        assert self.browser.post("/signin", data={"link": self.link}).status_code == 303

        def make(connection: Any) -> str:
            return create_token(connection, "mia", "approver", actor="test", now=office.clock.now())

        self.token = office.line.database.write(make)
        self.bearer = {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> Any:
        with self.browser.get(path, headers=self.bearer) as answer:
            answer.get_data()
            return answer

    def paths(self) -> list[str]:
        """Return every address that can be asked by GET, with an invoice that there is."""
        reference = next(iter(self.office.invoices()))
        told = {"reference": reference, "name": "jira", "filename": "console.css", "tail": "x"}
        found = []
        for rule in self.app.url_map.iter_rules():
            if "GET" in (rule.methods or ()):
                with self.app.test_request_context():
                    _, path = rule.build({name: told[name] for name in rule.arguments}) or ("", "")
                found.append(path)
        return sorted(found)

    def everything(self) -> list[Any]:
        """Return all rows, without when a token was last used and a process was last heard of."""
        with self.office.line.database.read() as connection:
            return [
                []
                if table.name == "heartbeat"
                else connection.execute(
                    select(*(column for column in table.c if column.name != "last_used_at"))
                ).all()
                for table in metadata.sorted_tables
            ]


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    url = f"sqlite:///{folder / 'billhook.sqlite3'}"
    (folder / "billhook.sqlite3").write_bytes(sqlite_template.read_bytes())
    with open_office(folder, url) as office:
        for customer in ("acme", "beta"):
            office.change(f"{customer}.yaml", "terms: net 30", "terms: net 30\ntimesheet: yes")
        office.activate()
        for number, text in enumerate(POLYGLOTS, start=1):
            told = issue(number, title=f"{text} {CANARY}")
            told["issue"]["fields"]["labels"] = [text, CANARY]
            told["issue"]["key"] = f"ACME-{number}"
            entry = worklog(number, seconds=3600, issue_id=number)
            entry["worklog"]["comment"] = f"{text} {CANARY}"
            entry["worklog"]["author"]["displayName"] = f"{text} {CANARY}"
            office.tell(told, entry)
            stray = worklog(100 + number, seconds=60, issue_id=number, account=f"{text} {CANARY}")
            office.tell(stray)
        office.post({"webhookEvent": f"{POLYGLOTS[0]} {CANARY}"})
        office.client.post("/webhooks/jira", data=b"{}", headers={"X-Hub-Signature": "sha256=0"})
        office.settle()
        yield House(office)


def test_every_get_answers_and_changes_nothing(house: House) -> None:
    before = house.everything()
    for path in house.paths():
        answer = house.get(path)
        assert answer.status_code < 500, path
    assert house.everything() == before


def test_nothing_that_a_stranger_wrote_becomes_markup(house: House) -> None:
    seen = 0
    for path in house.paths():
        answer = house.get(path)
        if answer.mimetype != "text/html":
            continue
        page = answer.text
        seen += CANARY in page
        assert not re.search(r"<(script|img|svg|iframe|style)\b|\son\w+\s*=[^&]*>", page), path
        assert not re.search(r"(?:href|src|action)\s*=\s*[\"']?\s*javascript:", page), path
        assert "7*7" in page or "49" not in re.findall(r"\b49\b", page), path
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page), path
    assert seen >= 2, "the texts are on the overview and on the invoice"


def test_every_answer_carries_what_keeps_it_in_its_place(house: House) -> None:
    for path in [*house.paths(), "/nowhere", "/api/v1/nowhere", "/invoices/nobody"]:
        answer = house.get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        if answer.mimetype == "text/html" and path != "/nowhere":
            assert {name: answer.headers.get(name) for name in POLICY} == POLICY, path
        if path.startswith(("/api", "/invoices", "/readyz", "/metrics")) or path == "/":
            assert answer.headers.get("Cache-Control") == "no-store", path


def test_without_a_session_or_a_token_nothing_of_the_ledger_is_told(house: House) -> None:
    stranger = house.app.test_client()
    for path in house.paths():
        with stranger.get(path) as answer:
            told = answer.get_data(as_text=True)
            assert CANARY not in told, path
            assert "acme" not in told.lower() or path == "/api/v1/openapi.json", path


def test_every_change_needs_a_proof_of_its_own(house: House) -> None:
    """By cookie alone nothing can be changed but signing in and out; the API knows no cookie."""
    before = house.everything()
    reference = next(iter(house.office.invoices()))
    for rule in house.app.url_map.iter_rules():
        for method in sorted({"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set())):
            path = rule.rule.replace("<reference>", reference).replace("<name>", "jira")
            answer = house.browser.open(
                path.replace("<tail>", "x"),
                method=method,
                data=b"{}",
                content_type="application/json",
                headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
            )
            assert answer.status_code in (401, 403, 404), f"{method} {path}"
    # The refusals of unsigned deliveries are counted, which is all that may have changed.
    after = house.everything()
    counted = [table.name for table in metadata.sorted_tables].index("refusal")
    assert before[:counted] + before[counted + 1 :] == after[:counted] + after[counted + 1 :]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", sorted(CHANGING))
def test_another_site_can_sign_nobody_in_or_out(house: House, path: str, site: str) -> None:
    link = sign_link(house.office.line.settings.secret_key, house.office.clock.now())
    answer = house.app.test_client().post(
        path, data={"link": link}, headers={"Sec-Fetch-Site": site}
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_a_session_that_somebody_planted_is_not_the_one_that_begins(house: House) -> None:
    victim = house.app.test_client()
    victim.set_cookie(COOKIE, "planted")
    link = sign_link(house.office.line.settings.secret_key, house.office.clock.now())
    answer = victim.post("/signin", data={"link": link}, headers={"Sec-Fetch-Site": "same-origin"})
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{COOKIE}=ey")
    assert (
        house.app.test_client().get("/", headers={"Cookie": f"{COOKIE}=planted"}).status_code == 401
    )


def test_no_cell_that_is_given_out_is_a_formula(house: House) -> None:
    reference = next(iter(house.office.invoices()))
    answer = house.get(f"/invoices/{reference}/timesheet.csv")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert any("HYPERLINK" in cell for row in rows for cell in row)
    numbers = re.compile(r"-?\d+(\.\d+)?")
    wrong = [
        cell
        for row in rows
        for cell in row
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not numbers.fullmatch(cell)
    ]
    assert wrong == []


def test_no_secret_comes_out_of_any_door(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Secrets of the settings, on every page, in every answer and in every command's output."""
    runner = house.app.test_cli_runner()
    told = {path: house.get(path).get_data(as_text=True) for path in house.paths()}
    for words in (["doctor"], ["sources", "list"], ["events", "list"], ["invoices", "list"]):
        told[" ".join(words)] = str(runner.invoke(args=words).output)
        told[" ".join(words) + " --json"] = str(runner.invoke(args=[*words, "--json"]).output)
    logged = capfd.readouterr()
    told["log"] = logged.out + logged.err
    secrets = {
        *(SECRET, OLD_SECRET, PATH_TOKEN, STRIPE_KEY, house.token),
        house.office.line.settings.secret_key,
        *(value for name, value in house.office.line.environ.items() if name.endswith("_TOKEN")),
    }
    leaks = [where for where, text in told.items() for secret in secrets if secret in text]
    assert leaks == []


def test_what_tools_write_is_in_no_log_line(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    office = house.office
    office.post({"webhookEvent": CANARY, "worklog": {"comment": CANARY}})
    office.post({"webhookEvent": "worklog_created", "worklog": {"id": CANARY}})
    office.client.post(f"/webhooks/{CANARY}", data=CANARY.encode())
    office.client.post("/webhooks/jira", data=CANARY.encode(), headers={"X-Hub-Signature": CANARY})
    office.tell(worklog(500, seconds=60, account=f"{CANARY}\n", issue_id=1))
    logged = capfd.readouterr()
    assert CANARY not in logged.out + logged.err


def test_the_ledger_keeps_no_secret_of_the_settings(house: House) -> None:
    secrets = (SECRET, OLD_SECRET, PATH_TOKEN, STRIPE_KEY, house.token, house.link)
    for table, rows in zip(metadata.sorted_tables, house.everything(), strict=True):
        text = json.dumps([list(row) for row in rows], default=repr)
        assert not [secret for secret in secrets if secret in text], table.name


def test_an_sqlite_ledger_is_for_its_owner_alone(house: House, tmp_path: Path) -> None:
    path = tmp_path / "new" / "billhook.sqlite3"
    upgrade(f"sqlite:///{path}")
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in path.parent.iterdir()}
    assert set(modes.values()) == {"0o600"}, modes
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def test_whom_to_tell_about_a_weakness_is_said_if_somebody_is_named(house: House) -> None:
    assert house.get("/.well-known/security.txt").status_code == 404
    line = house.office.line
    named = {**line.environ, "BILLHOOK_SECURITY_CONTACT": "mailto:security@agency.example"}
    line.settings, kept = type(line.settings).from_env(named), line.settings
    answer = house.app.test_client().get("/.well-known/security.txt")
    line.settings = kept
    assert answer.mimetype == "text/plain"
    assert answer.text.startswith("Contact: mailto:security@agency.example\nExpires: 2027-")


def test_refusals_are_kept_apart_by_nothing_that_a_stranger_chooses(house: House) -> None:
    for number in range(30):
        house.office.client.post(f"/webhooks/nobody-{number}", data=b"{}")
        house.office.client.post(
            "/webhooks/jira", data=b"{}", headers={"X-Hub-Signature": f"sha256={number}"}
        )
    rows = house.office.rows(tables.refusal)
    assert {(row["endpoint"], row["reason"]) for row in rows} <= {("jira", "signature")}
