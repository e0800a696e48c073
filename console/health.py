"""Health: /healthz (alive), /readyz (fit to work), /metrics (numbers for Prometheus).

`app.py` registers the blueprint. The numbers are counted in the database when they are asked
for, so that it does not matter how many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from ledger import breakers
from ledger.database import is_unavailable
from ledger.doorbell import RedisDoorbell
from ledger.errors import BillhookError
from ledger.events import as_utc_text
from ledger.heartbeats import beat, last_beat
from ledger.held import count_held
from ledger.overview import count_by_state, refused, waiting
from ledger.tables import delivery, invoice

from .bearer import NoTokenError, bearer_token
from .current import current_line
from .signs import notes

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from line import Line

SECURITY_LIFE: Final = timedelta(days=180)
"""How long what security.txt says holds, from the moment of asking."""

blueprint = Blueprint("health", __name__)
RETRY_AFTER: Final = "5"
"""Seconds until somebody who heard that the database is away may ask again."""


@blueprint.after_request
def _never_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/healthz")
def healthz() -> Response:
    """Answer as long as the process does; nothing is looked at."""
    return Response("alive\n", mimetype="text/plain")


@blueprint.get("/.well-known/security.txt")
def security() -> Response:
    """Say whom to tell about a weakness, as RFC 9116 has it; 404 if nobody is named."""
    line = current_line()
    contact = line.settings.security_contact
    if contact is None:
        return Response("Nobody is named.\n", 404, mimetype="text/plain")
    until = as_utc_text(line.clock.now() + SECURITY_LIFE)
    return Response(f"Contact: {contact}\nExpires: {until}\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> Response:
    """Answer 200 if everything that the line needs is there, else 503 with what is wrong."""
    line = current_line()
    found = {name: check(line) for name, check in CHECKS.items()}
    wrong = {name: problem for name, problem in found.items() if problem is not None}
    beside = {} if "database" in wrong else notes(line)
    response = jsonify({**{name: wrong.get(name, "ok") for name in found}, "notes": beside})
    if wrong:
        response.status_code = 503
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def _database(line: Line) -> str | None:
    try:
        if not line.database.is_current():
            return "its migrations are not those of this release - run `flask db upgrade`"
    except SQLAlchemyError:
        return "cannot be reached - see DATABASE_URL"
    try:
        line.database.write(lambda connection: beat(connection, "web", line.clock.now()))
    except SQLAlchemyError:
        return "can be read but not written: locked, full or read-only - see its disk and its log"
    return None


def _rules(line: Line) -> str | None:
    try:
        return None if line.book() else "none are active - run `flask rules activate`"
    except SQLAlchemyError:
        return "cannot be read without the database"
    except BillhookError:
        return "the active ones cannot be read any more - run `flask rules activate`"


def _queue(line: Line) -> str | None:
    if isinstance(line.doorbell, RedisDoorbell) and not line.doorbell.is_reachable():
        return "Redis does not answer - see REDIS_URL"
    return None


def _inbox(line: Line) -> str | None:  # noqa: ARG001
    inbox = current_app.extensions.get("billhook_inbox")
    if inbox is not None and inbox.fails():
        return "a delivery could not be stored just now - see the log, and the database's disk"
    return None


CHECKS: Final[dict[str, Callable[[Line], str | None]]] = {
    "database": _database,
    "inbox": _inbox,
    "rules": _rules,
    "queue": _queue,
}
"""What must be right before requests are sent here: each says what is wrong, or None."""


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the numbers of the line in Prometheus' text format, to the owner of any token."""
    bearer_token()
    registry = CollectorRegistry()
    registry.register(Numbers(current_line()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Numbers(Collector):
    """The state of the line, counted in the database."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def describe(self) -> list[Metric]:
        """Return nothing: names are known only by counting, and registering must not count."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every number."""
        now = self._line.clock.now()
        rows = GaugeMetricFamily(
            "billhook_waiting_rows", "Rows that wait at a stage of the line.", labels=["stage"]
        )
        age = GaugeMetricFamily(
            "billhook_oldest_waiting_seconds",
            "For how long the oldest row at a stage could have been worked on.",
            labels=["stage"],
        )
        held = GaugeMetricFamily("billhook_held", "Things that wait for a person.", labels=["kind"])
        held_age = GaugeMetricFamily(
            "billhook_oldest_held_seconds",
            "For how long the oldest thing of a kind has waited for a person.",
            labels=["kind"],
        )
        refusals = CounterMetricFamily(
            "billhook_refused_deliveries",
            "Deliveries that were turned away.",
            labels=["endpoint", "reason"],
        )
        clock = GaugeMetricFamily(
            "billhook_clock_age_seconds", "Since the clock's last sign of life; none: never."
        )
        resting = GaugeMetricFamily(
            "billhook_connector_rest_seconds",
            "For how long a connector goes on resting after failures or a limit; 0: it works.",
            labels=["connector"],
        )
        failed = GaugeMetricFamily(
            "billhook_connector_failures",
            "How many times in a row a connector's system could not do what was asked.",
            labels=["connector"],
        )
        states = {
            table: GaugeMetricFamily(
                f"billhook_{name}", f"{name.capitalize()} in each state.", labels=["state"]
            )
            for name, table in (("deliveries", delivery), ("invoices", invoice))
        }
        with self._line.database.read() as connection:
            beaten_at = last_beat(connection, "clock")
            if beaten_at is not None:
                clock.add_metric([], max(0, (now - beaten_at).total_seconds()))
            for stage in waiting(connection, now):
                rows.add_metric([stage.stage], stage.rows)
                age.add_metric([stage.stage], stage.age_seconds(now))
            for kind, found in count_held(connection, now).items():
                held.add_metric([kind], found.count)
                oldest_at = found.oldest_at or now
                held_age.add_metric([kind], max(0, (now - oldest_at).total_seconds()))
            for each in refused(connection):
                refusals.add_metric([each.endpoint, each.reason], each.count)
            rests = breakers.rests(connection, now)
            for name, count in breakers.failures(connection).items():
                failed.add_metric([name], count)
                until = rests[name].until if name in rests else now
                resting.add_metric([name], max(0, (until - now).total_seconds()))
            for table, family in states.items():
                for state, count in count_by_state(connection, table).items():
                    family.add_metric([state], count)
        yield from (rows, age, clock, held, held_age, refusals, resting, failed, *states.values())


@blueprint.errorhandler(SQLAlchemyError)
def _database_error(error: SQLAlchemyError) -> Response:
    if not is_unavailable(error):
        raise error
    problem = "the database cannot be used just now\n"
    return Response(problem, 503, {"Retry-After": RETRY_AFTER}, mimetype="text/plain")


@blueprint.errorhandler(NoTokenError)
def _unauthorized(error: NoTokenError) -> Response:
    return Response(f"{error}\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
