"""The admin of a torture run, who changes rules and secrets while the firm works.

Each round: a rule file is left broken and must be refused, then mended with a new rate and a
second webhook secret, then the first secret goes. Nothing that is posted may be turned away.
Between the rounds the admin looks at pushes that have stopped, and has them go on.
"""

from __future__ import annotations

import http.client
import subprocess
import threading
from collections import Counter
from typing import Final

from ledger.amending import KEEP

from .bodies import Posting
from .firm import RAISES, SECRETS
from .sender import TIMEOUT_SECONDS
from .site import Done, Site
from .watch import Watch

SEEN_SECONDS: Final = 1.5
"""After as long every web process knows the rules that were activated."""
PAUSE_SECONDS: Final = 1.0
STALE: Final = b'{"timestamp": 1, "webhookEvent": "comment_created"}'


class Admin:
    """Works in a thread of its own until told to stop."""

    def __init__(self, site: Site, watch: Watch) -> None:
        self._site, self._watch = site, watch
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="admin", daemon=True)
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.raises = 0
        """How many raises are active: from then on there may be work on later days."""

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the command that runs."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        for number in range(len(SECRETS) - 1):
            self._break_rules()
            self._mend(number)
            self._drop_old_secret(number)
            self.go_on()
            if self._stopping.wait(PAUSE_SECONDS):
                return

    def go_on(self) -> None:
        """Have go on what waits until somebody has looked: stopped pushes, and conflicts."""
        for reference in self._watch.stopped():
            if self._site.flask("invoices", "push", reference).returncode == 0:
                self.done["push went on by hand"] += 1
        for number, reference in enumerate(self._watch.in_conflict()):
            keep = KEEP[number % len(KEEP)]
            done = self._site.flask("invoices", "resolve", reference, "--keep", keep)
            if done.returncode == 0:
                self.done[f"conflict resolved, {keep}"] += 1

    def _break_rules(self) -> None:
        if self._stopping.is_set():
            return
        rules = self._site.rules
        rules.break_one()
        done = self._activate()
        if done is None:
            return
        if done.returncode == 0:
            self.wrong.append("a broken rule file was activated")
        else:
            self.done["rules broken"] += 1

    def _mend(self, number: int) -> None:
        """Activate a new rate and a second secret, then sign with the new one."""
        rules = self._site.rules
        rules.secrets = [SECRETS[number], SECRETS[number + 1]]
        rules.raises = min(rules.raises + 1, len(RAISES))
        rules.write()
        if not self._activate_surely():
            return
        if rules.raises > self.raises:
            self.done["new rate"] += 1
        self.raises = rules.raises
        if not self._stopping.wait(SEEN_SECONDS):
            self._site.signs_with = SECRETS[number + 1]

    def _drop_old_secret(self, number: int) -> None:
        if self._site.signs_with != SECRETS[number + 1]:
            return
        # What was signed with the old one may still be on its way.
        if self._stopping.wait(TIMEOUT_SECONDS + SEEN_SECONDS):
            return
        rules = self._site.rules
        rules.secrets = [SECRETS[number + 1]]
        rules.write()
        # Who is told to stop does not try it: a web process may not know of it yet.
        if self._activate_surely() and not self._stopping.wait(SEEN_SECONDS):
            self._try_old_secret(SECRETS[number])

    def _try_old_secret(self, name: str) -> None:
        posting = Posting("jira", f"stale-{name}", STALE, "stale")
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=2)
        try:
            headers = posting.headers(self._site.environ[name])
            connection.request("POST", "/webhooks/jira", posting.body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            self.done["secret rotated"] += 1
            return
        finally:
            connection.close()
        if status not in (401, 503):
            self.wrong.append(f"a secret that was taken away still opens: answered {status}")
        self.done["secret rotated"] += 1

    def _activate_surely(self) -> bool:
        """Activate the files, again if the database was away; return False if told to stop."""
        while not self._stopping.is_set():
            done = self._activate()
            if done is not None and done.returncode == 0:
                return True
            self._stopping.wait(0.3)
        return False

    def _activate(self) -> Done | None:
        try:
            return self._site.flask("rules", "activate", "--yes", "--no-plan")
        except subprocess.TimeoutExpired:
            return None
