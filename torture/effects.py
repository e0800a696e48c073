"""The four ports as a harness sees them: each effect is counted and may go wrong.

An effect is a commit, a request to another system or a ring. A process that dies between two
effects has lost nothing but memory, so "dies after this one" is "dies before the next one";
the end of a step is a point of its own for that. Reading the clock changes nothing, so a death
there is a death at the next effect; what a clock can do is run on while a process stands
still, which are the faults `stall` and `stall_after`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from connectors.http import Http, Request, Response
from ledger.database import Database
from ledger.ports import Doorbell

T = TypeVar("T")

CRASH: Final = "crash"
"""The process dies before the effect."""
COMMIT_FAULTS: Final = (CRASH, "commit_fails", "commit_unknown", "stall_after")
"""What can become of a commit: it fails; it is made and its success not heard; it is made and
the process then stands still until its lease has run out and others have done the work."""
RING_FAULTS: Final = (CRASH,)
END_FAULTS: Final = (CRASH,)
STALL: Final = "stall"
"""The process stands still before the effect until its lease has run out and others have done the
work, and then goes on."""


class Crash(BaseException):
    """The process is gone: nothing after this line happens."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect: the how-manieth it is, through which port, and what it is."""

    number: int
    port: str
    """commit, http, ring or end."""
    name: str
    possible: Sequence[str]
    """The faults that could hit it."""


class Effects:
    """Numbers the effects of one play and asks `decide` what becomes of each."""

    def __init__(self) -> None:
        self.count = 0
        self.is_on = False
        """Effects before the play are neither numbered nor hit."""
        self.decide: Callable[[Effect], str | None] = lambda effect: None
        self.stall: Callable[[], None] = lambda: None
        """Lets time pass and other processes work while this one stands still."""
        self._is_new = True

    def next(
        self, port: str, name: str, possible: Sequence[str], *, is_change: bool = True
    ) -> str | None:
        """Number an effect; return the fault that hits it, None if it goes well.

        `is_change` is false of what leaves everything as it was, such as asking another system.
        """
        if not self.is_on:
            return None
        self.count += 1
        if not self._is_new:
            # Nothing has changed since the last effect before which the process could die.
            possible = [each for each in possible if each != CRASH]
        self._is_new = is_change
        fault = self.decide(Effect(self.count, port, name, possible))
        if fault is not None:
            self._is_new = True
        if fault == CRASH:
            raise Crash(name)
        return fault

    def end_of_step(self, name: str) -> None:
        """Be the point after the last effect of a step: the process may die here too."""
        self._is_new = True
        self.next("end", name, END_FAULTS)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Number and hit the effects of the block."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


class CountedDatabase(Database):
    """A database whose commits are effects."""

    effects: Effects
    has_changed: Callable[[], bool]
    """Whether the open transaction has written anything."""
    _name = "commit"

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run one write transaction, named after who asks for it."""
        frame = sys._getframe(1)
        while frame.f_code.co_name == "write" and frame.f_back is not None:
            frame = frame.f_back
        self._name = frame.f_code.co_qualname.partition(".<locals>")[0]
        return super().write(work)

    def commit(self, commit: Callable[[], None]) -> None:
        """Commit, as an effect."""
        if not self.has_changed():
            # Nobody could tell whether it was made.
            commit()
            return
        fault = self.effects.next("commit", self._name, COMMIT_FAULTS)
        if fault != "commit_fails":
            commit()
        if fault in ("commit_fails", "commit_unknown"):
            raise OperationalError("COMMIT", None, Exception("torture: the database went away"))
        if fault == "stall_after":
            self.effects.stall()


class Site(Protocol):
    """Another system, and the faults that it knows."""

    def possible(self, request: Request) -> Sequence[str]:
        """Return the faults that could hit a request."""
        ...

    def send(self, request: Request, fault: str | None) -> Response:
        """Answer a request, well or with a fault; raise as `Http.send` does."""
        ...


class CountedHttp(Http):
    """Outgoing HTTP whose requests are effects; it finds each site by its address."""

    def __init__(self, sites: dict[str, Site], effects: Effects) -> None:
        self._sites, self._effects = sites, effects

    def send(self, request: Request) -> Response:
        """Send, as an effect."""
        address = next(each for each in self._sites if request.url.startswith(each))
        site = self._sites[address]
        path = request.url.removeprefix(address).partition("?")[0]
        possible = (CRASH, *site.possible(request))
        is_change = request.method != "GET"
        fault = self._effects.next(
            "http", f"{request.method} {path}", possible, is_change=is_change
        )
        if fault == STALL:
            self._effects.stall()
            fault = None
        return site.send(request, fault)


class CountedDoorbell(Doorbell):
    """A doorbell whose rings are effects; the worker looks by itself, as a lost ring asks for."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self.rung: list[str] = []

    def ring(self, stage: str) -> None:
        """Ring, as an effect."""
        self._effects.next("ring", stage, RING_FAULTS, is_change=False)
        self.rung.append(stage)
