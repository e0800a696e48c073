"""The scenarios of the crash points: small plays that together cover the whole line.

Each has a calm beginning, which is not tortured, and the steps whose every effect is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from .billing.profiles import PROFILES
from .crash_firm import Firm

Step = tuple[str, Callable[[Firm], object]]
OCTOBER: Final = "acme-2026-10"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One play: how it begins, and what is then done step by step."""

    name: str
    open: Callable[[], Firm]
    steps: Sequence[Step]
    before: Sequence[Step] = field(default=())

    def begin(self) -> Firm:
        """Return a firm that has been through the calm beginning."""
        firm = self.open()
        for _, step in self.before:
            step(firm)
        return firm

    def play(self, firm: Firm) -> None:
        """Do all steps; what goes wrong with their effects, `firm.effects.decide` says."""
        with firm.effects.playing():
            for name, step in self.steps:
                firm.survive(partial(step, firm), name)


def worklog(
    number: int, seconds: int, *, version: int = 1, issue: int = 7, ben: bool = False
) -> Any:
    """Return Jira's body about an entry of October, new or changed."""
    moment = "2026-10-05T10:00:00.000+0200"
    author = {"accountId": "acc-ben" if ben else "acc-ana", "displayName": "B" if ben else "A"}
    return {
        "timestamp": 1_760_000_000_000 + version,
        "webhookEvent": "worklog_created" if version == 1 else "worklog_updated",
        "worklog": {
            "id": str(number),
            "issueId": str(issue),
            "author": author,
            "started": moment,
            "created": moment,
            "updated": moment,
            "timeSpentSeconds": seconds,
        },
    }


def posted(body: Any) -> Step:
    """Return the step of a sender who posts until it is heard."""
    name = f"{body['worklog']['id']}-{body['timestamp']}"
    return f"post {name}", lambda firm: firm.post(body, "jira", name)


SETTLE: Final[Step] = ("settle", Firm.settle)
APPROVE: Final[Step] = ("approve", Firm.approve_all)
TICK: Final[Step] = ("tick", Firm.tick)
MAIL: Final[Step] = ("Stripe's webhooks", Firm.deliver_mail)
BILL: Final = (APPROVE, SETTLE)


def _firm(issues: int = 1, **how: Any) -> Firm:
    firm = Firm(**how)
    for number in range(7, 7 + issues):
        firm.jira.add_issue(number, f"ACME-{number}", f"Part {number}")
    return firm


def _paid(firm: Firm, amount: int) -> None:
    """Let Stripe receive a payment; a step that is done again finds it received."""
    row = next(iter(firm.stripe.book.table("invoices").values()))
    if firm.stripe.book.invoice(row["id"])["amount_paid"] < amount:
        firm.stripe.happen("pay", row["id"], amount)


def _logged(firm: Firm) -> None:
    """Let an entry stand in Jira whose webhook never comes."""
    if 21 not in firm.jira.worklogs:
        author = {"accountId": "acc-ben", "displayName": "B"}
        firm.jira.log(21, 7, 5400, "2026-10-06T10:00:00.000+0200", author=author)
        firm.time.go_on(120)


def _automatic(rules: str) -> str:
    return rules.replace("approval: by hand", "approval: automatic")


def _void(firm: Firm) -> None:
    """Let somebody void the invoice at Stripe."""
    for row in list(firm.stripe.book.table("invoices").values()):
        if row["status"] == "open" and row["metadata"]["billhook_reference"] == OCTOBER:
            firm.stripe.happen("void", row["id"])


def _refuse(firm: Firm, what: str) -> None:
    firm.billing.refuses = what


def _touch(firm: Firm) -> None:
    """Let somebody write onto the draft at the billing system."""
    firm.billing.happen("touch", OCTOBER)


def _with_credit_notes(rules: str) -> str:
    return rules.replace("approval: by hand", "approval: by hand\ncorrections: credit note")


def _with_a_fee(rules: str) -> str:
    return rules.replace("rules:\n", FEES)


FEES: Final = """\
fees:
  - fee: Support plan
    description: "Support plan, {month}"
    every: month
    from: 2026-10-15
    unit_price: 500.00
    due: in advance
rules:
"""
HOURS: Final = (posted(worklog(1, 3000)), posted(worklog(2, 1200, ben=True)), SETTLE)
FEW_PARTS: Final = (
    *(posted(worklog(number, 3600, issue=number)) for number in range(7, 16)),
    SETTLE,
)
PARTS: Final = (*(posted(worklog(number, 3600, issue=number)) for number in range(7, 29)), SETTLE)

SCENARIOS: Final = {
    each.name: each
    for each in (
        Scenario(
            "receive",
            _firm,
            (
                posted(worklog(1, 3000)),
                posted(worklog(2, 1200, ben=True)),
                SETTLE,
                posted(worklog(1, 3000)),
                posted(worklog(1, 6000, version=2)),
                SETTLE,
            ),
        ),
        Scenario(
            "whole",
            partial(_firm, edit=_automatic, after_push="finalize", write_back=True),
            (posted(worklog(1, 3000)), SETTLE),
        ),
        Scenario("push", partial(_firm, after_push="finalize"), BILL, HOURS),
        *(
            Scenario(
                f"chunks-{profile}",
                partial(_firm, 22, send_to=profile, after_push="finalize"),
                BILL,
                PARTS,
            )
            for profile in PROFILES
        ),
        Scenario(
            "paid",
            partial(_firm, after_push="finalize", write_back=True),
            (("pay", partial(_paid, amount=5000)), MAIL, SETTLE),
            (*HOURS, *BILL, MAIL, SETTLE),
        ),
        Scenario("poll", _firm, (("log", _logged), TICK, SETTLE), HOURS),
        Scenario(
            "correct",
            partial(_firm, after_push="finalize"),
            (posted(worklog(2, 2400, version=2, ben=True)), SETTLE, *BILL),
            (*HOURS, *BILL),
        ),
        Scenario(
            "credit",
            partial(_firm, edit=_with_credit_notes, after_push="finalize"),
            (posted(worklog(1, 900, version=2)), SETTLE, *BILL, MAIL, SETTLE),
            (*HOURS, *BILL, MAIL, SETTLE),
        ),
        Scenario(
            "amend",
            _firm,
            (posted(worklog(2, 2400, version=2, ben=True)), SETTLE, *BILL),
            (*HOURS, *BILL),
        ),
        *(
            Scenario(
                f"amend-{profile}",
                partial(_firm, 9, send_to=profile),
                (posted(worklog(9, 5400, issue=9, version=2)), SETTLE, *BILL),
                (*FEW_PARTS, *BILL),
            )
            for profile in PROFILES
        ),
        Scenario(
            "void",
            partial(_firm, after_push="finalize"),
            (("void", _void), MAIL, SETTLE, *BILL),
            (*HOURS, *BILL, MAIL, SETTLE),
        ),
        Scenario(
            "refuse",
            partial(_firm, 9, send_to="accounting-like"),
            (
                *BILL,
                ("mend", partial(_refuse, what="")),
                posted(worklog(9, 5400, issue=9, version=2)),
                SETTLE,
                *BILL,
            ),
            (*FEW_PARTS, ("refuse", partial(_refuse, what="lines"))),
        ),
        Scenario(
            "conflict",
            partial(_firm, 9, send_to="accounting-like"),
            (
                *(("touch", _touch), posted(worklog(9, 5400, issue=9, version=2)), SETTLE, *BILL),
                *(("decide", Firm.decide), SETTLE, *BILL),
            ),
            (*FEW_PARTS, *BILL),
        ),
        Scenario("fees", partial(_firm, edit=_with_a_fee), (TICK, SETTLE, TICK, SETTLE)),
        Scenario("seal", _firm, (TICK, SETTLE, TICK), HOURS),
    )
}
"""By name."""
