"""Health: alive says nothing else, ready says what is wrong, the numbers are the ledger's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from ledger import tables
from ledger.claims import NEVER
from ledger.doorbell import RedisDoorbell
from ledger.heartbeats import beat
from ledger.versions import activate
from mappings.book import Book
from settings import Settings
from tests.console.conftest import RecordingDoorbell, bearer, console_of
from tests.ledger.seed import NOW, SmallFirm, logged

RULES = {
    "workspace.yaml": "format: 1\nname: Example Studio\ntime_zone: UTC\n"
    "connectors:\n  file:\n    system: file\n"
}


def _numbers(client: FlaskClient, headers: Mapping[str, str]) -> dict[Any, float]:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_alive_is_said_without_a_look_at_the_database(client: FlaskClient, firm: SmallFirm) -> None:
    firm.database.write(lambda connection: tables.metadata.drop_all(connection))
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "alive\n")


def _activate_rules(firm: SmallFirm) -> None:
    book = Book.load(RULES)
    firm.database.write(
        lambda connection: activate(connection, book.version, book.files, by="mia", now=firm.now)
    )


def test_ready_is_said_once_rules_are_active(client: FlaskClient, firm: SmallFirm) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "flask rules activate" in answer.get_json()["rules"]
    _activate_rules(firm)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    told = answer.get_json()
    assert {told[name] for name in ("database", "rules", "queue")} == {"ok"}
    # What requests can do without is noted, and keeps nobody away.
    assert "has never run" in told["notes"]["clock"]
    firm.database.write(lambda connection: beat(connection, "clock", firm.now))
    assert client.get("/readyz").get_json()["notes"] == {}
    firm.clock.moment = firm.now + timedelta(days=2)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "172800 s ago" in answer.get_json()["notes"]["clock"]


def test_an_older_schema_is_not_ready(client: FlaskClient, firm: SmallFirm) -> None:
    _activate_rules(firm)
    firm.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num='0'")
    )
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "flask db upgrade" in answer.get_json()["database"]


def test_a_database_that_is_away_is_not_ready(tmp_path: Any, firm: SmallFirm, app: Flask) -> None:
    app.extensions["billhook"].database = type(firm.database)(f"sqlite:///{tmp_path}")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "DATABASE_URL" in answer.get_json()["database"]


def test_a_redis_that_does_not_answer_is_not_ready(app: Flask, firm: SmallFirm) -> None:
    _activate_rules(firm)
    app.extensions["billhook"].doorbell = RedisDoorbell("unix:///nowhere/redis.socket")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "REDIS_URL" in answer.get_json()["queue"]


def test_the_numbers_need_a_token_of_any_role(client: FlaskClient, viewer: dict[str, str]) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=viewer).status_code == 200


def test_the_numbers_are_those_of_the_ledger(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    firm.deliver(logged("worklog:20", 60))
    firm.deliver(logged("worklog:21", 60))
    firm.database.write(
        lambda connection: connection.execute(
            insert(tables.refusal).values(
                endpoint="jira", on=NOW.date(), reason="signature", count=7, last_at=NOW
            )
        )
    )
    firm.clock.moment = NOW + timedelta(seconds=90)
    numbers = _numbers(client, viewer)
    assert numbers["billhook_waiting_rows", "normalize"] == 2
    assert numbers["billhook_oldest_waiting_seconds", "normalize"] == 90
    assert numbers["billhook_waiting_rows", "approve"] == 1
    assert numbers["billhook_waiting_rows", "look"] == 0
    assert numbers["billhook_deliveries", "waiting"] == 2
    assert numbers["billhook_invoices", "pushed"] == 2
    assert numbers["billhook_held", "subject"] == 1
    assert numbers["billhook_refused_deliveries_total", "jira", "signature"] == 7


def test_what_has_stopped_is_held_and_does_not_wait(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    firm.approve("acme-2026-11")
    assert _numbers(client, viewer)["billhook_waiting_rows", "push"] == 1
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.invoice)
            .where(tables.invoice.c.state == "approved")
            .values(problem="stripe: the key was refused - enter a new one", next_at=NEVER)
        )
    )
    numbers = _numbers(client, viewer)
    assert numbers["billhook_waiting_rows", "push"] == 0
    assert numbers["billhook_held", "push"] == 1


def test_the_numbers_are_counted_on_both_databases(any_firm: SmallFirm) -> None:
    client = console_of(any_firm, RecordingDoorbell()).test_client()
    numbers = _numbers(client, bearer(any_firm, "viewer"))
    assert numbers["billhook_invoices", "draft"] == 1
    assert client.get("/readyz").get_json()["database"] == "ok"


@pytest.mark.parametrize("secret", ["secret_key", "database_url"])
def test_no_secret_is_in_an_answer(
    app: Flask, client: FlaskClient, viewer: dict[str, str], secret: str
) -> None:
    settings: Settings = app.extensions["billhook"].settings
    for path in ("/healthz", "/readyz", "/metrics"):
        assert getattr(settings, secret) not in client.get(path, headers=viewer).text
