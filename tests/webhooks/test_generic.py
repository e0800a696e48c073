"""What any script may send; the two examples of its README are run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import webhooks
from ledger.errors import PayloadError
from ledger.events import Delivery, Event
from webhooks.registry import sources

GENERIC = sources()["generic"]
NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="
README = Path(next(iter(webhooks.__path__))) / "generic" / "README.md"
ENTRY = {"kind": "time.logged", "subject": "entry:1", "on": "2026-03-04", "seconds": 60}


def delivery_of(body: Any, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(named, json.dumps(body).encode(), NOW, "scripts")


def read(**changes: Any) -> Event:
    told = {**ENTRY, **changes}
    body = {name: value for name, value in told.items() if value is not ...}
    (event,) = GENERIC.normalize(delivery_of(body)).events
    return event


class Inbox(HTTPServer):
    """A server on this machine that keeps what is posted to it and answers 202."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Letterbox)
        self.deliveries: list[Delivery] = []


class Letterbox(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        assert isinstance(self.server, Inbox)
        self.server.deliveries.append(Delivery(headers, body, datetime.now(UTC), "scripts"))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert isinstance(found, str)
    return found


def run(command: list[str], inbox: Inbox) -> Event:
    environment = {
        "PATH": os.environ["PATH"],
        "BILLHOOK_SECRET": SECRET,
        "BILLHOOK_URL": f"http://127.0.0.1:{inbox.server_port}/webhooks/scripts",
        "NO_PROXY": "*",
    }
    subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True)
    (delivery,) = inbox.deliveries
    GENERIC.verify(delivery, [SECRET], now=delivery.received_at)
    (event,) = GENERIC.normalize(delivery).events
    return event


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
)
def test_the_curl_example_of_the_readme_is_accepted_and_read(inbox: Inbox) -> None:
    event = run(["sh", "-eu", "-c", example("sh")], inbox)
    assert (event.kind, event.subject, event.seconds) == ("time.logged", "entry:501", 4500)


def test_the_python_example_of_the_readme_is_accepted_and_read(inbox: Inbox) -> None:
    event = run([sys.executable, "-I", "-c", example("python")], inbox)
    assert (event.kind, event.title) == ("milestone.completed", "Phase 1")
    assert GENERIC.delivery_id(inbox.deliveries[0]) == "phase-1-completed"


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [("1.25", 4500), (1.25, 4500), (2, 7200), ("0", 0), ("0.0025", 9), ("0.1", 360), (1e-2, 36)],
)
def test_decimal_hours_become_exact_seconds(hours: object, seconds: int) -> None:
    assert read(seconds=..., hours=hours).seconds == seconds


@pytest.mark.parametrize("hours", ["0.3333", "-1", "1,5", "1h", "", True, "1e3", 10**9, "NaN"])
def test_hours_that_are_no_whole_seconds_are_refused(hours: object) -> None:
    with pytest.raises(PayloadError, match=r"^hours: "):
        read(seconds=..., hours=hours)


@pytest.mark.parametrize("seconds", [-1, 1.5, "60", True, 2**31])
def test_seconds_are_a_whole_number_that_is_not_negative(seconds: object) -> None:
    with pytest.raises(PayloadError, match=r"^seconds: "):
        read(seconds=seconds)


def test_seconds_and_hours_together_are_refused() -> None:
    with pytest.raises(PayloadError, match=r"^hours: is given beside seconds"):
        read(hours="1")


def test_time_without_a_duration_is_refused() -> None:
    with pytest.raises(PayloadError, match=r"^seconds: is missing"):
        read(seconds=...)


def test_a_milestone_needs_no_duration() -> None:
    assert read(kind="milestone.completed", seconds=...).seconds is None


@pytest.mark.parametrize(
    ("word", "meant"), [("secounds", "seconds"), ("lables", "labels"), ("Project", "project")]
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(word: str, meant: str) -> None:
    with pytest.raises(PayloadError, match=f'did you mean "{meant}"'):
        read(**{word: 1})


def test_an_unknown_kind_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(PayloadError, match=r'did you mean "time\.logged"'):
        read(kind="time.loged")


def test_a_key_that_resembles_nothing_is_refused_without_a_guess() -> None:
    with pytest.raises(PayloadError) as refusal:
        read(zzzzzz=1)
    assert "did you mean" not in str(refusal.value)


def test_the_date_follows_from_the_moment_in_its_own_offset() -> None:
    event = read(on=..., occurred_at="2026-03-04T23:30:00-05:00")
    assert (event.on.isoformat(), event.as_json()["occurred_at"]) == (
        "2026-03-04",
        "2026-03-05T04:30:00Z",
    )


def test_the_date_wins_over_the_moment() -> None:
    assert read(occurred_at="2026-03-05T01:00:00Z").on.isoformat() == "2026-03-04"


def test_without_date_and_moment_nothing_is_read() -> None:
    with pytest.raises(PayloadError, match=r"^on: is missing"):
        read(on=...)


def test_the_version_is_the_change_then_the_signing_then_the_arrival() -> None:
    changed = delivery_of({**ENTRY, "changed_at": "2026-03-01T00:00:00Z"}, webhook_timestamp="5")
    signed = delivery_of(ENTRY, webhook_timestamp="1774958400")
    arrived = delivery_of(ENTRY)
    versions = [
        GENERIC.normalize(delivery).events[0].version for delivery in (changed, signed, arrived)
    ]
    assert versions == [1772323200000, 1774958400000, 1774958400000]


def test_an_event_that_billhook_printed_can_be_sent_back() -> None:
    printed = read(fields={"a": 1}, labels=["x"], billable=True).as_json()
    (event,) = GENERIC.normalize(delivery_of({**printed, "endpoint": "elsewhere"})).events
    assert event.as_json() == printed
    assert event.endpoint == "scripts", "the receiving endpoint names itself"


def test_a_mistake_in_one_event_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(PayloadError, match=r"^events\[1\]\.subject: is missing"):
        GENERIC.normalize(
            delivery_of({"events": [ENTRY, {"kind": "work.completed", "on": "2026-03-04"}]})
        )


def test_a_list_beside_an_event_is_refused() -> None:
    with pytest.raises(PayloadError, match="is no word"):
        GENERIC.normalize(delivery_of({"events": [], **ENTRY}))


def test_numbers_in_fields_stay_exact() -> None:
    body = json.dumps({**ENTRY, "fields": {"amount": 0}}).replace('"amount": 0', '"amount": 0.10')
    (event,) = GENERIC.normalize(Delivery({}, body.encode(), NOW, "scripts")).events
    assert str(event.fields["amount"]) == "0.10"
