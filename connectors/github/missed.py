"""What GitHub's webhooks missed: failed deliveries are fetched, and changed things listed.

GitHub never sends again by itself. `connector.py` asks for it in `changes_since`.
https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from connectors.connector import Changes
from connectors.sweep import Page, Sweep, swept
from ledger.errors import PermanentError
from ledger.events import Found

from .api import GitHubApi

ISSUES_A_PAGE: Final = 30
FETCHES: Final = 20
"""How many failed deliveries one call fetches, each by a request of its own."""
EARNING: Final = ("milestone", "issues", "release", "deployment_status")
"""Of the failed deliveries only these are fetched; nothing is earned by the others."""

_NAME: Final = r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*"
REPOSITORY: Final = f"{_NAME}/{_NAME}"
HOOK: Final = f"{_NAME}(?:/{_NAME})?:[0-9]+"
"""A repository's webhook, acme/site:12345, or an organization's, acme:12345."""


def changes_since(
    api: GitHubApi, settings: Mapping[str, str], cursor: str | None, now: datetime
) -> Changes:
    """Return what changed in the chosen repositories, and the chosen webhooks' failed deliveries.

    Where both tell the same, the ledger keeps one: the events are equal.
    """
    hooks = _listed(settings, "hooks", HOOK, "acme/site:12345")
    repositories = _listed(settings, "repositories", REPOSITORY, "acme/site")
    if cursor is None:
        return Changes((), Sweep(since=now).text)
    lists = ("issues", "milestones", "releases")
    steps = [f"hook {hook}" for hook in hooks]
    steps += [f"{each} {name}" for name in repositories for each in lists]
    return swept("github", cursor, now, steps, lambda to: _read(api, to))


def _read(api: GitHubApi, to: Sweep) -> Page:
    what, _, name = to.step.partition(" ")
    with api.reading(to.step):
        if what == "hook":
            return _failed_deliveries(api, to, name)
        if what == "issues":
            return _issues(api, to, name)
        if what == "milestones":
            return _milestones(api, to, name)
        return _releases(api, to, name)


def _failed_deliveries(api: GitHubApi, to: Sweep, hook: str) -> Page:
    """Fetch some of the failed deliveries since the last round, the oldest first.

    They are fetched, not asked to be sent again: what is down here would be down then, and a
    delivery that is fetched is stored together with the place that polling has reached.
    """
    owner, _, number = hook.rpartition(":")
    kind = "repos" if "/" in owner else "orgs"
    path = f"/{kind}/{owner}/hooks/{number}/deliveries"
    failed = _failed(api, path, to.start)
    first = (to.page - 1) * FETCHES
    here = failed[first : first + FETCHES]
    found = [_fetched(api, path, int(each["id"])) for each in here]
    if len(failed) <= first + FETCHES:
        return Page(found)
    return to.going_on(found, _moment(here[-1]["delivered_at"]))


def _failed(api: GitHubApi, path: str, since: datetime) -> list[dict[str, Any]]:
    """Return the deliveries since a moment that never arrived, each once, the oldest first."""
    arrived: set[str] = set()
    failed: dict[str, dict[str, Any]] = {}
    after, is_reached = None, False
    while not is_reached:
        told, after = api.page(path, cursor=after)
        for each in told:
            is_reached = is_reached or _moment(each["delivered_at"]) < since
            # The newest come first: what arrived at last is passed over, however often it failed.
            if 200 <= int(each["status_code"]) < 300:
                arrived.add(str(each["guid"]))
            elif each["event"] in EARNING and not is_reached and each["guid"] not in arrived:
                failed[str(each["guid"])] = each
        is_reached = is_reached or after is None
    return list(failed.values())[::-1]


def _fetched(api: GitHubApi, path: str, number: int) -> Found:
    told = api.get(f"{path}/{number}")
    headers = {"x-github-event": str(told["event"]), "x-github-delivery": str(told["guid"])}
    return Found(body=dict(told["request"]["payload"]), headers=headers)


def _issues(api: GitHubApi, to: Sweep, name: str) -> Page:
    told, following = api.page(
        f"/repos/{name}/issues",
        per_page=ISSUES_A_PAGE,
        page=to.page,
        state="all",
        since=to.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        sort="updated",
        direction="asc",
    )
    # Pull requests are listed as issues too.
    issues = [each for each in told if "pull_request" not in each and _is_fresh(to, each)]
    found = [Found.thing("issue", _within(name, issue=each)) for each in issues]
    if following is None:
        return Page(found)
    return to.going_on(found, _moment(told[-1]["updated_at"]))


def _milestones(api: GitHubApi, to: Sweep, name: str) -> Page:
    """Return one page of all milestones: the list cannot be asked for what changed."""
    told, following = api.page(f"/repos/{name}/milestones", page=to.page, state="all")
    changed = [each for each in told if _moment(each["updated_at"]) >= to.begin]
    fresh = [each for each in changed if _is_fresh(to, each)]
    found = [Found.thing("milestone", _within(name, milestone=each)) for each in fresh]
    return to.by_number(found, is_last=following is None)


def _releases(api: GitHubApi, to: Sweep, name: str) -> Page:
    """Return the new ones of the 100 releases that were created last."""
    told, _ = api.page(f"/repos/{name}/releases")
    fresh = [
        each
        for each in told
        if each["published_at"] is not None and _moment(each["published_at"]) >= to.begin
    ]
    return Page([Found.thing("release", _within(name, release=each)) for each in fresh])


def _is_fresh(to: Sweep, thing: Mapping[str, Any]) -> bool:
    """Return whether an issue or a milestone is open or was closed since the last round."""
    return thing["state"] != "closed" or _moment(thing["closed_at"]) >= to.begin


def _listed(settings: Mapping[str, str], name: str, pattern: str, example: str) -> list[str]:
    """Return a setting's words, separated by commas or blanks; raise PermanentError."""
    words = list(filter(None, re.split(r"[\s,]+", settings.get(name, ""))))
    if not all(re.fullmatch(pattern, word) for word in words):
        raise PermanentError(
            f"github: `{name}:` in workspace.yaml has an entry that is not like {example}"
            " - correct it"
        )
    return list(dict.fromkeys(words))


def _within(name: str, **thing: Mapping[str, Any]) -> dict[str, Any]:
    """Return a thing with its repository, in the shape of the webhooks' bodies."""
    return {**thing, "repository": {"full_name": name}}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
