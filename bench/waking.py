"""Wake-up: how long after the 202 a worker without a doorbell has priced a delivery."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from statistics import median
from typing import Final

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ledger.inbox import Inbox
from ledger.tables import delivery, event, line_item
from webhooks.receiver import receiver

from .bodies import ENDPOINT, signed, worklog
from .firm import Firm
from .places import Place
from .results import Finding, percentile
from .servers import process
from .sizes import Size

AIM_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60
_REST_SECONDS: Final = 0.15
"""About one and a half of the worker's looks, so that deliveries meet it at every moment."""


def wake(place: Place, size: Size) -> list[Finding]:
    """Post deliveries one by one to an idle installation with a real worker process."""
    with place.firm() as firm:
        firm.store_issues()
        with process(firm.environ, firm.folder / "worker.log", sys.executable, "worker.py"):
            client = _client(firm)
            # The first one waits until the worker has started.
            _post(client, 1)
            _until_priced(firm, 1)
            answered = {}
            for number in range(2, size.wakes + 2):
                answered[str(number)] = _post(client, number)
                _until_priced(firm, number)
                time.sleep(_REST_SECONDS)
        priced = _priced_at(firm)
    waits = [(priced[number] - at).total_seconds() for number, at in answered.items()]
    return [
        Finding(
            measured=f"wake: from 202 to line, {name}, in {AIM_SECONDS * 1000:.0f} ms",
            database=place.name,
            found=f"{seconds * 1000:.0f} ms",
            ratio=seconds / AIM_SECONDS,
            aim=1,
        )
        for name, seconds in (("median", median(waits)), ("p99", percentile(waits, 0.99)))
    ]


def _client(firm: Firm) -> FlaskClient:
    app = Flask("bench")
    line = firm.line
    inbox = Inbox(line.database, line.clock)
    blueprint = receiver(inbox, line.endpoint, line.clock, line.doorbell, most_bytes=1_000_000)
    app.register_blueprint(blueprint)
    return app.test_client()


def _post(client: FlaskClient, number: int) -> datetime:
    """Post a time entry; return when the 202 came."""
    headers, raw = signed(worklog(number), str(number))
    answer = client.post(f"/webhooks/{ENDPOINT}", data=raw, headers=headers)
    if answer.status_code != 202:
        raise RuntimeError(f"the delivery was answered with {answer.status_code}")
    return datetime.now(UTC)


def _until_priced(firm: Firm, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with firm.line.database.read() as connection:
            if connection.scalar(select(func.count()).select_from(line_item)) == count:
                return
        time.sleep(0.01)
    raise RuntimeError(f"delivery {count} is not priced within {PATIENCE_SECONDS} s")


def _priced_at(firm: Firm) -> dict[str, datetime]:
    """Return when each delivery became a line, by its own id."""
    query = (
        select(delivery.c.delivery_id, line_item.c.created_at)
        .join(event, event.c.delivery_id == delivery.c.id)
        .join(line_item, line_item.c.event_id == event.c.id)
    )
    with firm.line.database.read() as connection:
        return {row.delivery_id: row.created_at for row in connection.execute(query)}
