"""What the stand-ins of small accounting systems share: one book that each dresses in its words.

A stand-in hands over what it was sent and reads it back. Its clock moves by a second with each
change and stands in the `Date` of each answer. Never for production.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from werkzeug.exceptions import NotFound, UnprocessableEntity
from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from ledger.events import json_with_numbers
from ledger.money import Money

from .http import Http
from .http import Request as Outgoing
from .http import Response as Answer
from .stand_in import StandIn, body

BEGINS: Final = datetime(2026, 11, 2, 9, tzinfo=UTC)
DRAFT, OPEN, VOID = "draft", "open", "void"


@dataclass
class Paper:
    """One invoice in the book."""

    number: int
    written: dict[str, Any]
    """What was sent, in the vendor's words, without the lines."""
    lines: list[dict[str, Any]]
    amounts: list[int]
    """Of the lines, in minor units, as the vendor rounds them."""
    currency: str
    made_at: datetime
    changed_at: datetime
    taxes: int = 0
    """What the vendor adds to the amounts, in minor units."""
    state: str = DRAFT
    paid: int = 0
    refunded: int = 0
    credited: int = 0
    is_written_off: bool = False

    @property
    def total(self) -> int:
        """Return what it comes to."""
        return sum(self.amounts) + self.taxes

    @property
    def remaining(self) -> int:
        """Return what is owed still; below zero: too much came in."""
        return self.total - self.paid + self.refunded - self.credited

    def decimal(self, minor: int) -> Decimal:
        """Return an amount in major units."""
        return Money(minor, self.currency).decimal()


@dataclass
class Person:
    """One customer in the book."""

    number: int
    written: dict[str, Any]
    changed_at: datetime = field(default=BEGINS)


class AccountingStandIn(StandIn):
    """One company's books."""

    first_number = 101
    """The id that the first of anything gets."""

    def __init__(self) -> None:
        super().__init__()
        self.papers: dict[int, Paper] = {}
        self.people: dict[int, Person] = {}
        self.now = BEGINS
        self._numbers = self.first_number

    def _answer(self, request: Request) -> Response:
        answer = super()._answer(request)
        answer.headers["Date"] = http_date(self.now)
        return answer

    def tick(self) -> datetime:
        """Return the time after the clock has moved on."""
        self.now += timedelta(seconds=1)
        return self.now

    def next_number(self) -> int:
        """Return an id that nothing has yet."""
        self._numbers += 1
        return self._numbers - 1

    def enter(
        self,
        written: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        amounts: Sequence[int],
        currency: str,
        taxes: int = 0,
    ) -> Paper:
        """Enter a draft."""
        at = self.tick()
        paper = Paper(
            *(self.next_number(), dict(written), [*map(dict, lines)], [*amounts]),
            *(currency, at, at, taxes),
        )
        self.papers[paper.number] = paper
        return paper

    def overwrite(
        self,
        paper: Paper,
        written: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        amounts: Sequence[int],
        taxes: int = 0,
    ) -> None:
        """Change a draft: its fields one by one, its lines as a whole."""
        paper.written |= written
        paper.taxes = taxes
        paper.lines, paper.amounts = [*map(dict, lines)], [*amounts]
        paper.changed_at = self.tick()

    def enter_person(self, written: Mapping[str, Any]) -> Person:
        """Enter a customer."""
        person = Person(self.next_number(), dict(written), self.tick())
        self.people[person.number] = person
        return person

    def paper(self, number: int) -> Paper:
        """Return an invoice; raise NotFound."""
        if number not in self.papers:
            raise NotFound("there is no such invoice")
        return self.papers[number]

    def erase(self, number: int) -> None:
        """Take an invoice out of the book."""
        self.paper(number)
        del self.papers[number]
        self.tick()

    def changed_since(self, moment: datetime) -> list[Paper]:
        """Return what changed at a moment or later, by number."""
        return [each for each in self.papers.values() if each.changed_at >= moment]

    def happenings(
        self, *names: str, number_of: Callable[[str], int] = int
    ) -> dict[str, Callable[[str, int], None]]:
        """Return what may happen to an invoice, by these names of `ContractRig.happenings`."""

        def happen(name: str, remote_id: str, minor: int) -> None:
            paper = self.paper(number_of(remote_id))
            if name == "delete":
                self.erase(paper.number)
                return
            if name in ("pay", "overpay"):
                paper.paid += minor
            elif name == "refund":
                paper.refunded += minor
            elif name == "credit":
                paper.credited += minor
            elif name == "write_off":
                paper.is_written_off = True
            else:
                paper.state = {"finalize": OPEN, "void": VOID}[name]
            paper.changed_at = self.tick()

        return {name: partial(happen, name) for name in names}


def sent(request: Request, *known: str) -> dict[str, Any]:
    """Return the JSON object sent, its numbers exact; raise BadRequest for an unknown key."""
    body(request, *known)
    content: dict[str, Any] = json.loads(request.get_data(), parse_float=Decimal)
    return content


def told(content: object, status: int = 200) -> Response:
    """Return an answer that holds JSON, its decimals as numbers."""
    return Response(json_with_numbers(content), status, content_type="application/json")


def known(written: Mapping[str, Any], *names: str) -> None:
    """Raise UnprocessableEntity for a field that is not documented."""
    if unknown := set(written) - set(names):
        raise UnprocessableEntity(f"unknown fields: {sorted(unknown)}")


def taxes_on(
    amounts: Sequence[int], rates: Sequence[tuple[str, Decimal]], *, by_line: bool
) -> list[Decimal]:
    """Return the exact taxes on amounts in minor units, by name and percent of each line.

    One for each that is rounded for itself: each line, or all lines with the same name and rate.
    """
    exact: dict[object, Decimal] = {}
    for at, (amount, rate) in enumerate(zip(amounts, rates, strict=True)):
        place = at if by_line else rate
        exact[place] = exact.get(place, Decimal(0)) + amount * rate[1] / 100
    return [*exact.values()]


class Bearer:
    """The HTTP port with an access token that does not end, as `connectors.oauth` would add."""

    def __init__(self, http: Http, token: str) -> None:
        self._http, self._token = http, token

    def send(self, request: Outgoing) -> Answer:
        """Return the answer."""
        headers = {**request.headers, "Authorization": f"Bearer {self._token}"}
        return self._http.send(replace(request, headers=headers))
