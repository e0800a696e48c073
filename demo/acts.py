"""The play, act by act, in the order of the line. Called by `__main__.py`."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from tqdm import tqdm  # type: ignore[import-untyped]

from ledger.tables import audit_entry

from . import tables
from .bodies import GUIDE, TEA
from .checks import Checks, check_month, check_told, check_totals
from .problems import DemoError
from .processes import START_SECONDS
from .site import Site
from .tables import indented, say, table, title
from .world import World

CALLS_FOR_A_DRAFT: Final = 2
_ASKING: Final = re.compile(r"GET /rest/api/2/issue/[0-9]+")
PAID_IN_PART: Final = 500_000
"""Yen."""
PURCHASE_ORDER: Final = "BW-2210"


@dataclass
class Play:
    """One run of the play on one site."""

    site: Site
    world: World
    lost: int | None = None
    """The number of a posting that is not sent, as by a broken network; from 1."""
    kills: int = 0
    """How often the worker is killed outright while the month is posted."""
    checks: Checks = field(default_factory=Checks)

    @property
    def month(self) -> str:
        """Return the month that is played: `2026-03`."""
        return f"{self.world.first:%Y-%m}"

    def run(self) -> Checks:
        """Play all acts; return what was compared."""
        try:
            self.post_the_month()
            self.mend_the_blocked_draft()
            self.approve()
            self.get_paid()
            self.show_the_notes()
            self.explain()
            self.correct()
            self.audit()
        except DemoError as error:
            self.checks.mismatches.append(f"the play could not go on: {error}")
        return self.checks

    def post_the_month(self) -> None:
        """Post what the tools have to tell, and show what came of it at each stage."""
        postings = self.world.postings
        title(f"1. The tools post {len(postings)} signed webhooks: {self.world.first:%B %Y}")
        answers: Counter[str] = Counter()
        began = time.monotonic()
        bar = tqdm(postings, unit=" webhooks", ncols=80, ascii=True, file=sys.stdout, disable=None)
        killed_at = {len(postings) * each // (self.kills + 1) for each in range(1, self.kills + 1)}
        for number, posting in enumerate(bar, 1):
            if number != self.lost:
                answers[self.site.post(posting)] += 1
            if number in killed_at:
                self.site.processes.kill("worker")
        self.site.wait_for_rest()
        say(f"Posted, and the line is at rest again, after {time.monotonic() - began:.1f} s.\n")
        state = self.site.control(self.site.jira, "state")
        asked = sum(bool(_ASKING.fullmatch(request)) for request in state["requests"])
        with self.site.database.read() as connection:
            rows = tables.stages(connection, answers, asked)
            table(("stage", "outcome", "rows", "why"), _grouped(rows))
            check_month(self.checks, connection, self.world.truth, answers)
        self.checks.that("Jira was asked about the issue that no webhook told", asked > 0)
        held = self.site.api("/held")
        self.checks.that("what is held is listed by the API", len(held["held"]) >= 3)

    def mend_the_blocked_draft(self) -> None:
        """Write the missing purchase order into the customer's rules; the draft is free again."""
        reference = f"brightwater-{self.month}"
        title(f"2. {reference} is blocked: the museum's purchase order is missing")
        self.checks.equal(f"state of {reference}", "blocked", self._invoice(reference)["state"])
        path = self.site.processes.folder.rules / "brightwater.yaml"
        said = "purchase_order_required: yes\n"
        order = f"purchase_order: {PURCHASE_ORDER}\n"
        path.write_text(path.read_text().replace(said, order + said))
        self._flask("rules", "activate")
        self.site.wait_for_rest()
        state = self._invoice(reference)["state"]
        say(f"{reference} is now: {state}")
        self.checks.equal(f"state of {reference}", "draft", state)

    def approve(self) -> None:
        """Approve the drafts that wait for a person, through the API; wait for the push."""
        title("3. A person approves the drafts; they are pushed to Stripe's stand-in")
        for draft in self.site.api("/invoices?state=draft")["invoices"]:
            content = {"content_hash": draft["content_hash"]}
            path = f"/invoices/{draft['reference']}/approve"
            answer = self.site.api(path, content)
            say(f"POST /api/v1{path}: {answer['state']}")
        self.site.wait_for_rest()
        self._show_invoices()
        requests = self.site.control(self.site.stripe, "requests")
        pushed = len(self.world.truth.totals)
        drafts = {
            name: count
            for name, count in requests.items()
            if name == "POST /v1/invoices" or name.endswith("/add_lines")
        }
        say(
            f"\nStripe's stand-in took {sum(drafts.values())} calls for {pushed} drafts with all "
            f"their lines, and {sum(requests.values())} calls in all (customers, reads, sending)."
        )
        calls = pushed * CALLS_FOR_A_DRAFT
        self.checks.equal("calls to create the drafts", calls, sum(drafts.values()))

    def get_paid(self) -> None:
        """Let the customers pay at the stand-in; its signed webhooks come back."""
        title("4. The customers pay; Stripe's signed webhooks come back")
        halden, sakura = f"halden-{self.month}", f"sakura-{self.month}"
        at_stripe = {"invoice": self._invoice(halden)["remote_id"]}
        self.site.control(self.site.stripe, "finalize", at_stripe)
        self.site.control(self.site.stripe, "pay", at_stripe)
        partly = {"invoice": self._invoice(sakura)["remote_id"], "amount": PAID_IN_PART}
        self.site.control(self.site.stripe, "pay", partly)
        self.site.wait_for_rest()
        self._show_invoices()
        for reference, word in (
            (halden, "paid"),
            (sakura, "partially_paid"),
            (f"{sakura}-27", "open"),
        ):
            self.checks.equal(f"payment of {reference}", word, self._invoice(reference)["payment"])
        say()
        with self.site.database.read() as connection:
            table(("stage", "outcome", "rows", "why"), _grouped(tables.sync_back(connection)))
            check_told(self.checks, connection)

    def show_the_notes(self) -> None:
        """Show what now stands in the project tools, where the work was done."""
        title("5. The project tools know it too: one note each, kept up to date")
        reference = f"halden-{self.month}"
        state = self.site.control(self.site.jira, "state")
        named = {issue["id"]: issue["key"] for issue in state["issues"]}
        notes = {named[str(note["issue"])]: note["body"] for note in state["comments"]}
        say(f"Jira holds {len(state['comments'])} comments, for example on HAL-1:")
        indented(notes.get("HAL-1", "(none)"), most=8)
        self.checks.that(
            "Jira's HAL-1 says that it is paid",
            reference in notes.get("HAL-1", "") and "paid" in notes.get("HAL-1", ""),
        )
        self.checks.equal("comments on one issue", len(notes), len(state["comments"]))
        comments = self.site.control(self.site.github, "state")["comments"]
        bodies = {tuple(comment["place"]): comment["body"] for comment in comments}
        say("\nGitHub holds on issue 21, which belongs to the milestone:")
        indented(bodies.get((TEA, 21), "(none)"), most=8)
        phase = f"sakura-{self.month}-27"
        self.checks.that("GitHub's milestone names its invoice", phase in bodies.get((TEA, 21), ""))
        self.checks.that("GitHub's fixed bug has its note", (GUIDE, 7) in bodies)

    def explain(self) -> None:
        """Walk from one amount back to the deliveries."""
        reference = f"halden-{self.month}"
        title(f"6. Where does an amount come from? flask invoices explain {reference} --line 1")
        printed = self.site.processes.command("invoices", "explain", reference, "--line", "1")
        indented(printed, most=45)
        self.checks.that("explain names the rule", "Hours on the shop" in printed)

    def correct(self) -> None:
        """Edit an entry that was billed: the invoice stays, the next draft holds the correction."""
        reference, currency, amount = self.world.truth.correction
        edited = self.world.truth.edited_item
        title(f"7. Ana shortens an entry on {edited} that was billed, and works on")
        for posting in self.world.late:
            self.checks.equal("answer to a late posting", "accepted", self.site.post(posting))
        self.site.wait_for_rest()
        draft = self._invoice(reference)
        rows = [
            (line["quantity"], line["unit_price"], line["amount"]["text"], line["description"])
            for line in draft["lines"]
        ]
        table(("quantity", "price", "amount", f"{reference}, a draft"), rows)
        say(f"Total {draft['total']['text']} {draft['total']['currency']}")
        with self.site.database.read() as connection:
            totals = {**self.world.truth.totals, reference: (currency, amount)}
            check_totals(self.checks, connection, totals)
        texts = " ".join(line["description"] for line in draft["lines"])
        self.checks.that("the correction names its invoice", f"halden-{self.month}" in texts)

    def audit(self) -> None:
        """Have every invariant of the ledger checked, once the clock has sealed the audit log."""
        title("8. flask audit")
        self.site.processes.wait_for(
            "the audit log sealed", self._is_sealed, most_seconds=START_SECONDS
        )
        code, printed = self.site.processes.flask("audit")
        indented(printed, most=30)
        self.checks.equal("exit code of flask audit", 0, code)

    def _is_sealed(self) -> bool:
        waiting = select(func.count()).where(audit_entry.c.position.is_(None))
        with self.site.database.read() as connection:
            return connection.scalar(waiting) == 0

    def _flask(self, *words: str) -> None:
        say(f"$ flask {' '.join(words)}")
        indented(self.site.processes.command(*words), most=10)

    def _invoice(self, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = self.site.api(f"/invoices/{reference}")
        return found

    def _show_invoices(self) -> None:
        invoices = self.site.api("/invoices")["invoices"]
        table(
            ("invoice", "state", "payment", "total", "currency"),
            (
                (
                    each["reference"],
                    each["state"],
                    (each["payment"] or "-").replace("_", " "),
                    f"{Decimal(each['total']['text'].replace(',', '').split()[0]):,}",
                    each["total"]["currency"],
                )
                for each in invoices
            ),
        )


def _grouped(rows: list[tables.Row]) -> list[tuple[object, ...]]:
    """Return rows in which a stage and an outcome are named once."""
    shown: list[tuple[object, ...]] = []
    stage, outcome = "", ""
    for row in rows:
        is_new = row[0] != stage
        shown.append(
            (
                row[0] if is_new else "",
                row[1] if is_new or row[1] != outcome else "",
                row[2],
                row[3],
            )
        )
        stage, outcome = row[0], row[1]
    return shown
