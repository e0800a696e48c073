"""Walks through the world of the stateful test towards what was tried least, and keeps count.

Beside hypothesis, which chooses freely and shrinks, the explorer steers: of some steps that make
sense now it takes the one whose (state of the invoice) x (event) was hit least often. A run that
ends badly is shortened to the steps that it needs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from .model_checks import Broken
from .model_firm import Firm
from .model_ledger import CREDITABLE, NOTE, NOTED
from .model_people import EDITS
from .model_steps import FLAGGED, HELD, Step
from .model_world import World

STEPS: Final = 100
LEAST_HITS: Final = 5
"""How often each pair must be hit, or the run says nothing."""
TRIED: Final = 24
"""From how many possible steps the next one is chosen."""
ROADS: Final[dict[str, tuple[str | tuple[str, str], ...]]] = {
    "draft": ("log", "phase ends"),
    "blocked": ("finalize", "approve", ("less time", "open"), "log"),
    "approved": ("approve", "log"),
    "frozen": ("trouble at Stripe", "approve", "log"),
    "draft there": ("approve", "log"),
    "amended": ("more time", "approve", "log"),
    "conflict": ("approve", "log"),
    "open": ("finalize", "approve", "log"),
    "settled": ("pay", "finalize", "approve", "log"),
    "void": ("void", "finalize", "approve", "log"),
    "deleted": ("delete", "approve", "log"),
    "held": (("held phase opens again", "draft there"), "approve", "log"),
    CREDITABLE: ("log to credit",),
    NOTE: (("remove", CREDITABLE), ("less time", CREDITABLE), "log to credit"),
    NOTED: (("approve", NOTE), ("less time", CREDITABLE), "log to credit"),
}
"""The steps that lead to a state: the first that can be done now brings it nearest. Where work must
be in some state for it, that one stands beside the step."""
PHASES_OF: Final = {
    "phase ends": (0, HELD, FLAGGED),
    "phase opens again": (0, 1),
    "held phase opens again": (HELD,),
    "flagged phase opens again": (FLAGGED,),
    "take back": (HELD, FLAGGED),
    "keep": (HELD, FLAGGED),
}
"""The milestones that a step is about."""
PASSING: Final = ("approved", "frozen")
"""The states that a worker ends: it works more seldom while something is in one."""
ON_THE_ROAD: Final = 0.5
"""How often a step is taken because of where it leads to."""
PATIENCE: Final = 20
"""How many steps are taken towards one pair before another one is aimed at."""
FIRST: Final = {
    "restore": ("remove",),
    "late delivery": ("edit that is told late",),
    "put the copy back": ("back up",),
    "undo an edit": EDITS,
}
"""What must have been done, without a worker having come, before something can be."""

Move = tuple[str, tuple[int, ...], bool]
"""A step, its numbers, and whether the worker works afterwards."""


@dataclass(slots=True)
class Coverage:
    """How often each event hit work in each state of its invoice."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: int = 0
    runs: int = 0
    least: int = LEAST_HITS
    """How often each pair is to be hit here; where several play, each needs to do its part only."""
    aim: tuple[str, str] | None = None
    """The pair that the explorer is on the way to."""
    patience: int = 0
    given_up: set[tuple[str, str]] = field(default_factory=set)
    """The pairs that were not come to in this run."""
    is_near: bool = False
    """What must be done before the aim has just been done: nothing else may come between."""

    def count(self, step: Step, states: Sequence[str]) -> None:
        """Count one step."""
        self.steps += 1
        self.hits.update((step.name, state) for state in states)

    def rarest(self, step: Step, states: Sequence[str]) -> int:
        """Return how often the rarest pair was hit that this step would hit now."""
        wanted = [self.hits[step.name, state] for state in states if state in step.can_hit]
        return min(wanted, default=self.least)

    def missing(self, steps: Iterable[Step]) -> list[tuple[str, str]]:
        """Return the pairs that can occur and were hit too seldom."""
        return [
            (step.name, state)
            for step in steps
            for state in sorted(step.can_hit)
            if self.hits[step.name, state] < self.least
        ]


class Failure(Exception):
    """A run ended badly: what was seen, and the shortest run that was found to show it."""

    def __init__(self, seen: str, moves: Sequence[Move]) -> None:
        super().__init__(seen, moves)
        self.seen, self.moves = seen, moves

    def __str__(self) -> str:
        return f"{self.seen}\n{written(self.moves)}"


def failure(firm: Firm, error: Exception, moves: Sequence[Move]) -> Failure:
    """Return what a run has shown that ended with an error, shortened to what it needs."""
    shortest = shortened(moves, lambda some: _fails_alike(firm, some, error))
    name = "" if isinstance(error, Broken) else f"{type(error).__name__}: "
    return Failure(f"{name}{error}", shortest)


def explore(firm: Firm, seed: int, coverage: Coverage, *, steps: int = STEPS) -> None:
    """Play one run; raise Failure with the shortened run if a promise is broken."""
    rng = random.Random(seed)
    moves: list[Move] = []
    world = World(firm)
    coverage.runs += 1
    coverage.given_up.clear()
    try:
        for _ in range(steps):
            move, states = _next(world, rng, coverage)
            coverage.count(world.steps[move[0]], states)
            moves.append(move)
            world.play(move[0], *move[1], work=move[2])
        world.end()
    except Exception as error:
        raise failure(firm, error, moves) from error


def _next(world: World, rng: random.Random, coverage: Coverage) -> tuple[Move, list[str]]:
    """Return the next step and what it hits: what was hit least, or what leads on."""
    if (coverage.is_near or rng.random() < ON_THE_ROAD) and (
        found := _towards_aim(world, rng, coverage)
    ):
        return found
    every = list(world.steps.values())
    possible: list[tuple[float, Move, list[str]]] = []
    while not possible:
        for _ in range(TRIED):
            step = rng.choice(every)
            numbers = tuple(rng.randrange(size) for size in step.sizes)
            if states := list(step.hits(*numbers)):
                score = coverage.rarest(step, states) + rng.random()
                works = rng.random() < (0.25 if set(states) & set(PASSING) else 0.5)
                possible.append((score, (step.name, numbers, works), states))
    _, move, states = min(possible, key=lambda each: each[0])
    return move, states


def _towards_aim(
    world: World, rng: random.Random, coverage: Coverage
) -> tuple[Move, list[str]] | None:
    """Return a step towards a pair that was hit too seldom, or what hits it; None if none does."""
    missing = coverage.missing(world.steps.values())
    if coverage.aim not in missing or not coverage.patience:
        if coverage.aim:
            coverage.given_up.add(coverage.aim)
        missing = [pair for pair in missing if pair not in coverage.given_up]
        here = set(world.steps["restart"].hits())
        # What can happen to work as it stands now comes first: that spares a road.
        near = [pair for pair in missing if pair[1] in here]
        coverage.aim = rng.choice(near or missing) if missing else None
        coverage.patience = PATIENCE
    if coverage.aim is None:
        return None
    coverage.patience -= 1
    was_near, coverage.is_near = coverage.is_near, False
    event, state = coverage.aim
    for name in (event, *(() if was_near else FIRST.get(event, ()))):
        if numbers := _hitting(world.steps[name], state, rng):
            coverage.is_near = name != event
            works = name == event and rng.random() < 0.5
            return (name, numbers[0], works), list(world.steps[name].hits(*numbers[0]))
    if was_near:
        coverage.patience = 0
        return None
    return _on_the_road(world, rng, state, PHASES_OF.get(event, ()))


def _hitting(step: Step, state: str, rng: random.Random) -> list[tuple[int, ...]]:
    """Return numbers with which a step would hit a state now, or nothing."""
    every = list(product(*(range(size) for size in step.sizes)))
    rng.shuffle(every)
    return next(([each] for each in every if state in step.hits(*each)), [])


def _on_the_road(
    world: World, rng: random.Random, state: str, phases: Sequence[int]
) -> tuple[Move, list[str]] | None:
    """Return a step that brings work nearer to a state; None if none does.

    `phases` are the milestones that it is about; none: it is about an entry.
    """
    nearer = world.people.towards_conflict() if state == "conflict" else None
    if nearer and (states := list(world.steps[nearer[0]].hits(*nearer[1]))):
        return (*nearer, True), states
    for each in ("hear", *ROADS.get(state, ())):
        if isinstance(each, tuple):
            name, where = each
            if found := _hitting(world.steps[name], where, rng):
                return (name, found[0], True), [where]
            continue
        name = each.removesuffix(" to credit")
        if phases and name == "log":
            name = each = "phase ends"
        step = world.steps[name]
        # The last choice is the one that means all of them, where there is such a one.
        last = tuple(size - 1 for size in step.sizes)
        some = [tuple(rng.randrange(size) for size in step.sizes) for _ in range(3)]
        if phases and name == "phase ends":
            some = [(number,) for number in phases]
        if each != name:
            some = [(number, step.sizes[1] - 1, day) for number, _, day in some]
        for numbers in (*some, last) if name in ("log", "phase ends") else (last, *some):
            if states := list(step.hits(*numbers)):
                stays = name == "approve" and state in PASSING
                return (name, numbers, not stays), states
    return None


def replay(firm: Firm, moves: Sequence[Move]) -> None:
    """Play a run that is written down, to its end."""
    world = World(firm)
    for name, numbers, work in moves:
        world.play(name, *numbers, work=work)
    world.end()


def _fails_alike(firm: Firm, moves: Sequence[Move], error: Exception) -> bool:
    try:
        replay(firm, moves)
    except Exception as other:
        return type(other) is type(error)
    return False


def shortened(moves: Sequence[Move], fails: Callable[[Sequence[Move]], bool]) -> list[Move]:
    """Return a shorter run that still fails: halves, quarters, ... single steps are left out."""
    left = list(moves)
    if not fails(left):
        return left
    size = max(len(left) // 2, 1)
    while True:
        start = 0
        while start < len(left):
            without = left[:start] + left[start + size :]
            if fails(without):
                left = without
            else:
                start += size
        if size == 1:
            return left
        size //= 2


def written(moves: Sequence[Move]) -> str:
    """Return a run as the lines of a regression test."""
    return "\n".join(
        f"world.play({', '.join([repr(name), *map(str, numbers)])}{'' if work else ', work=False'})"
        for name, numbers, work in moves
    )
