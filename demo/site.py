"""The agency's Billhook, up and running with its stand-ins, and the ways to reach them."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, select

from connectors.github.stand_in import TOKEN as GITHUB_TOKEN
from connectors.http import OutgoingHttp, Request, Response
from connectors.jira.stand_in import TOKEN as JIRA_TOKEN
from ledger.claims import in_state
from ledger.database import Database
from ledger.errors import ConnectorError
from worker import STAGES

from .folder import Folder
from .furniture import furniture
from .problems import DemoError
from .processes import LOOPBACK, REST_SECONDS, START_SECONDS, Processes, free_ports, is_free
from .tables import say
from .world import Posting

USUAL_PORT: Final = 8000


@dataclass
class Site:
    """A running Billhook: web, worker and clock, and the stand-ins around it."""

    processes: Processes
    environ: dict[str, str]
    web: str
    jira: str
    github: str
    stripe: str
    database: Database
    token: str = ""
    _http: OutgoingHttp = field(default_factory=lambda: OutgoingHttp(allow_private=True))

    def post(self, posting: Posting) -> str:
        """Post as the tool would; return accepted, repeated, refused, pong or the HTTP status."""
        name = posting.endpoint.upper().replace("-", "_") + "_SECRET"
        headers = posting.signed(self.environ[name], datetime.now(UTC))
        url = f"{self.web}/webhooks/{posting.endpoint}"
        answer = self._http.send(Request("POST", url, headers, posting.body))
        if answer.status == 202:
            return str(json.loads(answer.body)["status"])
        return {401: "refused", 200: "pong"}.get(answer.status, str(answer.status))

    def api(self, path: str, content: object = None) -> Any:
        """Return what Billhook's API answers; raise DemoError for an error."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._json(f"{self.web}/api/v1{path}", content, headers)

    def control(self, stand_in: str, path: str, content: object = None) -> Any:
        """Return what a stand-in's control address answers; raise DemoError for an error."""
        return self._json(f"{stand_in}/_control/{path}", content, {})

    def wait_for_rest(self) -> None:
        """Return once no row waits for any stage."""
        self.processes.wait_for("the line at rest", self._is_at_rest, most_seconds=REST_SECONDS)

    def _is_at_rest(self) -> bool:
        now = datetime.now(UTC)
        with self.database.read() as connection:
            return not any(_is_waiting(connection, stage, now) for stage in STAGES)

    def answers(self, url: str) -> bool:
        """Return whether an address answers 200."""
        try:
            return self._http.send(Request("GET", url)).status == 200
        except ConnectorError:
            return False

    def _json(self, url: str, content: object, headers: dict[str, str]) -> Any:
        answer = self._send(url, content, headers)
        if answer.status not in (200, 201):
            told = answer.body.decode(errors="replace")[:300]
            raise DemoError(f"{url}: answered {answer.status}: {told}")
        return json.loads(answer.body)

    def _send(self, url: str, content: object, headers: dict[str, str]) -> Response:
        if content is None:
            return self._http.send(Request("GET", url, headers))
        headers = {**headers, "Content-Type": "application/json"}
        return self._http.send(Request("POST", url, headers, json.dumps(content).encode()))


def _is_waiting(connection: Connection, stage: Any, now: datetime) -> bool:
    condition = in_state(stage.table, stage.state)
    if stage.only is not None:
        condition &= stage.only(now)
    return (
        connection.execute(select(stage.table.c.id).where(condition).limit(1)).first() is not None
    )


@contextmanager
def running(folder: Folder, first: date, port: int | None) -> Iterator[Site]:
    """Give a running site; every process ends with the block."""
    say(f"Setting up Billhook with its stand-ins in {folder.path} ...")
    spare, jira, github, stripe = free_ports(4)
    if port is None:
        port = USUAL_PORT if is_free(USUAL_PORT) else spare
    elif not is_free(port):
        raise DemoError(f"port {port}: somebody listens on it already - name another with --port")
    environ = _environ(folder, port, jira=jira, github=github, stripe=stripe)
    folder.copy_rules(first)
    folder.write_environment(environ)
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with Processes(folder, {**inherited, **environ, "PYTHONUNBUFFERED": "1"}) as processes:
        site = Site(
            processes,
            environ,
            web=environ["BILLHOOK_URL"],
            jira=environ["JIRA_URL"],
            github=environ["GITHUB_URL"],
            stripe=environ["STRIPE_URL"],
            database=Database(environ["DATABASE_URL"]),
        )
        hooks = f"{site.web}/webhooks/stripe"
        processes.start("jira", "-m", "connectors.jira.stand_in", "--port", str(jira))
        processes.start("github", "-m", "connectors.github.stand_in", "--port", str(github))
        processes.start("stripe", "-m", "demo.stripe_stand_in", str(stripe), hooks)
        processes.command("db", "upgrade")
        processes.command("rules", "activate")
        processes.start("web", *_gunicorn(port))
        processes.start("worker", "worker.py")
        processes.start("clock", "clock.py")
        for what, url in (
            ("Jira's stand-in", f"{site.jira}/_control/state"),
            ("GitHub's stand-in", f"{site.github}/_control/state"),
            ("Stripe's stand-in", f"{site.stripe}/_control/requests"),
            ("the web process", f"{site.web}/readyz"),
        ):
            processes.wait_for(what, partial(site.answers, url), most_seconds=START_SECONDS)
        for stand_in, path, content in furniture():
            site.control(environ[f"{stand_in.upper()}_URL"], path, content)
        site.token = processes.command("tokens", "create", "demo", "--role", "approver").split()[-1]
        yield site
        site.database.close()


def _gunicorn(port: int) -> list[str]:
    how = "--worker-class gthread --workers 2 --threads 8 --graceful-timeout 5 --no-control-socket"
    return ["-m", "gunicorn", "app:create_web()", *how.split(), "--bind", f"{LOOPBACK}:{port}"]


def _environ(folder: Folder, port: int, *, jira: int, github: int, stripe: int) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{folder.path}/billhook.sqlite3",
        "BILLHOOK_RULES": str(folder.rules),
        "BILLHOOK_SECRET_KEY": secrets.token_hex(32),
        "BILLHOOK_URL": f"http://{LOOPBACK}:{port}",
        "BILLHOOK_ALLOW_PRIVATE": "yes",
        "FLASK_SKIP_DOTENV": "1",
        "PORT": str(port),
        "JIRA_SECRET": secrets.token_hex(20),
        "JIRA_MUSEUM_SECRET": secrets.token_hex(20),
        "JIRA_URL": f"http://{LOOPBACK}:{jira}",
        "JIRA_TOKEN": JIRA_TOKEN,
        "GITHUB_SECRET": secrets.token_hex(20),
        "GITHUB_URL": f"http://{LOOPBACK}:{github}",
        "GITHUB_TOKEN": GITHUB_TOKEN,
        "SCRIPTS_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
        "STRIPE_URL": f"http://{LOOPBACK}:{stripe}",
        "STRIPE_API_KEY": "sk_test_" + secrets.token_hex(12),
        "STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(16),
    }
