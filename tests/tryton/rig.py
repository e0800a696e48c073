"""The contract tests' rig over a real Tryton server, which one test process shares."""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from connectors.contract import ContractRig
from connectors.http import Http, OutgoingHttp, Request, Response
from connectors.tryton.stand_in import rig_for
from connectors.tryton.stand_in.person import Person
from connectors.tryton.stand_in.site import PASSWORD as OURS
from connectors.tryton.stand_in.site import SERVICES
from connectors.tryton.stand_in.site import USER as BILLHOOK
from tests.tryton_server import DATABASE, PASSWORD, USER, TrytonServer, running


@cache
def shared_server() -> TrytonServer:
    """Return this process's server, running until the process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="billhook-tryton-"))
    return stack.enter_context(running(Path(folder)))


@cache
def shared_person() -> Person:
    """Return somebody who works in the shared server's books."""
    return person_at(shared_server())


def person_at(server: TrytonServer) -> Person:
    """Return somebody who has logged in to a server and works in its one company."""
    person = Person(OutgoingHttp(allow_private=True), server.url, DATABASE, USER, PASSWORD)
    # As Tryton's own client does, which is how the groups of a user get their rights.
    told = person.call("model.res.user.get_preferences", True, {})
    person.context = {"company": told["company"], "groups": told["groups"]}
    return person


def settings_for(server: TrytonServer) -> dict[str, str]:
    """Return the connector's settings for a server."""
    return {
        "url": server.url,
        "database": DATABASE,
        "user": BILLHOOK,
        "password": OURS,
        "account": SERVICES,
    }


class LogsInOnce:
    """Answers a login as the server did before: it takes a fifth of a second, on purpose."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self._known: dict[bytes, Response] = {}

    def send(self, request: Request) -> Response:
        """Return the answer."""
        asked = request.body or b""
        if asked in self._known:
            return self._known[asked]
        answer = self._inner.send(request)
        if b'"common.db.login"' in asked and answer.status == 200:
            self._known[asked] = answer
        return answer


@cache
def shared_http() -> Http:
    """Return the port to the shared server."""
    return LogsInOnce(OutgoingHttp(allow_private=True))


def contract_setup(_folder: Path) -> ContractRig:
    """Return a rig over the shared server, with nothing of ours in it."""
    person = shared_person()
    person.forget()
    return rig_for(shared_http(), settings_for(shared_server()), shared_person)
