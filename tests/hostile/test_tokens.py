"""Two workers and one rotating token: it is never used twice, and what is lost is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from connectors.http import Http, Request, Response
from connectors.oauth import AuthorizedHttp, RefusedGrantError
from connectors.stand_in import Fault, InProcess, serve
from connectors.stand_in_identity import API_PATH, IdentityStandIn
from ledger import tokens
from ledger.database import Database
from ledger.errors import PermanentError, TransientError
from ledger.tokens import LEASE_SECONDS, Pair, Stored
from ledger.vault import Vault
from tests.hostile.renewing import KEY, NAME, SITE, access_tokens
from tests.journeys.house import TestClock

ROOT = Path(__file__).parent.parent.parent
VAULT = Vault(KEY)


class Crash(BaseException):
    """The process dies here."""


class Hooked:
    """The HTTP port with something that happens before and after each request."""

    def __init__(self, site: IdentityStandIn) -> None:
        self._inside = InProcess(site)
        self.before: Callable[[Request], None] = lambda request: None
        self.after: Callable[[Request], None] = lambda request: None

    def send(self, request: Request) -> Response:
        self.before(request)
        answer = self._inside.send(request)
        self.after(request)
        return answer


class Connected:
    """One database, one identity provider, and a connection that a person has made."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = TestClock()
        self.site = IdentityStandIn(self.clock)
        self.connect()

    def connect(self) -> None:
        """Do what `flask secrets store` does."""
        now = self.clock.now()
        pair = Pair("", self.site.consent(), now)
        self.database.write(
            lambda connection: tokens.store(connection, VAULT, NAME, pair, actor="mia", now=now)
        )

    def worker(self, http: Http | None = None, **more: Any) -> Any:
        """Return another worker's way to the token; waiting for a sibling takes no time."""
        more = {"delay": lambda seconds: None, **more}
        http = http or InProcess(self.site)
        return access_tokens(self.database, http, clock=self.clock, **more)

    def stored(self) -> Stored:
        with self.database.read() as connection:
            found = tokens.load(connection, VAULT, NAME)
        assert found is not None
        return found


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def shared(database: Database) -> Connected:
    """Give one on both kinds of database, where several workers meet."""
    return Connected(database)


@pytest.fixture
def connected(sqlite_url: str) -> Iterator[Connected]:
    database = Database(sqlite_url)
    yield Connected(database)
    database.close()


@pytest.fixture
def unsure(connected: Connected) -> Connected:
    """Give one whose identity provider takes no revenge for a token that is shown again."""
    connected.site.revokes_family = False
    return connected


def all_at_once(workers: list[Any]) -> list[str]:
    """Let every worker ask for a token at the same moment."""
    barrier = threading.Barrier(len(workers))

    def ask(worker: Any) -> str:
        barrier.wait()
        return str(worker.current())

    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(ask, workers))


def test_of_many_threads_one_renews_and_all_get_its_token(shared: Connected) -> None:
    workers = [shared.worker(delay=lambda seconds: threading.Event().wait(0.005)) for _ in range(8)]
    for round_number in range(1, 6):
        assert len(set(all_at_once(workers))) == 1
        assert (shared.site.renewals, shared.site.reuses) == (round_number, 0)
        shared.clock.go_on(1800)


def test_without_the_lease_a_refresh_token_is_used_twice(
    shared: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: it shows that the stand-in would notice."""
    monkeypatch.setattr(tokens, "begin", lambda *_: "anybody's")
    monkeypatch.setattr(Stored, "is_being_renewed", lambda *_: False)
    barrier = threading.Barrier(2)
    http = Hooked(shared.site)

    def meet(request: Request) -> None:
        barrier.wait()

    http.before = meet
    workers = [shared.worker(http) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool, suppress(PermanentError):
        list(pool.map(lambda worker: worker.current(), workers))
    assert shared.site.reuses == 1


def test_of_many_processes_none_uses_a_token_twice(database: Database) -> None:
    # So short a life that every question is a reason to renew.
    site = IdentityStandIn(lasts_seconds=2)
    now = datetime.now(UTC)
    pair = Pair("", site.consent(), now)
    database.write(
        lambda connection: tokens.store(connection, VAULT, NAME, pair, actor="mia", now=now)
    )
    with serve(site) as address:
        command = [sys.executable, "-m", "tests.hostile.renewing", database.url, address, "12"]
        workers = [
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        answers = [int(worker.communicate("\n")[0]) for worker in workers]
    assert sum(answers) == 36
    assert site.renewals >= 12
    assert site.reuses == 0


def test_a_pair_is_stored_before_it_is_used(connected: Connected) -> None:
    http = Hooked(connected.site)
    seen: list[str] = []

    def look(request: Request) -> None:
        if request.url.endswith(API_PATH):
            seen.append(f"Bearer {connected.stored().pair.access}")
            assert request.headers["Authorization"] == seen[-1]

    http.before = look
    answer = AuthorizedHttp(http, connected.worker(http)).send(Request("GET", SITE + API_PATH))
    assert (answer.status, len(seen)) == (200, 1)


def test_a_token_that_holds_is_not_renewed(connected: Connected) -> None:
    worker = connected.worker()
    first = worker.current()
    connected.clock.go_on(1700)
    assert worker.current() == first
    connected.clock.go_on(45)
    assert worker.current() != first
    assert connected.site.renewals == 2


def test_a_token_that_is_turned_away_is_renewed_once(connected: Connected) -> None:
    http = AuthorizedHttp(InProcess(connected.site), connected.worker())
    assert http.send(Request("GET", SITE + API_PATH)).status == 200
    connected.site.faults.append(Fault("401", API_PATH))
    assert http.send(Request("POST", SITE + API_PATH)).status == 200
    assert connected.site.renewals == 2
    connected.site.faults += [Fault("401", API_PATH), Fault("401", API_PATH)]
    assert http.send(Request("GET", SITE + API_PATH)).status == 401
    assert connected.site.renewals == 3


def test_while_another_worker_renews_the_old_token_serves_or_the_work_is_put_off(
    connected: Connected,
) -> None:
    worker = connected.worker()
    first = worker.current()
    connected.clock.go_on(1770)
    version = connected.stored().version
    assert connected.database.write(
        lambda connection: tokens.begin(connection, NAME, version, connected.clock.now())
    )
    assert worker.current() == first
    connected.clock.go_on(30)
    with pytest.raises(TransientError, match="another worker") as caught:
        worker.current()
    assert caught.value.retry_after == LEASE_SECONDS - 30 + 1
    assert (connected.site.renewals, connected.site.reuses) == (1, 0)


def test_a_sibling_that_won_is_believed(unsure: Connected) -> None:
    http = Hooked(unsure.site)
    sibling: list[str] = []

    def oversleep(request: Request) -> None:
        if not sibling:
            unsure.clock.go_on(LEASE_SECONDS + 1)
            sibling.append(unsure.worker().current())

    http.before = oversleep
    assert unsure.worker(http).current() == sibling[0]
    assert unsure.site.reuses == 1
    assert unsure.stored().needs_reauth is None


def test_who_slept_for_longer_than_its_lease_still_stores_the_only_good_pair(
    unsure: Connected,
) -> None:
    http = Hooked(unsure.site)

    def oversleep(request: Request) -> None:
        unsure.clock.go_on(LEASE_SECONDS + 1)
        with pytest.raises(PermanentError):
            unsure.worker().current()

    http.after = oversleep
    token = unsure.worker(http).current()
    stored = unsure.stored()
    assert (stored.pair.access, stored.needs_reauth) == (token, None)


def test_a_refused_refresh_token_is_told_and_not_tried_again(connected: Connected) -> None:
    stolen = connected.stored().pair.refresh
    worker = connected.worker()
    worker.current()
    # A thief shows the used token: the family is gone.
    with pytest.raises(RefusedGrantError):
        worker._ask(Pair("", stolen, connected.clock.now()))
    connected.clock.go_on(1800)
    for _ in range(3):
        with pytest.raises(
            PermanentError, match=r"^ledgerly: its refresh token .*flask secrets store"
        ):
            worker.current()
    assert len(connected.site.requests) == 3
    connected.connect()
    assert worker.current()


def test_a_crash_between_renewal_and_storing_is_found_and_told(connected: Connected) -> None:
    http = Hooked(connected.site)

    def crash(request: Request) -> None:
        raise Crash

    http.after = crash
    with pytest.raises(Crash):
        connected.worker(http).current()
    worker = connected.worker()
    with pytest.raises(TransientError, match="another worker"):
        worker.current()
    connected.clock.go_on(LEASE_SECONDS + 1)
    with pytest.raises(
        PermanentError, match=r"began 2026-11-22 09:00 UTC was cut off.*secrets store"
    ):
        worker.current()
    connected.connect()
    assert worker.current()
    assert connected.stored().refreshing_since is None


def test_a_crash_before_the_renewal_was_sent_costs_only_time(connected: Connected) -> None:
    http = Hooked(connected.site)

    def crash(request: Request) -> None:
        raise Crash

    http.before = crash
    with pytest.raises(Crash):
        connected.worker(http).current()
    connected.clock.go_on(LEASE_SECONDS + 1)
    assert connected.worker().current()
    assert connected.site.reuses == 0


@pytest.mark.parametrize("fault", ["drop_reply", "500_after", "html"])
def test_a_lost_answer_leaves_a_doubt_that_is_told(unsure: Connected, fault: str) -> None:
    unsure.site.faults.append(Fault(fault))
    worker = unsure.worker()
    with pytest.raises(TransientError, match="not known"):
        worker.current()
    assert unsure.stored().refreshing_since is not None
    if fault == "html":
        assert worker.current()
        assert unsure.stored().refreshing_since is None
        return
    with pytest.raises(PermanentError, match="was cut off"):
        worker.current()


@pytest.mark.parametrize(("fault", "error"), [("429", TransientError), ("403", PermanentError)])
def test_a_definite_refusal_leaves_the_refresh_token_as_good(
    unsure: Connected, fault: str, error: type[Exception]
) -> None:
    unsure.site.faults.append(Fault(fault))
    worker = unsure.worker()
    with pytest.raises(error):
        worker.current()
    assert unsure.stored().refreshing_since is None
    assert worker.current()


def test_a_database_that_is_away_just_then_costs_no_pair(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, failures = Hooked(connected.site), [1, 2, 3]
    commit = connected.database.commit

    def fail(go_on: Callable[[], None]) -> None:
        if http.after is renewed and failures and connected.site.renewals:
            failures.pop()
            raise OperationalError("commit", {}, Exception("away"))
        commit(go_on)

    def renewed(request: Request) -> None:
        pass

    http.after = renewed
    monkeypatch.setattr(connected.database, "commit", fail)
    token = connected.worker(http).current()
    assert failures == []
    assert connected.stored().pair.access == token


def test_no_token_is_in_an_error(unsure: Connected) -> None:
    texts = []
    for fault in ("drop_reply", "500", "403", "401", "html", "429"):
        unsure.site.faults.append(Fault(fault))
        with pytest.raises((TransientError, PermanentError)) as caught:
            unsure.worker().current()
        texts.append(f"{caught.value} {caught.value!r} {caught.value.__cause__!r}")
        unsure.connect()
    assert not [text for text in texts if "token-0" in text or "client-secret" in text]


def test_a_connection_nobody_made_says_how_to_make_it(sqlite_url: str) -> None:
    with pytest.raises(
        PermanentError, match=r"is not connected yet - .*`flask secrets store ledgerly`"
    ):
        access_tokens(Database(sqlite_url), InProcess(IdentityStandIn())).current()
