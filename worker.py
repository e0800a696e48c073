"""The straight line: what happens to a delivery, stage by stage. Read this file first.

    receive -> verify -> normalize -> map -> assemble -> approve -> push -> sync back

Receiving and verifying happen in the web process (`webhooks/receiver.py`). Everything after
is a stage here: it claims a batch of rows that wait for it, works on them, commits. The
rows say what remains to be done, so a worker may be stopped anywhere: what it held is free
again when its lease runs out, and nothing is done twice.
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import timedelta
from functools import cache, partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, bindparam, select, union_all
from sqlalchemy.exc import SQLAlchemyError

import logs
from connectors.connector import Report
from connectors.push import Pusher
from connectors.registry import billing_connectors
from hints import follow
from ledger import (
    approvals,
    assembly,
    breakers,
    calendar,
    deliveries,
    facts,
    polls,
    pushing,
    subjects,
    sync,
    tables,
)
from ledger.claims import (
    LONGEST_WAIT_SECONDS,
    MOST_ATTEMPTS,
    NEVER,
    Claim,
    claim,
    give_back,
    hand_back,
)
from ledger.database import is_away
from ledger.doorbell import RedisDoorbell, listen
from ledger.errors import (
    ConfigurationError,
    ConnectorError,
    OutcomeUnknownError,
    PayloadError,
    RestingError,
    StaleClaimError,
    TransientError,
    UnsupportedEventTypeError,
)
from ledger.events import Reading
from line import Line
from mappings.judging import judge, reopened_word, terms_of
from missed import ask_changes
from reconciliation import ask_entries
from stages import Stage, kept
from webhooks.registry import sources

LOOK_SECONDS: Final = 0.1
"""How long a worker without a doorbell rests between two looks at an idle database."""
AWAY_SECONDS: Final = 1.0
"""How long it rests where the database is away."""
OUTAGE: Final = timedelta(minutes=15)
"""How long before a project tool is asked again that could not answer several times."""

log = structlog.get_logger("worker")


def poll(line: Line, claimed: Claim) -> None:
    """Ask a project tool what its webhooks missed; what is news comes in as a delivery."""
    with line.database.read() as connection:
        due = polls.load(connection, claimed)
    try:
        connector = line.project(due.endpoint)
        if connector is not None:
            asked = ask_entries if due.what == polls.ENTRIES else ask_changes
            answer = asked(line, connector, due)
            line.database.write(
                lambda connection: answer.keep(connection, claimed, line.clock.now())
            )
            return
        problem, seconds = f"{due.endpoint} has no token in workspace.yaml", OUTAGE.seconds
    except (TransientError, OutcomeUnknownError) as error:
        at_least = getattr(error, "retry_after", None) or 0
        seconds = max(at_least, min(2 ** min(claimed.attempt, 10), LONGEST_WAIT_SECONDS))
        problem = str(error)
    except (ConnectorError, ConfigurationError) as error:
        problem, seconds = str(error), OUTAGE.seconds
    log.warning("not_polled", endpoint=due.endpoint, what=due.what, reason=problem)
    next_at = line.clock.now() + timedelta(seconds=seconds)
    line.database.write(
        lambda connection: polls.not_answered(
            connection, claimed, problem, next_at, line.clock.now()
        )
    )


def normalize(line: Line, claimed: Claim) -> None:
    """Read deliveries into events and facts, in our words; what cannot be read is kept."""
    with line.database.read() as connection:
        stored = deliveries.load(connection, claimed)
    outcomes = [_read(each) for each in stored]
    askable = line.askable()
    line.database.write(
        lambda connection: deliveries.record(
            connection, claimed, outcomes, line.clock.now(), askable=askable
        )
    )


def _read(stored: deliveries.StoredDelivery) -> deliveries.Outcome:
    state, reading, reason = "normalized", Reading(), None
    try:
        if stored.source == calendar.NAME:
            reading = calendar.read(stored.request)
        else:
            reading = sources()[stored.source].normalize(stored.request)
        if not reading.events:
            state, reason = ("asked", None) if reading.asks else ("ignored", reading.ignored)
    except UnsupportedEventTypeError as error:
        state, reason = "unsupported", str(error)
    except PayloadError as error:
        state, reason = "unreadable", str(error)
    return deliveries.Outcome(stored.id, stored.request.endpoint, state, reading, reason)


def enrich(line: Line, claimed: Claim) -> None:
    """Ask the project tools about things that events name only by their id, many at a time."""
    with line.database.read() as connection:
        wanted = facts.load_wanted(connection, claimed)
    answers = [
        answer
        for endpoint in sorted({each.endpoint for each in wanted})
        for answer in _asked(line, claimed, [each for each in wanted if each.endpoint == endpoint])
    ]
    line.database.write(
        lambda connection: facts.answer(connection, claimed, answers, line.clock.now())
    )


def _asked(line: Line, claimed: Claim, wanted: list[facts.Wanted]) -> list[facts.Answer]:
    """Return what became of asking one endpoint's tool about some things."""
    endpoint = wanted[0].endpoint
    connector = line.project(endpoint)
    if connector is None:
        problem = f"{endpoint} has no url and token in workspace.yaml"
        return [facts.Answer(each, problem=problem) for each in wanted]
    try:
        told = connector.enrich_all([each.about for each in wanted])
    except (TransientError, OutcomeUnknownError) as error:
        if claimed.attempt < MOST_ATTEMPTS:
            wait = getattr(error, "retry_after", None) or 0
            return [facts.Answer(each, problem=str(error), wait_seconds=wait) for each in wanted]
        # A long outage ends by itself too; until then people see what is the matter.
        again_at = line.clock.now() + OUTAGE
        return [facts.Answer(each, problem=str(error), again_at=again_at) for each in wanted]
    except ConnectorError as error:
        return [facts.Answer(each, problem=str(error)) for each in wanted]
    problem = f"{connector.name} does not know it"
    return [facts.Answer(each, told.get(each.about), problem) for each in wanted]


def map_events(line: Line, claimed: Claim) -> None:
    """Price what changed by the rules: line items, nothing to bill, or held for a person."""
    by_the_rules = partial(judge, line.book())
    reopened = partial(reopened_word, line.book_of)
    line.database.write(
        lambda connection: subjects.reprice(
            connection, claimed, by_the_rules, line.clock.now(), reopened=reopened
        )
    )


def assemble(line: Line, claimed: Claim) -> None:
    """Bring a customer's drafts in line with its line items; block what must not go out."""
    with line.database.read() as connection:
        key = connection.scalar(
            select(tables.customer.c.key).where(tables.customer.c.id == claimed.ids[0])
        )
    now, book = line.clock.now(), line.book()
    customer = book.customers.get(str(key)) if book else None
    config = book.workspace.connectors.get(customer.send_to) if book and customer else None
    system = billing_connectors().get(config.system) if config else None
    most_lines = system.able(config.settings).most_lines if system and config else 0
    terms = terms_of(
        book,
        str(key),
        most_lines=most_lines,
        now=now,
        book_of=line.book_of,
        take_credit_notes=line.take_credit_notes(),
    )
    line.database.write(lambda connection: assembly.assemble(connection, claimed, terms, now))


def approve(line: Line, claimed: Claim) -> None:
    """Approve drafts whose customers want that by rule, once their period is over."""
    line.database.write(
        lambda connection: approvals.approve_by_rule(connection, claimed, line.clock.now())
    )


def push(line: Line, claimed: Claim) -> None:
    """Bring an approved invoice to its billing system, exactly once."""
    begun = line.database.write(
        lambda connection: pushing.begin(connection, claimed, line.clock.now())
    )
    if begun is None:
        return
    try:
        connector = line.billing(begun.connector)
    except ConfigurationError as error:
        problem = str(error)
        line.database.write(
            lambda connection: pushing.stop(
                connection, claimed, begun, problem, line.clock.now(), wait_seconds=60
            )
        )
        return
    addressed = begun.to(line.payer(begun.draft.customer))
    answered = connector.has_answered
    with breakers.passing(line.database, line.clock, begun.connector, answered) as passage:
        passage.error = Pusher(line.database, line.clock, claimed, connector, addressed).run()


def look(line: Line, claimed: Claim) -> None:
    """Fetch an invoice's truth from its billing system: what was paid, credited, disputed."""
    with line.database.read() as connection:
        pushed = sync.load_pushed(connection, claimed)
    connector = line.billing(pushed.connector)
    answered = connector.has_answered
    with breakers.passing(line.database, line.clock, pushed.connector, answered):
        amounts = connector.fetch_invoice(pushed.remote_id).amounts
    told = line.told()

    def record(connection: Connection) -> None:
        now = line.clock.now()
        if sync.record_payment(connection, claimed, amounts, now) is not None:
            sync.expect_reports(connection, pushed.invoice_id, told, now)

    line.database.write(record)


def report(line: Line, claimed: Claim) -> None:
    """Tell the project tool how the invoice of its work stands, in one note kept up to date."""
    with line.database.read() as connection:
        due = sync.load_report(connection, claimed)
    connector = line.project(due.endpoint)
    problem = f"{due.endpoint} has no url and token in workspace.yaml"
    if connector is not None:
        try:
            place = connector.report(Report(subject=due.subject, marker=due.marker, **due.content))
        except (TransientError, OutcomeUnknownError):
            raise
        except ConnectorError as error:
            problem = str(error)
        else:
            line.database.write(
                lambda connection: sync.told(connection, claimed, due.content, place)
            )
            return
    line.database.write(
        lambda connection: sync.not_told(connection, claimed, problem, line.clock.now())
    )


POLL: Final = Stage("poll", poll, tables.poll, only=polls.due, hopeless={})
STAGES: Final = (
    # What webhooks missed; it comes in as they do.
    POLL,
    Stage("normalize", normalize, tables.delivery, most=500),
    Stage("enrich", enrich, tables.fact, "wanted", most=100, hopeless={"state": "unknown"}),
    Stage("map", map_events, tables.subject, most=500),
    Stage("assemble", assemble, tables.customer),
    # Drafts wait here until their period is over; one that takes something back needs a person.
    Stage(
        "approve",
        approve,
        tables.invoice,
        "draft",
        most=50,
        only=approvals.by_rule,
        hopeless={"next_at": NEVER},
    ),
    # In a restored copy pushing waits until the billing systems have been looked through, and
    # everywhere as long as one rests that fails again and again.
    Stage(
        "push",
        push,
        tables.invoice,
        "approved",
        only=pushing.may_go,
        hopeless={"next_at": NEVER},
    ),
    # Sync back: webhooks only hint, the truth is fetched, then the project tool is told.
    Stage("follow", follow, tables.hint),
    Stage("look", look, tables.invoice, sync.LOOKED_AT, only=sync.due, hopeless={}),
    Stage("report", report, tables.report),
)
"""The line, in order."""


def busy_stages(line: Line) -> list[Stage]:
    """Return the stages for which rows wait that could be claimed now, in the order of the line."""
    with line.database.read() as connection:
        busy = set(connection.scalars(_look(), {"now": line.clock.now()}))
    return [stage for stage in STAGES if stage.name in busy]


@cache
def _look() -> Any:
    # One statement, made once: an idle worker asks it ten times a second.
    now: Any = bindparam("now", type_=tables.UtcDateTime())
    return union_all(*(stage.has_work(now) for stage in STAGES))


def run(line: Line, stage: Stage) -> int:
    """Work on one batch of a stage; return how many rows were claimed.

    A batch that breaks is given back and tried again later, in ever smaller ones: nothing is lost,
    and one bad row does not hold up the others. Raise the database's error if it is away: that is
    no row's doing, so it counts as no attempt.
    """
    now = line.clock.now()
    claimed = line.database.write(
        lambda connection: claim(
            connection, stage.table, stage.state, now, stage.most, stage.only, aside=stage.aside
        )
    )
    if not claimed:
        return 0
    with structlog.contextvars.bound_contextvars(stage=stage.name):
        try:
            with kept(line.database, line.clock, claimed):
                stage.work(line, claimed)
        except StaleClaimError as error:
            log.info("claim_lost", reason=str(error))
        except RestingError as error:
            seconds = error.retry_after or 1
            line.database.write(
                lambda connection: hand_back(
                    connection, claimed, line.clock.now(), after_seconds=seconds
                )
            )
        except Exception as error:
            if is_away(error):
                line.database.write(
                    lambda connection: hand_back(connection, claimed, line.clock.now())
                )
                raise
            _give_back(line, stage, claimed, error)
    return len(claimed.ids)


def _give_back(line: Line, stage: Stage, claimed: Claim, error: Exception) -> None:
    is_expected = isinstance(error, (ConnectorError, ConfigurationError))
    reason = str(error) if is_expected else f"an error in Billhook: {type(error).__name__}"
    at_least = getattr(error, "retry_after", None) or 0
    log.warning("given_back", rows=len(claimed.ids), reason=reason, exc_info=not is_expected)
    # Another system's outage is no row's doing: it is waited for, however long, in plain sight.
    is_outage = isinstance(error, (TransientError, OutcomeUnknownError))
    hopeless = stage.because(reason) if is_outage else {**stage.hopeless, **stage.because(reason)}
    line.database.write(
        lambda connection: give_back(
            connection, claimed, line.clock.now(), hopeless=hopeless, at_least=at_least
        )
    )


def work_off(line: Line, *, most_batches: int = 1_000_000) -> int:
    """Run all stages until nothing waits any more; return how many batches that took."""
    done = 0
    while done < most_batches:
        stages = busy_stages(line)
        if not stages:
            break
        for stage in stages:
            # A stage goes on while it has work, but not for ever: the next one has waited too.
            for _ in range(20):
                if not run(line, stage):
                    break
                done += 1
    return done


def answer(stage: str) -> None:
    """Answer a ring: the one function that a job of RQ may name. Runs in a process of its own."""
    line = _line()
    line.database.forget_connections()
    if isinstance(line.doorbell, RedisDoorbell):
        line.doorbell.answered(stage)
    try:
        work_off(line)
    except SQLAlchemyError as error:
        # The clock rings again for what waits, as soon as it can look itself.
        _log_away(error)


def _log_away(error: SQLAlchemyError) -> None:
    log.error("database_away", error=type(error).__name__, exc_info=not is_away(error))


@cache
def _line() -> Line:
    # Made before RQ forks, so that a job finds everything imported and the rules loaded.
    return Line.from_env()


def loop(line: Line, stop: threading.Event) -> None:
    """Work without a doorbell: look into the database several times a second, until stopped."""
    while not stop.is_set():
        try:
            done = work_off(line, most_batches=50)
        except SQLAlchemyError as error:
            _log_away(error)
            stop.wait(AWAY_SECONDS)
            continue
        if not done:
            stop.wait(LOOK_SECONDS)


def main() -> int:
    """Run a worker until it is stopped; return the exit code."""
    # First of all, so that a worker that is asked to stop while it starts ends in order, too.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        line = _line()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    logs.set_up(line.settings.log_level)
    log.info("worker_started", doorbell="redis" if line.settings.redis_url else "none")
    if line.settings.redis_url:
        try:
            line.book()
        except SQLAlchemyError as error:
            # Only to have the rules loaded before RQ forks: the first job loads them then.
            _log_away(error)
        listen(line.settings.redis_url, stop, prepare=line.database.forget_connections)
    else:
        loop(line, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
