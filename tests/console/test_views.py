"""The pages: nobody looks without a link, nothing of a stranger is obeyed, everything is shown."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from console.views import COOKIE, POLICY
from ledger import access, tables
from tests.console.conftest import SECRET_KEY, RecordingDoorbell, console_of
from tests.ledger.seed import NOW, SmallFirm, logged


def _link(firm: SmallFirm) -> dict[str, str]:
    return {"link": access.sign_link(SECRET_KEY, firm.now)}


@pytest.fixture
def signed_in(client: FlaskClient, firm: SmallFirm) -> FlaskClient:
    assert client.post("/signin", data=_link(firm)).status_code == 303
    return client


def test_the_overview_is_only_for_people_who_are_signed_in(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 401
    assert "flask signin-link" in answer.text
    assert "acme" not in answer.text


def test_a_link_lets_one_person_in_once(client: FlaskClient, firm: SmallFirm) -> None:
    link = _link(firm)
    answer = client.post("/signin", data=link)
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/").status_code == 200
    again = client.post("/signin", data=link)
    assert again.status_code == 401
    assert "used already" in again.text


def test_a_preview_of_the_link_does_not_use_it_up(client: FlaskClient, firm: SmallFirm) -> None:
    link = _link(firm)
    for _ in range(2):
        answer = client.get("/signin", query_string=link)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert link["link"] in answer.text
    assert client.post("/signin", data=link).status_code == 303


def test_a_link_is_too_old_after_15_minutes(client: FlaskClient, firm: SmallFirm) -> None:
    link = _link(firm)
    firm.clock.moment = NOW + timedelta(minutes=15)
    for answer in (client.get("/signin", query_string=link), client.post("/signin", data=link)):
        assert answer.status_code == 401
        assert "too old" in answer.text


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "\x00", "e30.e30."])
def test_a_forged_link_lets_nobody_in(client: FlaskClient, forged: str) -> None:
    assert client.get("/signin", query_string={"link": forged}).status_code == 401
    assert client.post("/signin", data={"link": forged}).status_code == 401


def test_a_link_of_another_installation_lets_nobody_in(
    client: FlaskClient, firm: SmallFirm
) -> None:
    link = access.sign_link("another-key-altogether-" * 3, firm.now)
    assert client.post("/signin", data={"link": link}).status_code == 401


def test_a_link_is_no_session_and_a_session_is_no_link(
    client: FlaskClient, firm: SmallFirm
) -> None:
    client.set_cookie(COOKIE, access.sign_link(SECRET_KEY, firm.now))
    assert client.get("/").status_code == 401
    session = access.sign_session(SECRET_KEY, firm.now)
    assert client.post("/signin", data={"link": session}).status_code == 401


def test_a_session_ends_after_12_hours(signed_in: FlaskClient, firm: SmallFirm) -> None:
    firm.clock.moment = NOW + timedelta(hours=12, seconds=-1)
    assert signed_in.get("/").status_code == 200
    firm.clock.moment = NOW + timedelta(hours=12)
    assert signed_in.get("/").status_code == 401


def test_signing_out_ends_the_session(signed_in: FlaskClient) -> None:
    assert signed_in.post("/signout").status_code == 303
    assert signed_in.get("/").status_code == 401


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_kept_from_scripts_other_sites_and_open_lines(
    client: FlaskClient, firm: SmallFirm, scheme: str
) -> None:
    answer = client.post("/signin", data=_link(firm), base_url=f"{scheme}://billing.example")
    attributes = set(answer.headers["Set-Cookie"].split("; "))
    assert {"HttpOnly", "SameSite=Lax", "Max-Age=43200", "Path=/"} <= attributes
    assert ("Secure" in attributes) == (scheme == "https")


@pytest.mark.parametrize("path", ["/", "/signin", "/console/console.css"])
def test_every_page_has_the_strict_policy(signed_in: FlaskClient, path: str) -> None:
    with signed_in.get(path) as answer:
        headers = answer.headers
    assert {name: headers[name] for name in POLICY} == POLICY
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_pages_keep_their_own_policy(signed_in: FlaskClient, firm: SmallFirm) -> None:
    for page in (signed_in.get("/"), signed_in.get("/signin", query_string=_link(firm))):
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page.text)
        assert set(re.findall(r'(?:src|href|action)="(\w+):', page.text)) == set()


def test_the_overview_shows_the_line_and_the_money(signed_in: FlaskClient) -> None:
    page = signed_in.get("/").text
    stages = re.findall(r'<span class="stage">([^<]+)</span>', page)
    assert stages == [
        *("receive", "verify", "normalize", "map", "assemble", "approve", "push", "sync back")
    ]
    assert "4891.11 EUR" in page
    assert "240 JPY" in page
    assert "partially paid" in page
    assert "no customer takes project WHO" in page
    assert "1 held" in page


def test_the_overview_shows_what_waits_and_for_how_long(
    signed_in: FlaskClient, firm: SmallFirm
) -> None:
    firm.deliver(logged("worklog:20", 60))
    firm.deliver(logged("worklog:21", 60))
    firm.clock.moment = NOW + timedelta(minutes=3)
    page = signed_in.get("/").text
    box = re.search(r'<span class="stage">normalize</span>(.*?)</li>', page, re.DOTALL)
    assert box is not None
    assert re.search(r'class="count">2<', box[1])
    assert "oldest 3 min" in box[1]


def test_what_a_stranger_wrote_is_shown_and_not_obeyed(
    signed_in: FlaskClient, firm: SmallFirm
) -> None:
    evil = "<script>alert(1)</script>\u202e" + "x" * 5000
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.subject).values(state="held", reason=evil)
        )
    )
    page = signed_in.get("/").text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "x" * 301 not in page


def test_a_remote_address_is_a_link_only_if_it_is_https(
    signed_in: FlaskClient, firm: SmallFirm
) -> None:
    def with_url(url: str) -> str:
        firm.database.write(
            lambda connection: connection.execute(
                update(tables.invoice)
                .where(tables.invoice.c.reference == "beta-2026-10")
                .values(remote_url=url)
            )
        )
        return signed_in.get("/").text

    assert 'href="https://books.example/1"' in with_url("https://books.example/1")
    assert "javascript:" not in with_url("javascript:alert(1)")


def test_refused_deliveries_are_counted_in_plain_sight(
    signed_in: FlaskClient, firm: SmallFirm
) -> None:
    firm.database.write(
        lambda connection: connection.execute(
            insert(tables.refusal).values(
                endpoint="jira", on=NOW.date(), reason="signature", count=7, last_at=NOW
            )
        )
    )
    page = signed_in.get("/").text
    assert re.search(r">7</span> at jira: signature", page)


def test_an_empty_ledger_has_a_page_too(sqlite_url: str) -> None:
    firm = SmallFirm(sqlite_url)
    client = console_of(firm, RecordingDoorbell()).test_client()
    client.post("/signin", data=_link(firm))
    page = client.get("/")
    assert page.status_code == 200
    for text in ("No drafts yet", "Nothing is held", "Nothing came yet", "nothing came yet"):
        assert text in page.text
    firm.close()


def test_an_absent_database_is_a_page_and_no_traceback(
    app: Flask, signed_in: FlaskClient, firm: SmallFirm
) -> None:
    firm.database.write(lambda connection: tables.metadata.drop_all(connection))
    answer = signed_in.get("/")
    assert answer.status_code == 503
    assert "the database cannot be used" in answer.text


def test_the_page_is_the_same_on_both_databases(any_firm: SmallFirm) -> None:
    client = console_of(any_firm, RecordingDoorbell()).test_client()
    assert client.post("/signin", data=_link(any_firm)).status_code == 303
    page = client.get("/")
    assert page.status_code == 200
    assert "no customer takes project WHO" in page.text
