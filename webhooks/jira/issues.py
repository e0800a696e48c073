"""Jira's issue bodies: work that was completed or opened again, and facts about issues."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final, Literal

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds, moment_of
from .told import KEY, Issue, changed_at, changes, items_of, local_day, read_issue

Moved = Literal["work.completed", "work.reopened"]

DONE_NAMES: Final = frozenset(
    # Jira's own names of done statuses and resolutions, in languages that it ships in.
    {"done", "closed", "resolved"}
    | {"fertig", "erledigt", "geschlossen", "gelöst"}
    | {"terminé", "terminée", "terminé(e)", "fermé", "fermée", "résolu", "résolue"}
    | {"hecho", "listo", "finalizado", "finalizada", "cerrado", "cerrada", "resuelto", "resuelta"}
    | {"completato", "chiuso", "risolto", "concluído", "concluída", "fechado", "resolvido"}
    | {"gereed", "gesloten", "opgelost", "gotowe", "zamknięte", "rozwiązane"}
    | {"完了", "クローズ", "解決済み", "完成", "已关闭", "已解决"}
)
"""Only the status before a change is judged by its name: bodies give no category for it."""


def created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `jira:issue_created`: facts, and completed work if it was created as done."""
    issue, version = _opened(payload)
    if _is_done(issue):
        return _moved("work.completed", payload, delivery, issue, version)
    return Reading(facts=issue.facts(version), ignored="the issue was created: no work is done yet")


def updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `jira:issue_updated`: facts, and completed or reopened work if the status says so."""
    issue, version = _opened(payload)
    changed = changes(payload)
    status, resolution = changed.get("status"), changed.get("resolution")
    if issue.category is None:
        # Servers before 6.2 know no status categories; there the resolution marks what is done.
        is_completed = resolution is not None and _has(resolution, "to")
    else:
        is_completed = status is not None and issue.category == "done"
    if is_completed:
        return _moved("work.completed", payload, delivery, issue, version)
    if (status is not None or issue.category is None) and _was_done(status, resolution):
        return _moved("work.reopened", payload, delivery, issue, version)
    return Reading(facts=issue.facts(version), ignored=_why_nothing(status, changed))


def found(payload: Payload, delivery: Delivery) -> Reading:
    """Read an issue as the API tells it now: done or not, since its status changed last.

    The version is the time of that change in its history, which Jira writes some milliseconds
    before the webhook's own timestamp: whichever comes later, the webhook's event stands.
    """
    issue = read_issue(payload)
    fields = payload["fields"]
    decisive = "resolution" if issue.category is None else "status"
    moves = [
        (milliseconds(change.moment("created")), change.optional("author"))
        for change in _histories(payload)
        if decisive in items_of(change)
    ]
    version, user = max(moves, key=lambda move: move[0]) if moves else _creation(fields)
    event = _event(
        "work.completed" if _is_done(issue) else "work.reopened",
        delivery,
        issue,
        version,
        local_day(user, version),
    )
    return Reading(events=(event,), facts=issue.facts(milliseconds(fields.moment("updated"))))


def _histories(payload: Payload) -> Iterator[Payload]:
    changelog = payload.optional("changelog")
    return changelog.items("histories") if changelog else iter(())


def _creation(fields: Payload) -> tuple[int, Payload | None]:
    """Return when and by whom an issue was created that has had one status ever since."""
    return milliseconds(fields.moment("created")), fields.optional("creator")


def _is_done(issue: Issue) -> bool:
    return issue.is_resolved if issue.category is None else issue.category == "done"


def _opened(payload: Payload) -> tuple[Issue, int]:
    issue = read_issue(payload["issue"])
    return issue, changed_at(payload, payload["issue"].optional("fields"))


def _moved(
    kind: Moved,
    payload: Payload,
    delivery: Delivery,
    issue: Issue,
    version: int,
) -> Reading:
    on = local_day(payload.optional("user"), version)
    event = _event(kind, delivery, issue, version, on)
    return Reading(events=(event,), facts=issue.facts(version))


def _event(kind: Moved, delivery: Delivery, issue: Issue, version: int, on: date) -> Event:
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=issue.about,
        version=version,
        occurred_at=moment_of(version),
        on=on,
        project=issue.project,
        item=issue.key,
        title=issue.title,
        person=issue.assignee.id,
        person_name=issue.assignee.name,
        labels=issue.labels,
        fields=issue.fields,
        about=issue.about,
    )


def _has(change: Payload, side: Literal["from", "to"]) -> bool:
    return change.has(side) or change.optional_text(f"{side}String") is not None


def _was_done(status: Payload | None, resolution: Payload | None) -> bool:
    if resolution is not None and _has(resolution, "from") and not _has(resolution, "to"):
        return True
    if status is None:
        return False
    before, after = status.optional_text("fromString"), status.optional_text("toString")
    return _is_done_name(before) and not _is_done_name(after)


def _is_done_name(name: str | None) -> bool:
    return name is not None and name.strip().lower() in DONE_NAMES


def _why_nothing(status: Payload | None, changed: dict[str, Payload]) -> str:
    if status is not None:
        before = status.optional_text("fromString") or "one status"
        after = status.optional_text("toString") or "another"
        return f"the issue moved from {before:.60} to {after:.60}: not done yet"
    if "timespent" in changed:
        return "the issue's total time changed: the worklog's own delivery tells it"
    if changed:
        return f"only {', '.join(sorted(changed)):.120} of the issue changed"
    return "nothing that is billed changed in the issue"
