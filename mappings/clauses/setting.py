"""What a clause may know of the rest of the files while it is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ..model import Workspace
from ..reading import Mistakes, Place, quoted, suggestion


@dataclass(frozen=True, slots=True)
class Setting:
    """The firm, and what the customer's file says elsewhere."""

    workspace: Workspace | None
    """None: it has mistakes of its own, so what depends on it is not checked."""
    currency: str | None
    rules: tuple[str, ...] = ()
    """The names of the customer's rules."""
    holidays: frozenset[date] = frozenset()
    """The days of `holidays:`."""

    def check_person(self, name: str, at: Place, mistakes: Mistakes) -> None:
        """Note a mistake if nobody of the firm has this name."""
        if self.workspace:
            known = [person.name for person in self.workspace.people]
            check_known("person", name, known, at, mistakes)


def check_known(what: str, name: str, known: Iterable[str], at: Place, mistakes: Mistakes) -> None:
    """Note a mistake if workspace.yaml has no such thing."""
    if name not in known:
        problem = f"no {what} {quoted(name)} in workspace.yaml"
        mistakes.add(at, problem + suggestion(name, known))
