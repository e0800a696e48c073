"""Push: how many requests a remote draft takes, on the stand-in for Stripe."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import select

from connectors.http import Http, Request, Response
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.rig import BASE, InProcessHttp
from ledger.tables import invoice

from .bodies import CUSTOMERS, issue, worklog
from .firm import Firm
from .places import Place
from .results import Finding
from .sizes import Size

KEY: Final = "sk_test_for_the_bench"
CONNECTOR: Final = (
    f'billing: {{system: stripe, api_key: "${{STRIPE_API_KEY}}", api_base: "{BASE}"}}'
)


class CountedHttp:
    """Outgoing HTTP that counts what it sends."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.sent: Counter[str] = Counter()

    def send(self, request: Request) -> Response:
        """Send a request and count it under what it is about: customers or invoices."""
        self.sent[request.url.removeprefix(BASE).split("/")[2].partition("?")[0]] += 1
        return self._inner.send(request)


def push(place: Place, size: Size) -> list[Finding]:
    """Push a long draft, then a draft with one line to the same customer, and count."""
    http = CountedHttp(InProcessHttp(StripeStandIn(api_key=KEY)))
    with place.firm(connector=CONNECTOR, environ={"STRIPE_API_KEY": KEY}, http=http) as firm:
        # Every entry on an issue of its own, so that each becomes a line.
        numbers = [number * CUSTOMERS for number in range(size.lines)]
        firm.store({f"issue-{number}": issue(number) for number in numbers})
        firm.store({f"{number}": worklog(number, issue_id=number) for number in numbers})
        long = _pushed(firm, http, lines=size.lines)
        firm.store({"next-month": worklog(1, month=11, issue_id=0) | {"timestamp": 2}})
        short = _pushed(firm, http, lines=1)
    return [
        _found(place, f"push: a draft of {size.lines} lines", long),
        _found(place, "push: a draft of 1 line", short),
    ]


def _pushed(firm: Firm, http: CountedHttp, *, lines: int) -> Counter[str]:
    """Approve and push the one draft there is; return what was sent for it."""
    firm.run("normalize", "map", "assemble")
    with firm.line.database.read() as connection:
        draft = connection.execute(select(invoice).where(invoice.c.state == "draft")).one()
    if len(draft.content["lines"]) != lines:
        raise RuntimeError(f"the draft has {len(draft.content['lines'])} lines, not {lines}")
    firm.approve_all()
    http.sent.clear()
    firm.run("push")
    with firm.line.database.read() as connection:
        state = connection.scalar(select(invoice.c.state).where(invoice.c.id == draft.id))
    if state != "pushed":
        raise RuntimeError(f"the draft of {lines} lines is {state}, not pushed")
    return Counter(http.sent)


def _found(place: Place, what: str, sent: Counter[str]) -> Finding:
    calls = sent["invoices"]
    others = sum(sent.values()) - calls
    return Finding(
        measured=f"{what}, calls against Stripe's two",
        database=place.name,
        found=f"{calls} calls, and {others} to find or make the customer",
        ratio=calls / 2,
        aim=1,
    )
