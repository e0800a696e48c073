"""The configured billing systems: how each of them stands, whether it answers, how it is connected.

The commands and pages of `console/` show it; nothing here prints. Asking how they stand looks
into the database only. `check` calls the system and changes nothing there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection

from connectors import authorization
from connectors.authorization import Connecting
from connectors.connector import BillingConnector
from connectors.registry import billing_connectors
from ledger import breakers, pushing, tokens
from ledger.errors import BillhookError, ConfigurationError, ConnectorError, TransientError
from ledger.vault import SealedError
from line import Line
from mappings.model import ConnectorConfig

Answer = Callable[[str], None]
"""Takes the address that a browser was sent to."""
Standing = Literal["ready", "incomplete", "not connected", "reconnect needed", "resting"]
_SECTION: Final = re.compile(r"^## How far it is proven\n+(.*?)(?:\n\n|\Z)", re.M | re.S)


@dataclass(frozen=True, slots=True)
class State:
    """How one configured connector stands, as far as the ledger knows."""

    name: str
    system: str
    state: Standing
    detail: str = ""
    """What is the matter, in words; empty while it is ready."""
    todo: str = ""
    proven: str = ""
    """How far the connector to this system is proven, by its README."""


def states(line: Line) -> list[State]:
    """Return how each connector of the active rules stands; nothing outside is asked."""
    book = line.book()
    return [_state(line, each) for each in (book.workspace.connectors.values() if book else ())]


def state_of(line: Line, config: ConnectorConfig) -> State:
    """Return how one connector stands."""
    return _state(line, config)


def _state(line: Line, config: ConnectorConfig) -> State:
    def found(state: Standing, detail: str = "", todo: str = "") -> State:
        return State(config.name, config.system, state, detail, todo, proven)

    proven = ""
    system = billing_connectors().get(config.system)
    if system is None:
        known = ", ".join(sorted(billing_connectors()))
        detail = f'no billing system is called "{config.system}"'
        return found("incomplete", detail, f"write one of {known} at {config.where}")
    proven = proven_of(system)
    missing = [
        each.name for each in system.settings if each.required and each.name not in config.settings
    ]
    try:
        identity = line.identity(config.name)
    except ConfigurationError as error:
        return found("incomplete", "; ".join(error.mistakes), "set it in the environment")
    if identity is not None:
        oauth, client = identity
        # What else is missing then, connecting may tell.
        is_asked = all(client) or not missing
        problem = _token_problem(line, config.name) if is_asked else None
        if problem is not None:
            return found(*problem, oauth.advice(config.name))
    if missing:
        detail = f"has no {', '.join(missing)}"
        return found("incomplete", detail, f"add it at {config.where}")
    with line.database.read() as connection:
        rest = breakers.rests(connection, line.clock.now()).get(config.name)
    if rest is not None:
        todo = f"it goes on by itself; once it works again, `flask connectors check {config.name}`"
        return found("resting", rest.told(), todo)
    return found("ready")


def _token_problem(line: Line, name: str) -> tuple[Standing, str] | None:
    try:
        with line.database.read() as connection:
            stored = tokens.load(connection, line.vault, name)
    except SealedError as error:
        return "reconnect needed", str(error)
    if stored is None:
        return "not connected", "nobody has allowed the connection yet"
    if stored.needs_reauth is not None:
        return "reconnect needed", stored.needs_reauth.partition(" - ")[0]
    return None


@cache
def proven_of(system: type[BillingConnector]) -> str:
    """Return how far a connector is proven: the first paragraph, or table, of that section."""
    place = getattr(sys.modules.get(system.__module__), "__file__", None)
    readme = Path(place or "").with_name("README.md") if place else None
    if readme is None or not readme.is_file():
        return ""
    section = _SECTION.search(readme.read_text(encoding="utf-8"))
    if section is None:
        return ""
    text = re.sub(r"[*`]|^- ", "", section[1], flags=re.M)
    rows = [row for row in text.splitlines() if row.startswith("|")]
    if not rows:
        return " ".join(text.split())
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    return "; ".join(": ".join(filter(None, row)) for row in cells)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a call to a billing system has shown."""

    name: str
    system: str
    account: str | None = None
    """Whose it is, with currency and whether it is a test, as the connector tells."""
    problem: str | None = None
    is_passing: bool = False
    """The problem may go away by itself."""


def check(line: Line, config: ConnectorConfig) -> Checked:
    """Ask a billing system whose account it is; nothing is changed, there or here."""
    state = state_of(line, config)
    if state.state not in ("ready", "resting"):
        problem = f"{state.detail} - {state.todo}"
        return Checked(config.name, config.system, problem=problem)
    try:
        account = line.billing(config.name).check()
    except BillhookError as error:
        is_passing = isinstance(error, TransientError)
        return Checked(config.name, config.system, problem=str(error), is_passing=is_passing)
    return Checked(config.name, config.system, account=account)


def go_on(line: Line, name: str, actor: str) -> bool:
    """End a connector's rest, because it answers; return False if it did not rest."""
    now = line.clock.now()

    def end(connection: Connection) -> bool:
        had_rested = breakers.close(connection, name, actor, now)
        if had_rested:
            pushing.go_on(connection, now, connector=name)
        return had_rested

    return line.database.write(end)


@dataclass(frozen=True, slots=True)
class Connected:
    """What a person has to know after a connection was made."""

    name: str
    agree: Mapping[str, str] = field(default_factory=dict)
    """Settings that `workspace.yaml` has already as the system tells them."""
    to_write: Mapping[str, str] = field(default_factory=dict)
    """Settings that it has not, or otherwise."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """What may be billed through, name by id; one of them is to be named in `workspace.yaml`."""
    chosen: str | None = None
    """Which of the accounts `workspace.yaml` names."""
    unnamed: tuple[str, ...] = ()
    """Settings that are still missing there, one of which names the account."""
    problem: str | None = None
    """Why the accounts could not be listed."""


def connecting(line: Line, name: str) -> Connecting:
    """Return what connecting works with; raise ConfigurationError if it cannot be connected so."""
    identity = line.identity(name)
    if identity is None:
        raise ConfigurationError(
            [f"{name}: takes no OAuth 2 - its key stands in workspace.yaml, nothing is connected"]
        )
    oauth, client = identity
    if not oauth.authorize_url:
        raise ConfigurationError(
            [f"{name}: its first token is brought in by hand - `flask secrets store {name}`"]
        )
    if not all(client):
        raise ConfigurationError(
            [f"{name}: has no client_id and client_secret - add them in workspace.yaml"]
        )
    return Connecting(line.database, line.clock, line.vault, line.http, name, oauth, client)


def begin(line: Line, name: str, redirect: str) -> str:
    """Return the address at which a person allows a connector; see `authorization.begin`."""
    return authorization.begin(connecting(line, name), redirect)


def finish(line: Line, name: str, address: str, actor: str) -> Connected:
    """Store the tokens that an answer brings, and hold what it tells against `workspace.yaml`."""
    told = authorization.finish(connecting(line, name), address, actor)
    book = line.book()
    config = book.workspace.connectors[name] if book else None
    written = line.configured(name)
    system = billing_connectors()[config.system] if config else None
    agree = {key: value for key, value in told.items() if written.get(key) == value}
    to_write = {key: value for key, value in told.items() if key not in agree}
    accounts: Mapping[str, str] = {}
    problem = None
    try:
        accounts = line.billing(name, **to_write).accounts()
    except (ConnectorError, KeyError) as error:
        problem = str(error) if isinstance(error, ConnectorError) else "their setting is missing"
    missing = [
        each.name
        for each in (system.settings if system else ())
        if each.required and each.name not in written and each.name not in to_write
    ]
    chosen = next((each for each in written.values() if each in accounts), None)
    return Connected(name, agree, to_write, accounts, chosen, tuple(missing), problem)
