"""The people of a torture run: one approves what it sees, others pay, finalize and void.

Approving goes through the API with the hash of the content that was shown. What happens at the
billing system is ordered there, as somebody in its own pages would do it.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit
from zlib import crc32

from .firm import GULF
from .workload import BULK, BULK_DAY

TIMEOUT_SECONDS: Final = 5
PAUSE_SECONDS: Final = 0.5
LONGEST: Final = f"{GULF.key}-{BULK_DAY:%Y-%m}"
"""The invoice that is not approved before it has its thousand lines."""
A_ROUND: Final = 4
"""The most drafts that are approved in one round, and how much then happens elsewhere."""
LEFT_ALONE: Final = 3
"""One of so many invoices stays the draft at its billing system that it was pushed as, or people
would be quicker than those who work on, and no entry would change while it stands on one."""


class NoAnswerError(Exception):
    """Nobody answered, or not with JSON."""


def ask(url: str, content: object = None, token: str = "") -> tuple[int, Any]:
    """Return status and JSON of an answer; raise NoAnswerError if there is none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS
    )
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = None if content is None else json.dumps(content)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(f"{parts.path}: {type(error).__name__}") from error
    finally:
        connection.close()


class Person:
    """Approves drafts and lets things happen to what was pushed, until told to rest."""

    def __init__(
        self,
        web: str,
        token: str,
        systems: Sequence[str],
        dice: random.Random,
        happenings: Sequence[str],
    ) -> None:
        """`systems` are the addresses of the billing systems, `happenings` what happens there."""
        self._web, self._token, self._systems = f"{web}/api/v1", token, systems
        self._dice, self._happenings = dice, happenings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="person", daemon=True)
        self.done: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Go home."""
        self._stopping.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            try:
                self._approve_some()
                self._let_something_happen()
            except NoAnswerError:
                self.done["no answer"] += 1

    def finish(self) -> None:
        """Approve whatever is a draft, so that what was being amended comes to its end."""
        with suppress(NoAnswerError):
            for each in self._drafts():
                self._approve(each)

    def _approve_some(self) -> None:
        drafts = self._drafts()
        for reference in self._dice.sample(drafts, min(A_ROUND, len(drafts))):
            self._approve(reference)

    def _drafts(self) -> list[str]:
        status, told = ask(f"{self._web}/invoices?state=draft&limit=200", token=self._token)
        if status != 200:
            self.done[f"looked, {status}"] += 1
            return []
        return [str(each["reference"]) for each in told["invoices"]]

    def _approve(self, reference: str) -> None:
        status, seen = ask(f"{self._web}/invoices/{reference}", token=self._token)
        if status != 200 or (reference == LONGEST and len(seen["lines"]) < BULK):
            return
        approval = {"content_hash": seen["content_hash"]}
        status, _ = ask(f"{self._web}/invoices/{reference}/approve", approval, self._token)
        self.done["approved" if status == 200 else f"not approved, {status}"] += 1

    def _let_something_happen(self) -> None:
        status, told = ask(f"{self._web}/invoices?state=pushed&limit=200", token=self._token)
        # Nobody deletes there what has not yet arrived.
        arrived = {each["reference"] for each in told["invoices"]} if status == 200 else set()
        system = self._dice.choice(self._systems)
        _, told = ask(f"{system}/_truth")
        there = [each for each in told if each["reference"] in arrived]
        for what in self._dice.choices(self._happenings, k=A_ROUND):
            fitting = [each for each in there if self._fits(what, each)]
            if not fitting:
                continue
            chosen = self._dice.choice(fitting)
            there.remove(chosen)
            order = {"what": what, "reference": chosen["reference"]}
            ask(f"{system}/_happen", {**order, "amount": chosen["total"] if what == "pay" else 0})
            self.done[what] += 1

    def _fits(self, what: str, invoice: dict[str, Any]) -> bool:
        """Return whether something can happen to an invoice that is whole."""
        if len(invoice["lines"]) != invoice["header"].get("lines"):
            return False
        is_left_alone = crc32(invoice["reference"].encode()) % LEFT_ALONE == 0
        wanted = {"finalize": "draft", "delete": "draft", "touch": "draft"}.get(what, "open")
        if wanted == "draft" and is_left_alone:
            return False
        return str(invoice["state"]) == wanted and not (what == "pay" and invoice["paid"])
