"""`flask doctor`: is everything that Billhook needs there, and if not, what is to be done?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import click
from flask.cli import with_appcontext
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

import connections
from connectors.registry import project_connectors
from console.current import current_line
from console.signs import CLOCK_SECONDS, START_CLOCK, START_WORKER, clock_age
from console.terminal import AS_JSON, print_json
from console.texts import one_line
from ledger.audit.resting import left_lying
from ledger.errors import BillhookError, ConfigurationError, TransientError
from ledger.events import as_utc_text
from ledger.heartbeats import beat
from ledger.restoring import WAITS, waiting_since
from ledger.tokens import list_stored
from mappings.book import Book
from mappings.model import ConnectorConfig, SourceConfig
from settings import Settings
from webhooks.registry import sources

if TYPE_CHECKING:
    from line import Line

REDIS_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing."""

    what: str
    """`endpoint jira-acme`."""
    status: str
    """ok, warn or fail."""
    detail: str
    todo: str = ""


def _ok(what: str, detail: str) -> Finding:
    return Finding(what, "ok", detail)


def _warn(what: str, detail: str, todo: str) -> Finding:
    return Finding(what, "warn", detail, todo)


def _fail(what: str, detail: str, todo: str) -> Finding:
    return Finding(what, "fail", detail, todo)


@click.command()
@AS_JSON
@with_appcontext
def doctor(as_json: bool) -> None:
    """Look at settings, database, queue, rules, endpoints, connectors and processes.

    The exit code is 1 if anything fails.
    """
    findings = list(examine(current_line()))
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        width = max(len(each.what) for each in findings)
        for each in findings:
            todo = f" - {each.todo}" if each.todo else ""
            told = one_line(f"{each.detail}{todo}")
            click.echo(f"{each.status:<4}  {each.what:<{width}}  {told}")
    sys.exit(1 if any(each.status == "fail" for each in findings) else 0)


def examine(line: Line) -> Iterator[Finding]:
    """Yield what is found out about each part; a part that is away hides no other one."""
    yield from _settings(line)
    yield _queue(line)
    database = list(_database(line))
    yield from database
    if any(each.status == "fail" for each in database):
        return
    book, findings = _rules(line)
    yield from findings
    if book is not None:
        for source in book.workspace.sources.values():
            yield from _endpoint(line, source)
        for connector in book.workspace.connectors.values():
            yield _billing(line, connector)
        yield from _customers(book)
    yield from _sealed(line)
    yield _clock(line)
    yield _worker(line)
    yield _pushing(line)


def _settings(line: Line) -> Iterator[Finding]:
    try:
        Settings.from_env(line.environ)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            yield _fail("settings", mistake, "see docs/settings.md")
        return
    yield _ok("settings", "all of them can be read")
    if line.settings.allow_private:
        detail = "connectors may call private addresses and plain http"
        yield _warn(
            "settings", detail, "set BILLHOOK_ALLOW_PRIVATE=no unless a tool stands in your network"
        )


def _queue(line: Line) -> Finding:
    url = line.settings.redis_url
    if url is None:
        return _ok("queue", "none: the worker looks into the database by itself")
    try:
        with Redis.from_url(
            url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
        ) as redis:
            redis.ping()
    except (RedisError, OSError) as error:
        todo = "start Redis or correct REDIS_URL; nothing is lost, work waits for the clock"
        return _fail("queue", f"Redis does not answer ({type(error).__name__})", todo)
    return _ok("queue", "Redis answers")


def _database(line: Line) -> Iterator[Finding]:
    kind = "SQLite" if line.database.is_sqlite else "PostgreSQL"
    try:
        if not line.database.is_current():
            yield _fail("database", f"{kind} has another schema", "run `flask db upgrade`")
            return
        yield _ok("database", f"{kind} is reachable and has the newest schema")
        # The one thing that is written: a sign of life, which shows that commits go through.
        line.database.write(lambda connection: beat(connection, "doctor", line.clock.now()))
        yield _ok("database", "can be written")
    except DBAPIError as error:
        todo = "check DATABASE_URL, that the server runs, and that its disk is not full"
        yield _fail("database", f"{kind} cannot be used ({type(error).__name__})", todo)


def _rules(line: Line) -> tuple[Book | None, list[Finding]]:
    """Return the active rules and what is to be said about them and about the files."""
    folder = line.settings.rules
    in_folder: Book | None = None
    findings = []
    try:
        in_folder = Book.read_folder(folder)
    except (ConfigurationError, OSError) as error:
        mistakes = len(error.mistakes) if isinstance(error, ConfigurationError) else 1
        findings.append(
            _fail("rule files", f"{folder} has {mistakes} mistakes", "see `flask rules check`")
        )
    try:
        book = line.book()
    except ConfigurationError as error:
        detail = f"the active version cannot be read any more: {error.mistakes[0]}"
        return None, [*findings, _fail("rules", detail, "mend the files, `flask rules activate`")]
    if book is None:
        detail = "none are active, so everything is held"
        return None, [*findings, _fail("rules", detail, "run `flask rules activate`")]
    findings.append(_ok("rules", f"version {book.version[:12]} is active"))
    if in_folder is not None and in_folder.version != book.version:
        findings.append(
            _warn(
                "rule files",
                f"{folder} differs from the active version",
                "run `flask rules test`, then `flask rules activate`",
            )
        )
    return book, findings


def _endpoint(line: Line, config: SourceConfig) -> Iterator[Finding]:
    what = f"endpoint {config.endpoint}"
    if config.tool not in sources():
        known = ", ".join(sorted(sources()))
        todo = f"write one of {known} at {config.where}"
        yield _fail(what, f'no tool is called "{config.tool}"', todo)
        return
    try:
        endpoint = line.endpoint(config.endpoint)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            yield _fail(what, mistake, "until then it accepts nothing")
        return
    if endpoint is None or config.is_unsigned:
        todo = "give it a secret if the tool can sign"
        yield _warn(what, "accepts what nobody has signed; its URL is the only proof", todo)
    else:
        count = "one live secret" if len(config.secrets) == 1 else "two live secrets"
        yield _ok(what, f"accepts {sources()[config.tool].name} with {count}")
    if config.tool in project_connectors():
        yield _project(line, config)


def _project(line: Line, config: SourceConfig) -> Finding:
    what = f"tool {config.endpoint}"

    def check() -> str | None:
        connector = line.project(config.endpoint)
        return connector.check() if connector else None

    if config.endpoint in line.askable():
        return _checked(what, check, config.where)
    if config.is_written_back:
        todo = f"add url: and token: at {config.where}"
        return _fail(what, "is to be told what became of the work, but cannot be called", todo)
    return _ok(what, "is neither asked nor told: it has no token in workspace.yaml")


def _billing(line: Line, config: ConnectorConfig) -> Finding:
    what = f"connector {config.name}"
    state = connections.state_of(line, config)
    if state.state not in ("ready", "resting"):
        return _fail(what, f"{state.state}: {state.detail}", state.todo)
    if state.state == "resting":
        return _warn(what, state.detail, state.todo)
    checked = connections.check(line, config)
    if checked.account is not None:
        return _ok(what, f"answers as {checked.account}")
    if checked.is_passing:
        return _warn(what, str(checked.problem), "look again later")
    return _fail(what, str(checked.problem), f"its settings stand at {config.where}")


def _checked(what: str, check: Callable[[], str | None], where: str) -> Finding:
    try:
        account = check()
    except TransientError as error:
        return _warn(what, str(error), "look again later")
    except BillhookError as error:
        return _fail(what, str(error), f"its settings stand at {where}")
    return _ok(what, f"answers as {account}")


def _customers(book: Book) -> Iterator[Finding]:
    for customer in book.customers.values():
        if customer.send_to not in book.workspace.connectors:
            yield _fail(
                f"customer {customer.key}",
                f"is sent to {customer.send_to}, which is no connector",
                f"correct send_to: at {customer.at}, or add the connector to workspace.yaml",
            )


def _sealed(line: Line) -> Iterator[Finding]:
    with line.database.read() as connection:
        stored = list_stored(connection)
    for each in stored:
        what = f"token {each['name']}"
        if each["needs_reauth"]:
            yield _fail(what, each["needs_reauth"], "drafts for it wait until then")
        elif each["key_id"] != line.vault.key_id:
            yield _warn(what, "is sealed with an older key", "run `flask secrets rotate`")
        else:
            yield _ok(what, "is sealed with the present key")


def _clock(line: Line) -> Finding:
    with line.database.read() as connection:
        age = clock_age(line, connection)
    if age is None:
        return _warn("clock", "has never run", START_CLOCK)
    seconds = int(age.total_seconds())
    if seconds > CLOCK_SECONDS:
        return _fail("clock", f"gave its last sign of life {seconds} s ago", START_CLOCK)
    return _ok("clock", f"gave a sign of life {seconds} s ago")


def _worker(line: Line) -> Finding:
    """Judge the workers by what they leave lying: that is what matters about them."""
    with line.database.read() as connection:
        oldest = next(left_lying(connection, line.clock.now()), None)
    if oldest is not None:
        return _fail("worker", f"{oldest.entity} {oldest.detail}", START_WORKER)
    return _ok("worker", "nothing waits for one longer than 30 s")


def _pushing(line: Line) -> Finding:
    with line.database.read() as connection:
        copied_at = waiting_since(connection)
    if copied_at is None:
        return _ok("pushing", "goes on: this ledger is no copy that has to be compared first")
    detail, _, todo = WAITS.format(copied_at=as_utc_text(copied_at)).rpartition(" - ")
    return _warn("pushing", detail, todo)
