"""The world of the stateful test: what tools, people, Stripe and bad luck do, one step at a time.

A step that makes no sense just now does nothing. After each the ledger is held against the truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from connectors.stripe.stand_in.parameters import Refusal
from ledger.claims import LEASE_SECONDS
from ledger.pushing import try_again
from ledger.sync import look_at_all

from .model_bodies import as_bytes, body_of
from .model_checks import Broken, check_all_heard, check_always, check_at_rest, check_audit
from .model_copies import Copies
from .model_firm import Firm
from .model_ledger import Ledger
from .model_people import ALL, People
from .model_steps import DAYS, FAULTS, LASTING, MOST_CRASHES, SECONDS, WAITS, Steps
from .model_truth import PROJECTS, Entry, Issue, Phase, Told, Truth


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a tool sent, and what it means in truth."""

    endpoint: str
    body: bytes
    id: str
    number: int
    told: Told


class World:
    """One run: a firm, the truth beside it, and what is on its way between them."""

    def __init__(self, firm: Firm) -> None:
        firm.begin()
        self.firm = firm
        self.truth = Truth()
        self.tool: dict[tuple[type[Told], int], Told] = {}
        """What the tools hold now, whether or not they have told it."""
        self.sent: dict[tuple[type[Told], int], list[Delivery]] = {}
        self.under_way: list[Delivery] = []
        self.count = 0
        self.trouble = 0
        """How often the worker is still seen at work in the middle of some trouble."""
        self.crashes = 0
        """How many processes have died since one has worked to the end."""
        self.ledger = Ledger.read(firm.database.raw)
        self.people = People(self)
        self.copies = Copies(self)
        every = Steps(self).every()
        self.steps = {step.name: step for step in every}
        assert len(self.steps) == len(every), "two steps have the same name"
        for number, project in ((1, "ACME"), (2, "BETA"), (4, "DELTA")):
            self._tell(Issue, number, Issue(1, project))

    # What the machine and the explorer call.

    def play(self, name: str, *numbers: int, work: bool = True) -> None:
        """Do a step, let the worker work afterwards if `work`, and check what must hold then."""
        step = self.steps[name]
        step.do(*numbers)
        self.look()
        if work:
            self.work()

    def look(self) -> None:
        """Read the ledger, and check what holds at every moment."""
        before, self.ledger = self.ledger, Ledger.read(self.firm.database.raw)
        check_always(before, self.ledger, self.firm)
        for number in self.truth.entries:
            if self.ledger.released(f"worklog:{number}") != before.released(f"worklog:{number}"):
                self.truth.release(number)

    def work(self) -> None:
        """Let the worker work until it rests, and check what holds at rest."""
        self.firm.work()
        self.look()
        self.crashes = 0
        self.trouble = max(self.trouble - 1, 0)
        if self.trouble and self._is_held_by_the_dead():
            return
        if not self.trouble:
            # What a process held when it died is free after its lease.
            self._take_over()
        check_at_rest(self.ledger, self.firm, self.truth)

    def _take_over(self) -> None:
        if self._is_held_by_the_dead():
            self._wait(LEASE_SECONDS + 1)
            self.firm.work()
            self.look()

    def _is_held_by_the_dead(self) -> bool:
        held = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE lease_token IS NOT NULL"
            for table in ("delivery", "subject", "customer", "invoice", "hint")
        )
        return self.firm.database.raw.execute(held).fetchone() is not None

    def end(self) -> None:
        """Let everything come to its end: what is under way arrives, drafts are approved."""
        self.firm.calm()
        self.trouble = 0
        while self.under_way:
            self.deliver(self.under_way.pop(0))
        self._hear_all()
        self.work()
        self._wait(3600)
        self.work()
        for row in self.ledger.invoices.values():
            if row["state"] == "approved":
                self._write(partial(try_again, reference=row["reference"], actor="mia"))
        self.approve(ALL)
        self.work()
        for row in self.ledger.invoices.values():
            # What somebody changed there, and finalized when another one had chosen to overwrite
            # it, waits for a person in plain sight.
            if row["state"] == "approved" and not (row["conflict"] and row["problem"]):
                raise Broken(f"{row['reference']} is approved, and stopped: {row['problem']}")
        self._hear_all()
        self.work()
        check_all_heard(self.firm)
        check_audit(self.firm)

    def go_back(self, kept: sqlite3.Connection, truth: Truth) -> None:
        """Go on with an older ledger, in a new process."""
        self.firm.database.restore(kept)
        self.firm.restart()
        self.truth = truth
        self.ledger = Ledger.read(kept)

    def forget_copy(self) -> None:
        """People have done something that a copy made before does not know."""
        if self.copies.last:
            self.copies.last.is_outdated = True

    def placed(self) -> list[tuple[int, int]]:
        """Return each entry that is there and has a line on an invoice, with that invoice's id."""
        found = []
        for number in self.truth.entries:
            own = self.ledger.placed(f"worklog:{number}")
            if own and self._of_tool(number):
                found.append((number, own[-1]))
        return found

    def _of_tool(self, number: int) -> bool:
        present = self.of(Entry, number - 1)
        return present is not None and present.is_there

    # Tools.

    def of(self, kind: type[Told], number: int) -> Any:
        return self.tool.get((kind, number + 1))

    def _tell(self, kind: type[Told], number: int, told: Told, *, late: bool = False) -> None:
        key = (kind, number)
        endpoint, body = body_of(number, told, self.tool.get(key))
        self.count += 1
        delivery = Delivery(endpoint, as_bytes(body), f"delivery-{self.count}", number, told)
        self.tool[key] = told
        if late:
            self.under_way.append(delivery)
        else:
            self.deliver(delivery)

    def deliver(self, delivery: Delivery) -> None:
        status = self.firm.post(delivery.endpoint, delivery.body, delivery.id)
        if status != 202:
            raise Broken(f"a signed delivery was answered {status}")
        self.truth.hear(delivery.number, delivery.told)
        if self.copies.last:
            self.copies.last.told.append(delivery)
        sent = self.sent.setdefault((type(delivery.told), delivery.number), [])
        if delivery not in sent:
            sent.append(delivery)

    def log(self, number: int, issue: int, day: int) -> None:
        if self.of(Entry, number) is None:
            entry = Entry(1, SECONDS[(number + day) % 4], issue + 1, on=DAYS[day])
            self._tell(Entry, number + 1, entry)

    def _change(self, number: int, *, late: bool = False, **changed: Any) -> None:
        present = self.of(Entry, number)
        if present is not None and present.is_there:
            told = replace(present, version=present.version + 1, **changed)
            self._tell(Entry, number + 1, told, late=late)

    def edit(self, direction: int, number: int) -> None:
        if present := self.of(Entry, number):
            self._change(number, seconds=max(present.seconds + direction * 1300, 300))

    def hand_over(self, number: int) -> None:
        if present := self.of(Entry, number):
            self._change(number, person="ben" if present.person == "ana" else "ana")

    def move_day(self, number: int, day: int) -> None:
        self._change(number, on=DAYS[day])

    def move(self, number: int, issue: int) -> None:
        self._change(number, issue=issue + 1)

    def remove(self, number: int) -> None:
        self._change(number, is_there=False)

    def restore(self, number: int) -> None:
        present = self.of(Entry, number)
        if present is not None and not present.is_there:
            told = replace(present, version=present.version + 1, is_there=True)
            self._tell(Entry, number + 1, told)

    def hold_back(self, number: int) -> None:
        if present := self.of(Entry, number):
            self._change(number, late=True, seconds=present.seconds + 700)

    def release(self, which: int) -> None:
        if which < len(self.under_way):
            self.deliver(self.under_way.pop(which))

    def repeat(self, has_new_id: bool, number: int) -> None:
        if sent := self.sent.get((Entry, number + 1)):
            self.again(sent[-1], has_new_id)

    def oldest_again(self, number: int) -> None:
        if sent := self.sent.get((Entry, number + 1)):
            self.again(sent[0], True)

    def again(self, delivery: Delivery, has_new_id: bool) -> None:
        self.count += has_new_id
        new_id = f"delivery-{self.count}" if has_new_id else delivery.id
        self.firm.post(delivery.endpoint, delivery.body, new_id)

    def replay(self, number: int) -> None:
        for each in self.sent.get((Entry, number + 1), [])[-1:]:
            query = "SELECT id FROM delivery WHERE delivery_id = ?"
            for (stored,) in self.firm.database.raw.execute(query, (each.id,)).fetchall():
                self.firm.read_again(stored)

    def move_issue(self, number: int, project: int) -> None:
        present = self.of(Issue, number)
        told = Issue(present.version + 1 if present else 1, PROJECTS[project])
        self._tell(Issue, number + 1, told)

    def phase(self, is_closed: bool, number: int) -> None:
        present = self.of(Phase, number)
        if is_closed or present is not None:
            version = present.version + 1 if present else 1
            self._tell(Phase, number + 1, Phase(version, is_closed))

    # People and time.

    def settle(self, decision: str, number: int) -> None:
        """Decide about a milestone that was billed and is open again."""
        self.work()
        name = f"milestone:{9001 + number}"
        if self.people.settle(name, decision):
            self.truth.decide(number + 1, decision)

    def change_rates(self, which: int) -> None:
        self.work()
        kept = {
            number
            for number in self.truth.entries
            if self.ledger.unchanged_since_billed(f"worklog:{number}")
        }
        self.forget_copy()
        self.firm.activate(which)
        self.truth.price_again(which, kept)

    def drafts(self) -> list[dict[str, Any]]:
        return [row for row in self.ledger.invoices.values() if row["state"] == "draft"]

    def approve(self, which: int) -> None:
        for row in self.drafts()[slice(which, which + 1) if which < ALL else slice(None)]:
            self.firm.approve(row["reference"])

    def _wait(self, seconds: int) -> None:
        self.firm.clock.moment += timedelta(seconds=seconds)

    def pass_time(self, which: int) -> None:
        self._wait(WAITS[which])

    def poll(self) -> None:
        self._write(look_at_all)

    def _write(self, work: Callable[..., object]) -> None:
        self.firm.database.write(lambda connection: work(connection, now=self.firm.clock.now()))

    def crash(self, after: int) -> None:
        if self.crashes == MOST_CRASHES:
            # What kills its worker again and again is set aside, and rightly so.
            return
        self.crashes += 1
        self.firm.effects.until_crash = after
        self.firm.work()
        self.trouble = LASTING

    def make_trouble(self, which: int) -> None:
        self.trouble = LASTING
        if which == len(FAULTS):
            self.firm.effects.lose_next_reply = True
        else:
            self.firm.stripe.faults.append({"do": FAULTS[which]})

    # Stripe.

    def remote(self, what: str) -> list[dict[str, Any]]:
        """Return our invoices to which something can happen at Stripe now."""
        book = self.firm.stripe.book.table("invoices")
        return [
            row
            for row in self.ledger.invoices.values()
            if row["remote_id"] in book and book[row["remote_id"]]["status"] in _STATUS[what]
        ]

    def happen(self, what: str, which: int) -> None:
        for row in self.remote(what)[which : which + 1]:
            kind, _, part = what.partition(" in ")
            try:
                self.firm.happen(kind, row["remote_id"], 700 if part else None)
            except (Refusal, StopIteration):
                # Nothing was paid yet that could be given back, say.
                return

    def hear(self, which: int) -> None:
        events = self.firm.mailbox.events
        if which == ALL:
            self._hear_all()
        elif which < len(events):
            event = events.pop(which)
            if self.firm.post("stripe", as_bytes(event), "") not in (200, 202):
                raise Broken("a signed event of Stripe was refused")

    def _hear_all(self) -> None:
        while self.firm.mailbox.events:
            self.hear(0)

    def lose(self, which: int) -> None:
        del self.firm.mailbox.events[which : which + 1]


_STATUS: Final = {
    **dict.fromkeys(("finalize", "delete", "change there"), ("draft",)),
    **dict.fromkeys(("pay", "pay in part", "void", "write_off"), ("open",)),
    **dict.fromkeys(("refund", "refund in part", "dispute", "win_dispute"), ("paid", "open")),
    "credit": ("open", "paid"),
}
"""The states of an invoice at Stripe in which something may happen to it."""
