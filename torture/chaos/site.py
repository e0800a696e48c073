"""A whole Billhook in real processes, with its servers, its project tool and its billing systems.

There are two kinds of site: `services` as on a platform (gunicorn, two workers that are rung by
Valkey, PostgreSQL) and `embedded` as on a laptop (gunicorn, a worker that looks by itself,
SQLite). Traffic stays on 127.0.0.1 and on Unix sockets in the site's own folder.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from connectors.jira import stand_in as jira_stand_in
from connectors.jira.stand_in import TOKEN as JIRA_TOKEN
from connectors.jira.stand_in import JiraStandIn
from connectors.stand_in import serve
from demo.processes import free_ports, is_free
from ledger import versions
from ledger.access import create_token
from ledger.database import Database, upgrade
from ledger.polls import progress
from mappings.book import Book
from torture.billing.system import TOKEN as BILLING_TOKEN

from .bodies import CANARY
from .firm import SECRETS, Rules
from .person import NoAnswerError, ask
from .processes import ROOT, Processes, TortureError
from .scaled import CLAIMANTS, OFFSET, TIMEOUT_SECONDS, override
from .servers import Postgres, Valkey, until
from .starter import Starter

PROFILES: Final = ("stripe-like", "accounting-like", "worst")
"""The billing system of each customer, in the order of `firm.AGREEMENTS`."""
WORKERS: Final = {"services": 4, "embedded": 2}
"""Half of what is struck are workers, and what one held waits for its lease to run out: with only
two, little would ever come to its end."""
COMMAND_SECONDS: Final = 60
VISIBLE_MS: Final = 1000
"""How long Jira leaves out what has just happened; in reality a minute."""
LOWEST_PORT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Done:
    """How a command has ended, and what it said."""

    returncode: int
    told: str


class Site:
    """Everything that runs; leaving the `with` block ends it."""

    def __init__(self, folder: Path, *, kind: str, seed: int, faulty_share: float) -> None:
        self.folder, self.kind, self.seed = folder, kind, seed
        self._faulty_share = faulty_share
        self.processes = Processes(folder)
        self._starter = Starter(self.processes.log_of("starter"))
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.offset = folder / "clock-offset"
        self.offset.write_text("0")
        self.claimants = folder / "claimants"
        self.claimants.mkdir()
        override(jira_stand_in, "MINUTE_MS", VISIBLE_MS)
        self.jira = JiraStandIn()
        self._serving = serve(self.jira)
        jira_url = self._serving.__enter__()
        self.port, *billing = _ports(1 + len(PROFILES))
        self.web = f"http://127.0.0.1:{self.port}"
        self.billing = {
            name: f"http://127.0.0.1:{port}" for name, port in zip(PROFILES, billing, strict=True)
        }
        self.rules = Rules(folder / "rules", connectors_of(PROFILES), PROFILES)
        self.base = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
        }
        self.environ = {
            **self.base,
            "PYTHONUNBUFFERED": "1",
            "FLASK_SKIP_DOTENV": "1",
            "BILLHOOK_RULES": str(self.rules.folder),
            "BILLHOOK_SECRET_KEY": f"{CANARY}-{secrets.token_hex(16)}",
            "BILLHOOK_URL": self.web,
            "BILLHOOK_ALLOW_PRIVATE": "yes",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2" if kind == "services" else "1",
            "JIRA_URL": jira_url,
            "JIRA_TOKEN": JIRA_TOKEN,
            "BILLING_TOKEN": BILLING_TOKEN,
            "SCRIPTS_SECRET": f"{CANARY}-{secrets.token_hex(10)}",
            OFFSET: str(self.offset),
            CLAIMANTS: str(self.claimants),
            **{name: f"{CANARY}-{secrets.token_hex(10)}" for name in SECRETS},
            **{_address(name): url for name, url in self.billing.items()},
        }
        self.signs_with = SECRETS[0]
        """The secret with which Jira signs just now."""
        self.token = ""
        self.up_in = 0.0
        """How many seconds the programs needed to be up."""

    def __enter__(self) -> Site:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop_all()
        self._starter.close()
        with suppress(Exception):
            self._serving.__exit__(None, None, None)

    @property
    def database_url(self) -> str:
        """Return where the ledger is, for whoever looks into it."""
        return self.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")

    def secret_of(self, endpoint: str) -> str:
        """Return the secret that a tool signs with just now."""
        return self.environ[self.signs_with if endpoint == "jira" else "SCRIPTS_SECRET"]

    def has_claimed(self, pid: int) -> bool:
        """Return whether a process has ever claimed work: before that a kill costs nothing."""
        return (self.claimants / str(pid)).exists()

    def flask(self, *words: str) -> Done:
        """Run a command of Billhook to its end; raise TimeoutExpired if it does not come to one."""
        with tempfile.NamedTemporaryFile(dir=self.folder, mode="r") as output:
            process = self._starter.start(["flask", *words], self.environ, Path(output.name))
            try:
                code = process.wait(COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            told = output.read()
        with self.processes.log_of("commands").open("a") as log:
            log.write(f"$ flask {' '.join(words)}: {code}\n{told}\n")
        return Done(code, told)

    def truth_of_billing(self) -> dict[str, list[dict[str, Any]]]:
        """Return all invoices of each billing system, as it keeps them."""
        return {name: ask(f"{url}/_truth")[1] for name, url in self.billing.items()}

    def faults_of_billing(self) -> dict[str, int]:
        """Return how often each kind of fault of the billing systems was effective."""
        counts: dict[str, int] = {}
        for url in self.billing.values():
            for kind, times in ask(f"{url}/_faults")[1].items():
                counts[kind] = counts.get(kind, 0) + times
        return counts

    def _begin(self) -> None:
        if self.kind == "services":
            self.postgres = Postgres(self.processes, self.folder / "postgres", self.base)
            self.valkey = Valkey(self.processes, self.folder / "valkey", self.base)
            self.environ["DATABASE_URL"] = self.postgres.url
            self.environ["REDIS_URL"] = self.valkey.url
        else:
            (self.folder / "ledger").mkdir(exist_ok=True)
            self.environ["DATABASE_URL"] = f"sqlite:///{self.folder}/ledger/billhook.sqlite3"
        for name in self.billing:
            self._start_billing(name)
        self.rules.write()
        upgrade(self.database_url)
        database = Database(self.database_url)
        try:
            self.token = database.write(self._set_up)
            begun = time.monotonic()
            self._start_programs()
            until(self._is_up, "Billhook", self.processes)
            self.up_in = time.monotonic() - begun
            until(partial(_has_polled, database), "the first poll", self.processes)
        finally:
            database.close()

    def _set_up(self, connection: Connection) -> str:
        """Activate the rules, as the release of a platform does; return a person's token."""
        now, book = datetime.now(UTC), Book.read_folder(self.rules.folder)
        versions.activate(connection, book.version, book.files, by="torture", now=now)
        return create_token(connection, "person", "approver", actor="torture", now=now)

    def calm(self) -> None:
        """Let the billing systems and the project tool behave from now on."""
        with self.jira._lock:
            self.jira.faults.clear()
        for name in PROFILES:
            program = self.processes.programs[f"billing-{name}"]
            program.command = self._billing(name, 0.0)
            if program.is_running and program.process is not None:
                program.process.terminate()

    def _start_billing(self, name: str) -> None:
        self.processes.add(
            f"billing-{name}",
            *self._billing(name, self._faulty_share),
            environ=self.base,
            starter=self._starter,
        )

    def _billing(self, name: str, share: float) -> tuple[str, ...]:
        port = self.billing[name].rpartition(":")[2]
        return (
            *("billing", "--port", port, "--profile", name),
            *("--store", str(self.folder / f"{name}.sqlite3"), "--seed", str(self.seed)),
            *("--share", str(share), "--client-timeout", str(TIMEOUT_SECONDS)),
        )

    def _start_programs(self) -> None:
        add = partial(self.processes.add, environ=self.environ, starter=self._starter)
        add("web", *_web(self.environ))
        for number in range(WORKERS[self.kind]):
            add(f"worker-{number + 1}", "worker")
        add("clock", "clock")

    def _is_up(self) -> bool:
        """Return whether our own Billhook answers: nobody else's knows our token."""
        try:
            asked = [ask(f"{self.web}/api/v1/invoices", token=self.token)[0]]
            asked += [ask(f"{url}/_faults")[0] for url in self.billing.values()]
        except NoAnswerError:
            return False
        return set(asked) == {200}


def _web(environ: Mapping[str, str]) -> list[str]:
    """Return how the `Procfile` starts the web processes, with the programs of torture."""
    named = re.search(r"^web: (gunicorn .*)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    if named is None:
        raise TortureError("the Procfile starts no gunicorn")
    line = named[1].replace("app:create_web()", "torture.chaos.programs:create_web()")
    # Only a shell knows what the line says.
    told = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {line}"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.splitlines()


def _ports(count: int) -> list[int]:
    found = [port for port in free_ports(4 * count) if port >= LOWEST_PORT and is_free(port)]
    if len(found) < count:
        raise TortureError("there are not enough free ports")
    return found[:count]


def _word(profile: str) -> str:
    return profile.replace("-", "_")


def _address(profile: str) -> str:
    return f"BILLING_{_word(profile).upper()}"


def connectors_of(profiles: Sequence[str]) -> str:
    """Return the lines under `connectors:` for these billing systems."""
    return "\n".join(
        f'  {name}: {{system: torture_{_word(name)}, url: "${{{_address(name)}}}", '
        f'token: "${{BILLING_TOKEN}}"}}'
        for name in profiles
    )


def _has_polled(database: Database) -> bool:
    """Return whether Jira was asked once: what happens from now on is found by the next polls."""
    with database.read() as connection:
        return any(each.polled_at for each in progress(connection) if each.what == "changes")
