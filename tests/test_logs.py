"""The logs are one JSON object a line, and nothing secret gets into them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import structlog

from logs import set_up


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_event_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    structlog.get_logger().info("pushed", invoice="acme-2026-10", lines=2, total=Decimal("12.50"))
    (line,) = _lines(capsys)
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "pushed",
        "level": "info",
        "invoice": "acme-2026-10",
        "lines": 2,
        "total": "12.50",
    }


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in _lines(capsys)] == ["loud"]


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "jira_token",
        "Authorization",
        "db_password",
        "STRIPE_API_KEY",
        "body",
        "database_url",
    ],
)
def test_a_field_with_a_secret_name_loses_its_value(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up("INFO")
    structlog.get_logger().info("refused", **{key: "canary"})
    (line,) = _lines(capsys)
    assert line[key] == "[redacted]"


@pytest.mark.parametrize(
    "value", [b"canary", {"summary": "canary"}, [b"canary"], bytearray(b"canary"), object()]
)
def test_bytes_and_payloads_are_refused(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    structlog.get_logger().info("received", what=value)
    written = capsys.readouterr().out
    assert "canary" not in written
    assert "refused: " in written


def test_lists_and_dates_are_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    structlog.get_logger().info("held", ids=(1, 2), on=date(2026, 3, 4), reason=None)
    (line,) = _lines(capsys)
    assert (line["ids"], line["on"], line["reason"]) == ([1, 2], "2026-03-04", None)


def test_a_text_from_outside_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    structlog.get_logger().info("read", title='x\n{"event": "paid"}\x1b[2J', long="y" * 10_000)
    (line,) = _lines(capsys)
    assert line["title"] == 'x\\n{"event": "paid"}\\x1b[2J'
    assert len(line["long"]) == 503


def test_only_chosen_context_is_added(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    with structlog.contextvars.bound_contextvars(stage="push", customer_mail="a@b.example"):
        structlog.get_logger().info("claimed")
    (line,) = _lines(capsys)
    assert line["stage"] == "push"
    assert "customer_mail" not in line


def test_libraries_log_the_same_way_from_warning_upwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up("DEBUG")
    logging.getLogger("urllib3.pool").info("quiet")
    logging.getLogger("urllib3.pool").warning("retrying %s", "https://api.example.com")
    (line,) = _lines(capsys)
    assert line["event"] == "retrying https://api.example.com"
    assert (line["level"], line["library"]) == ("warning", "urllib3.pool")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_an_exception_is_logged_without_local_variables(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    set_up("INFO")
    try:
        word = "ca" + "nary"
        raise ValueError(len(word))
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed too")
    written = capsys.readouterr().out
    assert written.count("ValueError: 6") == 2
    assert "canary" not in written


def test_setting_up_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("INFO")
    set_up("INFO")
    logging.getLogger("library").warning("once")
    assert len(_lines(capsys)) == 1


def test_a_terminal_gets_readable_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    set_up("INFO")
    structlog.get_logger().info("pushed", invoice="acme-2026-10", token="canary")
    written = capsys.readouterr().out
    assert "pushed" in written
    assert "acme-2026-10" in written
    assert not written.startswith("{")
    assert "canary" not in written
