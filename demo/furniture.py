"""What stands in Jira and GitHub before the month begins, told to their stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import agency
from .bodies import GUIDE, TEA


def furniture() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what to put where: the stand-in, the path under `/_control/`, the content."""
    for key, number in agency.PROJECTS.items():
        yield "jira", "projects", {"number": number, "key": key, "name": key}
    for issue in (*agency.SHOP, agency.UNTOLD, *agency.INTERNAL, agency.STRAY):
        told = {"number": issue.number, "key": issue.key, "summary": issue.title}
        yield "jira", "issues", told
    for repository in (TEA, GUIDE):
        yield "github", "repositories", {"full_name": repository}
    phase = {"repository": TEA, "number": 2, "title": agency.PHASE[0], "state": "closed"}
    yield "github", "milestones", phase
    seats = {"repository": TEA, "number": 21, "title": "Choose a seat", "milestone": 2}
    yield "github", "issues", seats
    for number, title in agency.BUGS.items():
        yield "github", "issues", {"repository": GUIDE, "number": number, "title": title}
