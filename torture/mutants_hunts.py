"""What notices the mutants: short plays that hold in the sound product and break in a mutant.

Each returns the promises that it saw broken, as a run would notice them: in the ledger against the
truth, in the audit, or in what the billing system holds. `torture/mutants.py` says which is whose.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest import mock
from urllib.parse import parse_qsl

from sqlalchemy.exc import IntegrityError

import worker
from connectors.http import Request, Response
from connectors.oauth import AccessTokens, OAuth2
from ledger import assembly, tables, tokens
from ledger.claims import claim
from ledger.database import Database, upgrade
from ledger.errors import ConnectorError
from ledger.ports import SystemClock
from ledger.tokens import Pair
from ledger.vault import Vault

from .billing.store import Store
from .billing.tokens import Tokens
from .crash import quick
from .crash_explore import replay
from .model_checks import Broken
from .model_firm import Firm
from .model_truth import Entry
from .model_world import World

WORKERS: Final = 6
"""How many workers find the old token at once."""


def schedule(scenario: str, point: str, fault: str) -> list[str]:
    """Play a scenario of the crash points with one fault: a process, a database or a reply lost."""
    with quick():
        played = replay(scenario, [(point, fault)], lambda _: None)
    if not played.blows:
        raise LookupError(f"no {fault} at {point} in the scenario {scenario}")
    return list(played.broken)


def run_of(*moves: Sequence[str | int | bool]) -> list[str]:
    """Play a run of the stateful test; each move is a step, its numbers and whether to work."""

    def play(world: World) -> None:
        for name, *numbers, work in moves:
            world.play(str(name), *map(int, numbers), work=bool(work))
        world.end()

    return _played(play)


def redelivered_after_restart() -> list[str]:
    """A tool sends an old delivery once more, with its own id, after everything was restarted."""

    def play(world: World) -> None:
        world.play("log", 0, 0, 0)
        world.play("more time", 0)
        world.play("restart")
        world.again(world.sent[Entry, 1][0], False)
        world.work()

    return _played(play)


def two_assemblers() -> list[str]:
    """Two workers assemble a customer; the second has read its drafts before the first commits.

    Neither the claim nor its fence stands in the second one's way: only the draft's own key does.
    """

    def play(world: World) -> None:
        line = world.firm.line
        world.play("log", 0, 0, 0, work=False)
        _work_on(world, "normalize", "map")
        claimed = line.database.write(
            lambda connection: claim(connection, tables.customer, "waiting", line.clock.now(), 1)
        )
        worker.assemble(line, claimed)
        with (
            mock.patch.object(assembly, "_drafts", return_value={}),
            mock.patch.object(assembly, "hold_one", lambda _, claimed: claimed.ids[0]),
            suppress(IntegrityError),
        ):
            worker.assemble(line, claimed)
        world.work()

    return _played(play)


def changed_after_approval() -> list[str]:
    """A draft is approved, and an edit is on it before the push begins."""

    def play(world: World) -> None:
        world.play("log", 0, 0, 0)
        world.play("approve", 0, work=False)
        world.play("more time", 0, work=False)
        _work_on(world, "normalize", "map", "assemble")
        world.work()

    return _played(play)


def _work_on(world: World, *names: str) -> None:
    """Let each of some stages take one batch, and no other stage."""
    for stage in worker.STAGES:
        if stage.name in names:
            worker.run(world.firm.line, stage)


def _played(play: Callable[[World], None]) -> list[str]:
    firm = Firm()
    try:
        play(World(firm))
    except Broken as broken:
        return [str(broken)]
    finally:
        firm.close()
    return []


class _IdentityProvider:
    """An identity provider whose refresh tokens are good once, and whose answers take a while.

    It waits a moment for all workers to ask, so that whoever asks beside another does it at once.
    """

    def __init__(self, issued: Tokens) -> None:
        self._issued = issued
        self._all_ask = threading.Barrier(WORKERS)
        self._one_by_one = threading.Lock()

    def send(self, request: Request) -> Response:
        """Answer a refresh."""
        with suppress(threading.BrokenBarrierError):
            self._all_ask.wait(timeout=0.3)
        with self._one_by_one:
            form = dict(parse_qsl((request.body or b"").decode()))
            status, answer = self._issued.refresh(form)
        return Response(status, {}, json.dumps(answer).encode())


def workers_at_an_old_token() -> list[str]:
    """Several workers need a connection whose token has just expired."""
    clock, broken = SystemClock(), list[str]()
    issued = Tokens(Store(), lambda: clock.now().timestamp(), life_seconds=3600)
    first = issued.authorize()
    old = Pair(first["access_token"], first["refresh_token"], clock.now() - timedelta(minutes=1))
    vault = Vault("k" * 40)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        url = f"sqlite:///{Path(folder) / 'tokens.sqlite3'}"
        upgrade(url)
        database = Database(url)
        stack.callback(database.close)
        database.write(
            lambda connection: tokens.store(
                connection, vault, "books", old, actor="mia", now=clock.now()
            )
        )
        access = AccessTokens(
            database,
            clock,
            vault,
            _IdentityProvider(issued),
            name="books",
            oauth=OAuth2("https://id.example/token"),
            client=("us", "secret"),
        )

        def need() -> None:
            try:
                if not issued.is_welcome(access.current()):
                    broken.append("a worker goes on with a token that was revoked")
            except ConnectorError as error:
                broken.append(f"a worker stands still: {error}")

        threads = [threading.Thread(target=need) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if issued.reused:
        broken.insert(0, f"a refresh token was used {issued.reused + 1} times, all are revoked")
    return broken
