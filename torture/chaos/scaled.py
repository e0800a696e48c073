"""Waits that are shorter in a torture run, and a clock that can be set: never in production.

What takes a minute in production must happen hundreds of times in a run of two. So the programs
of `programs.py` shrink the waits below before the product reads them. Nothing else is changed:
the stages, the claims and the connectors are those of production.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

LEASE_SECONDS: Final = 4
"""Production: 20."""
LONGEST_WAIT_SECONDS: Final = 4
"""Production: 300."""
MOST_ATTEMPTS: Final = 40
"""Production: 5. Here workers die that much more often, and not because of the row."""
LONGEST_REST_SECONDS: Final = 1
"""Production: 15 minutes, the first of one minute. Two attempts of three meet a fault here, so that
a billing system rests often, and longer rests would leave too few faults to be met."""
TIMEOUT_SECONDS: Final = 1.5
"""Production: 30. The billing systems commit up to 2.5 s after it, and may not show that for 2 s.
How long it is quiet after a request without an answer follows from all three: 7 s, in production
60; see `register`."""
POLL_SECONDS: Final = 3
"""How often a project tool is asked. Production: minutes."""
LOOK_SECONDS: Final = 5
"""How often an invoice is looked at on which money may move. Production: an hour."""
OVERLAP_MS: Final = 10_000
"""Production: some minutes."""
LEASE_SHORTENED_BY: Final = 20 - LEASE_SECONDS
"""Seconds to add to a measured recovery for what it would be under the lease of production."""

OFFSET: Final = "TORTURE_OFFSET"
"""The environment variable that names the file with the clock's error, in seconds."""
CLAIMANTS: Final = "TORTURE_CLAIMANTS"
"""The environment variable that names the folder with a file for each process that ever claimed."""


class TortureClock:
    """The machine's clock plus an error that stands in a file, which the nemesis rewrites."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def now(self) -> datetime:
        """Return the present moment by this clock: aware, UTC."""
        moment = datetime.now(UTC)
        if self._path is None:
            return moment
        try:
            return moment + timedelta(seconds=float(self._path.read_text() or 0))
        except (OSError, ValueError):
            return moment


def shrink() -> None:
    """Shorten the waits; call this before anything of the product has read them."""
    from connectors.jira import polling
    from connectors.jira.connector import JiraConnector
    from ledger import breakers, claims, pushing, sync

    override(claims, "LEASE_SECONDS", LEASE_SECONDS)
    override(claims, "LONGEST_WAIT_SECONDS", LONGEST_WAIT_SECONDS)
    override(claims, "MOST_ATTEMPTS", MOST_ATTEMPTS)
    override(claims, "secrets", SimpleNamespace(token_hex=_token))
    override(breakers, "FIRST_REST", timedelta(seconds=LONGEST_REST_SECONDS / 2))
    override(breakers, "LONGEST_REST", timedelta(seconds=LONGEST_REST_SECONDS))
    override(breakers, "PROBE", timedelta(seconds=LEASE_SECONDS))
    override(pushing, "KEY_MARGIN", timedelta(seconds=1))
    override(sync, "POLL", timedelta(seconds=LOOK_SECONDS))
    override(sync, "POLL_FINAL", timedelta(seconds=3 * LOOK_SECONDS))
    override(polling, "OVERLAP_MS", OVERLAP_MS)
    override(polling, "ISSUE_OVERLAP_MS", OVERLAP_MS)
    override(JiraConnector, "poll_seconds", POLL_SECONDS)

    from torture.billing.connector import register
    from torture.billing.profiles import SCALED

    # Where the sender was killed, the quiet period begins with the request: what comes late must
    # be on the lists before it is over.
    late = SCALED.late + SCALED.stale
    register(replace(SCALED, client_timeout=TIMEOUT_SECONDS, late=late))

    import worker
    from connectors import push
    from connectors.http import OutgoingHttp
    from line import Line
    from settings import Settings

    override(worker, "OUTAGE", timedelta(seconds=2 * POLL_SECONDS))
    override(push, "PERMANENT_WAIT_SECONDS", LONGEST_WAIT_SECONDS)

    def from_env(environ: Mapping[str, str] | None = None) -> Line:
        environ = os.environ if environ is None else environ
        path = environ.get(OFFSET)
        http = OutgoingHttp(allow_private=True, timeout_seconds=TIMEOUT_SECONDS)
        clock = TortureClock(Path(path) if path else None)
        return Line(Settings.from_env(environ), environ=environ, clock=clock, http=http)

    override(Line, "from_env", staticmethod(from_env))


def owner_of(token: str) -> int:
    """Return the process that has made a fencing token, see `_token`."""
    return int(token[:8], 16)


def _token(size: int) -> str:
    """Return a fencing token that begins with its process's number: whose claim a kill left."""
    pid, folder = os.getpid(), os.environ.get(CLAIMANTS)
    if folder and pid not in _known:
        _known.add(pid)
        (Path(folder) / str(pid)).touch()
    return f"{pid:08x}{secrets.token_hex(size - 4)}"


_known: set[int] = set()


def override(place: ModuleType | type[Any], name: str, value: object) -> None:
    """Set what is there; raise AttributeError for a name that the product no longer has."""
    getattr(place, name)
    setattr(place, name, value)
