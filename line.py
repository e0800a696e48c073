"""What every process of the straight line works with: settings, the four ports, the active rules.

The web process, the worker, the clock and the commands each make one `Line` when they start.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from connectors.connector import Abilities, BillingConnector, ProjectConnector
from connectors.http import CountingHttp, Http, OutgoingHttp
from connectors.oauth import AccessTokens, AuthorizedHttp, OAuth2
from connectors.registry import billing_connectors, project_connectors
from ledger import polls, versions
from ledger.database import Database
from ledger.doorbell import RedisDoorbell
from ledger.errors import ConfigurationError
from ledger.invoices import BilledCustomer
from ledger.ports import Clock, Doorbell, NoDoorbell, SystemClock
from ledger.vault import Vault
from mappings.book import Book
from mappings.model import ConnectorConfig, SourceConfig
from settings import Settings, resolve
from webhooks.receiver import Endpoint
from webhooks.registry import sources

RULES_SECONDS: Final = 1.0
"""How long the web process relies on the active rules that it has seen, before it looks again."""
_NAMED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Line:
    """Settings, ports and active rules of one process."""

    def __init__(
        self,
        settings: Settings,
        *,
        environ: Mapping[str, str],
        database: Database | None = None,
        clock: Clock | None = None,
        http: Http | None = None,
        doorbell: Doorbell | None = None,
    ) -> None:
        self.settings = settings
        self.environ = environ
        self.database = database or Database(settings.database_url)
        self.clock = clock or SystemClock()
        self.http = http or OutgoingHttp(allow_private=settings.allow_private)
        self._private_http = http or OutgoingHttp(allow_private=True)
        self.doorbell = doorbell or _doorbell(settings)
        self.vault = Vault(settings.secret_key, settings.old_secret_keys)
        self._books: dict[str, Book] = {}
        self._active: str | None = None
        self._looked_at = float("-inf")
        self._loading = threading.Lock()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Line:
        """Return the line of this process; raise ConfigurationError with every mistake."""
        environ = os.environ if environ is None else environ
        return cls(Settings.from_env(environ), environ=environ)

    def book(self, *, at_most_seconds_old: float = 0.0) -> Book | None:
        """Return the active rules, None if none were ever activated."""
        now = time.monotonic()
        if now - self._looked_at > at_most_seconds_old:
            with self.database.read() as connection:
                self._active = versions.active(connection)
            self._looked_at = now
        return None if self._active is None else self.book_of(self._active)

    def book_of(self, version: str) -> Book:
        """Return the rules of a version, as they were; raise KeyError for an unknown one."""
        with self._loading:
            if version not in self._books:
                with self.database.read() as connection:
                    files = versions.files_of(connection, version)
                self._books[version] = Book.load(files)
            return self._books[version]

    def endpoint(self, name: str) -> Endpoint | None:
        """Return a configured endpoint with its secrets, None if the rules name none like it.

        Raise ConfigurationError if its secrets are not set: it then accepts nothing at all.
        """
        book = self.book(at_most_seconds_old=RULES_SECONDS)
        config = book.workspace.sources.get(name) if book else None
        if config is None or config.tool not in sources() or config.is_only_polled:
            return None
        is_open = config.settings.get("handshake") == "yes"
        if config.is_unsigned:
            token = self._value(config.settings.get("path_token", ""))
            return Endpoint(name, sources()[config.tool], (), path_token=token, is_open=is_open)
        values = resolve(config.secrets, self.environ)
        return Endpoint(
            name,
            sources()[config.tool],
            tuple(values[each] for each in config.secrets),
            is_open=is_open,
        )

    def missing(self, book: Book) -> list[str]:
        """Return what is wrong between rules and environment, one line a mistake."""
        mistakes = []
        for config in book.workspace.sources.values():
            if config.tool not in sources():
                known = ", ".join(sorted(sources()))
                mistakes.append(f'{config.where}: no tool "{config.tool}" - known are {known}')
        for connector in book.workspace.connectors.values():
            if connector.system not in billing_connectors():
                known = ", ".join(sorted(billing_connectors()))
                problem = f'no billing system "{connector.system}"'
                mistakes.append(f"{connector.where}: {problem} - known are {known}")
        mistakes += [
            f"{customer.at}: send_to names {customer.send_to}, which is not under connectors:"
            for customer in book.customers.values()
            if customer.send_to not in book.workspace.connectors
        ]
        try:
            resolve(book.secret_names(), self.environ)
        except ConfigurationError as error:
            mistakes += error.mistakes
        return mistakes

    def billing(self, name: str, **told: str) -> BillingConnector:
        """Return a configured billing connector; raise ConfigurationError if there is none.

        `told` are settings that the system has told and `workspace.yaml` does not have yet.
        """
        config, connector = self._configured(name)
        configured = self._resolved(config.settings) | told
        return connector(configured, CountingHttp(self._authorized(name, connector, configured)))

    def payer(self, customer: BilledCustomer) -> BilledCustomer:
        """Return a customer with what the rules say now of how it is found at its billing system.

        That stands on no invoice, so it may be said after the approval (docs/adr/0044).
        """
        book = self.book()
        own = book.customers.get(customer.key) if book else None
        if own is None:
            return customer
        books = own.books
        return replace(customer, remote_id=books.remote_id, may_be_created=books.may_be_created)

    def _authorized(
        self, name: str, connector: type[BillingConnector], configured: Mapping[str, str]
    ) -> Http:
        """Return the HTTP port for a connector: with its access token, if it has one that ends."""
        oauth = _identity_of(connector, configured)
        if oauth is None:
            is_private = configured.get("private_address") == "yes"
            return self._private_http if is_private else self.http
        access = AccessTokens(
            self.database,
            self.clock,
            self.vault,
            self.http,
            name=name,
            oauth=oauth,
            client=_client_of(configured),
        )
        return AuthorizedHttp(self.http, access)

    def identity(self, name: str) -> tuple[OAuth2, tuple[str, str]] | None:
        """Return where a billing connector's tokens come from, and id and secret of our app there.

        None if it has no such tokens; raise ConfigurationError if there is no such connector.
        """
        config, connector = self._configured(name)
        configured = self._resolved(config.settings)
        oauth = _identity_of(connector, configured)
        return None if oauth is None else (oauth, _client_of(configured))

    def configured(self, name: str) -> dict[str, str]:
        """Return a billing connector's settings, with the secrets that they name."""
        return self._resolved(self._configured(name)[0].settings)

    def _configured(self, name: str) -> tuple[ConnectorConfig, type[BillingConnector]]:
        book = self.book()
        config = book.workspace.connectors.get(name) if book else None
        if config is None or config.system not in billing_connectors():
            problem = f"connector {name}: is not under connectors: in workspace.yaml - add it"
            raise ConfigurationError([problem])
        return config, billing_connectors()[config.system]

    def take_credit_notes(self) -> frozenset[str]:
        """Return the names of the configured connectors that take credit notes."""
        return self._connectors(lambda abilities: abilities.credit)

    def records_payments(self) -> frozenset[str]:
        """Return the names of those whose payments are recorded here."""
        return self._connectors(lambda abilities: not abilities.knows_payments)

    def _connectors(self, which: Callable[[Abilities], bool]) -> frozenset[str]:
        book = self.book()
        configs = book.workspace.connectors.values() if book else ()
        systems = billing_connectors()
        return frozenset(
            config.name
            for config in configs
            if config.system in systems and which(systems[config.system].able(config.settings))
        )

    def billing_named_by(self, endpoint: str) -> dict[str, BillingConnector]:
        """Return the billing connectors that an endpoint's hints are about, by name.

        These are all those of its system.
        """
        book = self.book()
        source = book.workspace.sources.get(endpoint) if book else None
        if book is None or source is None:
            return {}
        return {
            config.name: self.billing(config.name)
            for config in book.workspace.connectors.values()
            if config.system == source.tool
        }

    def tool(self, endpoint: str) -> str | None:
        """Return which tool an endpoint is, None if the rules name no such endpoint."""
        book = self.book()
        config = book.workspace.sources.get(endpoint) if book else None
        return config.tool if config else None

    def polled(self) -> set[tuple[str, str]]:
        """Return which endpoints' tools are asked what webhooks missed, and which question."""
        book = self.book()
        wanted: set[tuple[str, str]] = set()
        for config in book.workspace.sources.values() if book else ():
            if not _can_be_called(config) or config.settings.get("poll") == "no":
                continue
            connector = project_connectors()[config.tool]
            if connector.polls:
                wanted.add((config.endpoint, polls.CHANGES))
            if connector.lists_entries:
                wanted.add((config.endpoint, polls.ENTRIES))
        return wanted

    def project(self, endpoint: str) -> ProjectConnector | None:
        """Return the connector to an endpoint's project tool, None if it cannot be called."""
        book = self.book()
        config = book.workspace.sources.get(endpoint) if book else None
        if config is None or not _can_be_called(config):
            return None
        configured = {**self._resolved(config.settings), "endpoint": endpoint}
        is_private = config.settings.get("private_address") == "yes"
        http = self._private_http if is_private else self.http
        return project_connectors()[config.tool](configured, http)

    def askable(self, book: Book | None = None) -> frozenset[str]:
        """Return the endpoints whose tool can be asked, by the active rules or by a book."""
        book = book or self.book()
        configs = book.workspace.sources.values() if book else ()
        return frozenset(config.endpoint for config in configs if _can_be_called(config))

    def told(self) -> list[str]:
        """Return the endpoints whose tool is told what became of the work."""
        book = self.book()
        configs = book.workspace.sources.values() if book else ()
        return [
            config.endpoint
            for config in configs
            if config.is_written_back and _can_be_called(config)
        ]

    def _resolved(self, configured: Mapping[str, str]) -> dict[str, str]:
        return {name: self._value(text) for name, text in configured.items()}

    def _value(self, text: str) -> str:
        names = _NAMED.findall(text)
        values = resolve(names, self.environ)
        return _NAMED.sub(lambda found: values[found[1]], text)


def _identity_of(connector: type[BillingConnector], configured: Mapping[str, str]) -> OAuth2 | None:
    """Return where tokens come from; the settings may lead to a sandbox instead."""
    oauth = connector.oauth
    if oauth is None:
        return None
    return replace(
        oauth,
        token_url=configured.get("token_url", oauth.token_url),
        authorize_url=configured.get("authorize_url", oauth.authorize_url),
    )


def _client_of(configured: Mapping[str, str]) -> tuple[str, str]:
    return configured.get("client_id", ""), configured.get("client_secret", "")


def _can_be_called(config: SourceConfig) -> bool:
    return config.tool in project_connectors() and bool(config.settings.get("token"))


def _doorbell(settings: Settings) -> Doorbell:
    return RedisDoorbell(settings.redis_url) if settings.redis_url else NoDoorbell()
