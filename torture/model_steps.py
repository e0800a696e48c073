"""Every step of the stateful test, with the states of an invoice in which it hits work.

Called by `torture/model_world.py`, which does the steps. A step takes small numbers only, so that a
failing run can be written down as a few lines; what coverage counts is (state) x (event).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final

from .model_ledger import CREDITABLE, NOTE, NOTED, STATES, SYSTEM_STATES
from .model_people import ALL, CHANGEABLE, EDITED, EDITS
from .model_truth import PROJECTS, Entry, Phase

if TYPE_CHECKING:
    from .model_world import World

ENTRIES: Final = 6
ISSUES: Final = 4
PHASES: Final = 4
HELD, FLAGGED = 2, 3
"""The milestones that are held or flagged when they are opened again; the others are credited."""
SECONDS: Final = (900, 2700, 3000, 5400)
DAYS: Final = (date(2026, 10, 3), date(2026, 10, 28), date(2026, 11, 3), date(2026, 12, 5))
WAITS: Final = (6, 61, 3600, 24 * 3600, 31 * 24 * 3600)
FAULTS: Final = ("drop_reply", "500_before", "500_after", "429", "409", "html")
HAPPENINGS: Final = (
    *("finalize", "pay", "pay in part", "refund", "refund in part", "dispute", "win_dispute"),
    *("credit", "void", "write_off", "delete"),
)
LASTING: Final = 8
"""For how many looks trouble lasts before the next process takes over what was left."""
MOST_CRASHES: Final = 3
"""How often the process dies before one works to the end."""
_ENOUGH: Final = frozenset({"draft", "approved", "draft there", "amended", "open", "settled"})
_AT_SYSTEM: Final = frozenset(SYSTEM_STATES.values())
_CREDITING: Final = frozenset({CREDITABLE, NOTE, NOTED})
_OPENED: Final = frozenset({"draft", "frozen", "draft there", "open", "settled"})
"""Where it matters what was agreed about milestones that are opened again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that may happen, with how many choices there are for each of its numbers."""

    name: str
    sizes: tuple[int, ...]
    do: Callable[..., None]
    hits: Callable[..., Iterable[str]]
    """The states in which it would hit pieces of work now; none: it makes no sense now."""
    can_hit: frozenset[str]
    """The states in which it can hit any."""


class Steps:
    """The steps of one world, and what each of them would hit there now."""

    def __init__(self, world: World) -> None:
        self._world = world

    def every(self) -> list[Step]:
        """Return all steps."""
        world, people = self._world, self._world.people
        anywhere = frozenset(STATES)
        # What was void or deleted is on another draft at once, unless it is gone.
        on_lines = anywhere - {"no line", "void", "deleted"}
        for_phases = on_lines - {"held", "blocked"} - _CREDITING | {"no line"}
        entry = (ENTRIES,)
        one = partial(Step, can_hit=on_lines)
        # What changes nothing, or just what "more time" does too, is not tried everywhere.
        alike = partial(Step, can_hit=_ENOUGH)
        return [
            Step(
                "log",
                (ENTRIES, ISSUES, len(DAYS)),
                world.log,
                lambda number, *_: self._if(world.of(Entry, number) is None, number),
                frozenset({"no line"}),
            ),
            one("more time", entry, partial(world.edit, 1), self._there),
            one("less time", entry, partial(world.edit, -1), self._there),
            alike("same time", entry, partial(world.edit, 0), self._there),
            alike("other person", entry, world.hand_over, self._there),
            one("other day", (ENTRIES, len(DAYS)), world.move_day, self._there),
            one("other issue", (ENTRIES, ISSUES), world.move, self._there),
            one("remove", entry, world.remove, self._there),
            Step("restore", entry, world.restore, self._gone, on_lines - {"held"} | {"no line"}),
            one("edit that is told late", entry, world.hold_back, self._there),
            one("late delivery", (6,), world.release, self._of_late),
            alike("repeat", entry, partial(world.repeat, False), self._told),
            alike("repeat with a new id", entry, partial(world.repeat, True), self._told),
            alike("oldest again", entry, world.oldest_again, self._told),
            alike("replay", entry, world.replay, self._told),
            one("issue moves", (ISSUES, len(PROJECTS)), world.move_issue, self._on_issue),
            Step(
                "phase ends",
                (PHASES,),
                partial(world.phase, True),
                self._phase_is,
                for_phases | {"held"},
            ),
            Step(
                "phase opens again",
                (HELD,),
                partial(world.phase, False),
                self._phase_is,
                for_phases,
            ),
            *(
                Step(
                    f"{word} phase opens again",
                    (),
                    partial(world.phase, False, number),
                    partial(self._phase_is, number),
                    _OPENED,
                )
                for word, number in (("held", HELD), ("flagged", FLAGGED))
            ),
            *(
                Step(
                    what,
                    (2,),
                    lambda which, what=what: world.settle(what, HELD + which),
                    self._opened,
                    frozenset({"held", "draft there", "open"}),
                )
                for what in ("take back", "keep")
            ),
            one("rates change", (3,), world.change_rates, self._everywhere),
            one("remap", (), world.firm.remap, self._everywhere),
            *(
                Step(what, (3, 2), partial(people.edit, what), self._editable, EDITED)
                for what in EDITS
            ),
            Step("undo an edit", (4,), people.undo, self._edited, EDITED),
            Step(
                "change there",
                (3,),
                people.change_there,
                self._changeable,
                CHANGEABLE,
            ),
            *(
                Step(
                    f"keep {whose}",
                    (2,),
                    partial(people.decide, whose),
                    self._in_conflict,
                    frozenset({"conflict"}),
                )
                for whose in ("ours", "theirs")
            ),
            Step(
                "approve", (ALL + 1,), world.approve, self._approvable, frozenset({"draft", NOTE})
            ),
            *(
                Step(what, (3,), partial(world.happen, what), partial(self._can, what), states)
                for what, states in _WHERE.items()
            ),
            Step("hear", (ALL + 1,), world.hear, self._heard, _AT_SYSTEM),
            Step("hint is lost", (3,), world.lose, self._heard, _AT_SYSTEM),
            Step("poll", (), world.poll, self._at_system, _AT_SYSTEM),
            one("time passes", (len(WAITS),), world.pass_time, self._everywhere),
            one("restart", (), world.firm.restart, self._everywhere),
            one("crash", (24,), world.crash, self._everywhere),
            one("back up", (), world.copies.back_up, self._everywhere),
            Step(
                "put the copy back",
                (),
                world.copies.put_back,
                lambda: self._everywhere() if world.copies.can_be_put_back() else [],
                on_lines - {"conflict", "frozen", "approved"},
            ),
            Step(
                "trouble at Stripe",
                (len(FAULTS) + 1,),
                world.make_trouble,
                self._pushing,
                frozenset({"approved", "frozen"}),
            ),
        ]

    def _if(self, makes_sense: bool, number: int) -> list[str]:
        return [self._world.ledger.state_of(f"worklog:{number + 1}")] if makes_sense else []

    def _there(self, number: int, *_: int) -> list[str]:
        present = self._world.of(Entry, number)
        return self._if(present is not None and present.is_there, number)

    def _gone(self, number: int) -> list[str]:
        present = self._world.of(Entry, number)
        return self._if(present is not None and not present.is_there, number)

    def _told(self, number: int) -> list[str]:
        return self._if((Entry, number + 1) in self._world.sent, number)

    def _of_late(self, which: int) -> list[str]:
        if which >= len(self._world.under_way):
            return []
        return self._if(True, self._world.under_way[which].number - 1)

    def _on_issue(self, number: int, _: int) -> list[str]:
        entries = self._world.truth.entries.items()
        found = [self._if(True, each - 1) for each, one in entries if one.issue == number + 1]
        return sorted({state for states in found for state in states})

    def _phase_is(self, number: int) -> list[str]:
        return [self._world.ledger.state_of(f"milestone:{9001 + number}")]

    def _opened(self, which: int) -> list[str]:
        present = self._world.of(Phase, HELD + which)
        return self._phase_is(HELD + which) if present and not present.is_closed else []

    def _everywhere(self, *_: int) -> list[str]:
        return sorted({self._world.ledger.state_of(name) for name in self._world.ledger.subjects})

    def _approvable(self, which: int) -> list[str]:
        found = self._world.drafts()[slice(which, which + 1) if which < ALL else slice(None)]
        return sorted({"draft" if row["kind"] == "invoice" else NOTE for row in found})

    def _editable(self, which: int, _: int) -> list[str]:
        found = self._world.people.editable()[which : which + 1]
        return [self._world.ledger.state_of_invoice(row["id"]) for row in found]

    def _edited(self, which: int) -> list[str]:
        found = self._world.people.edited()[which : which + 1]
        return [self._world.ledger.state_of_invoice(invoice) for _, invoice in found]

    def _changeable(self, which: int) -> list[str]:
        found = self._world.people.changeable()[which : which + 1]
        return [self._world.ledger.state_of_invoice(row["id"]) for row in found]

    def _in_conflict(self, which: int) -> list[str]:
        return ["conflict" for _ in self._world.people.conflicts()[which : which + 1]]

    def _at_system(self, *_: int) -> list[str]:
        found = self._world.ledger.invoices
        return sorted({self._world.ledger.state_of_invoice(each) for each in found} & _AT_SYSTEM)

    def _heard(self, which: int) -> list[str]:
        return self._at_system() if which % ALL < len(self._world.firm.mailbox.events) else []

    def _pushing(self, _: int) -> list[str]:
        states = {self._world.ledger.state_of_invoice(each) for each in self._world.ledger.invoices}
        return sorted(states & {"approved", "frozen"})

    def _can(self, what: str, which: int) -> list[str]:
        found = self._world.remote(what)[which : which + 1]
        return [self._world.ledger.state_of_invoice(row["id"]) for row in found]


_WHERE: Final = {
    **dict.fromkeys(("finalize", "delete"), frozenset({"draft there", "amended"})),
    **dict.fromkeys(("pay", "pay in part", "void", "write_off"), frozenset({"open"})),
    **dict.fromkeys(("refund", "refund in part", "dispute", "win_dispute"), frozenset({"settled"})),
    "credit": frozenset({"open", "settled"}),
}
"""The states, as the ledger knows them, in which it must happen for a run to count."""
