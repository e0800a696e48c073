"""What `workspace.yaml` says: from its nodes to the model. Called by `book.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from . import phrases, words
from .model import ConnectorConfig, Person, SourceConfig, Workspace
from .reading import Mistakes, Place, Table, quoted, suggestion
from .shapes import Filled

_MISSPELT: Final = 80
"""How near, in percent, a setting must be to a known word to be taken for a slip.

`write_bak` is one, `jira_url` is not.
"""
MOST_SECRETS: Final = 20
"""The most secrets of one endpoint: some tools make one for each webhook."""
# Settings with such names are secrets, so they are named and never written.
_SECRET_SETTING: Final = re.compile(r"(^|_)(secret|token|key|password)$")


def workspace_of(table: Table, mistakes: Mistakes) -> Workspace | None:
    """Return what `workspace.yaml` says; None if it has mistakes, with all of them noted."""
    before = len(mistakes.found)
    filled: Filled = words.WORKSPACE.read(table, mistakes)
    sources = _sources(filled.get("sources", {}), mistakes)
    connectors = _connectors(filled.get("connectors", {}), mistakes)
    people = _people(filled.get("people", ()), mistakes)
    if len(mistakes.found) > before:
        return None
    return Workspace(
        name=filled["name"],
        time_zone=filled["time_zone"],
        sources=sources,
        connectors=connectors,
        people=people,
        vague_texts=filled.get("vague_texts", ()),
        billable_when_not_said=filled.get("billable_when_not_said", "yes"),
        agreed_terms_required=filled.get("agreed_terms_required") == "yes",
    )


def _sources(found: dict[str, tuple[Place, Filled]], mistakes: Mistakes) -> dict[str, SourceConfig]:
    sources = {}
    for endpoint, (at, filled) in found.items():
        inside = mistakes.inside(f'source "{endpoint}"')
        settings = _settings(filled, {"tool", "secret"}, words.SOURCE.words, inside)
        secrets = filled.get("secret", ())
        if len(secrets) > MOST_SECRETS:
            inside.add(
                filled.place("secret"),
                f"more than {MOST_SECRETS} secrets - give some of the webhooks an endpoint of "
                "their own",
            )
        sources[endpoint] = SourceConfig(
            endpoint, filled.get("tool", ""), secrets, settings, str(at)
        )
        if "secret" in filled.places:
            continue
        if sources[endpoint].is_only_polled:
            continue
        if not sources[endpoint].is_unsigned:
            inside.add(
                at,
                "has no secret, so anybody could post to it - add secret: ${ITS_NAME}, or "
                "only_polled: yes for a tool that has no webhooks",
            )
        elif "path_token" not in filled.places:
            inside.add(at, "is unsigned - add path_token: ${ITS_NAME}, a random end of its URL")
    return sources


def _connectors(
    found: dict[str, tuple[Place, Filled]], mistakes: Mistakes
) -> dict[str, ConnectorConfig]:
    connectors = {}
    for name, (at, filled) in found.items():
        inside = mistakes.inside(f'connector "{name}"')
        settings = _settings(filled, {"system"}, words.CONNECTOR.words, inside)
        connectors[name] = ConnectorConfig(name, filled.get("system", ""), settings, str(at))
    return connectors


def _settings(
    filled: Filled, apart: set[str], known: Iterable[str], mistakes: Mistakes
) -> dict[str, str]:
    """Return the settings as written; which of them a system has is known to its adapter only."""
    settings = {name: value for name, value in filled.values.items() if name not in apart}
    for name, value in settings.items():
        near = suggestion(name, known, likeness=_MISSPELT)
        if name not in known and "did you mean" in near:
            mistakes.add(filled.place(name), f"unknown word {quoted(name)}{near}")
        try:
            if _SECRET_SETTING.search(name):
                phrases.environment_name(value)
            phrases.environment_names(value)
        except ValueError as error:
            mistakes.inside(name).add(
                filled.place(name), f"this value is not a name like ${{STRIPE_API_KEY}}{error}"
            )
    return settings


def _people(found: Sequence[Filled], mistakes: Mistakes) -> tuple[Person, ...]:
    people: dict[str, Person] = {}
    owners: dict[tuple[str, str], str] = {}
    for filled in found:
        name = filled.get("person")
        if name is None:
            continue
        inside = mistakes.inside(f"person {quoted(name)}")
        if name in people:
            inside.add(filled.place("person"), "stands here twice - keep one, with all accounts")
        accounts = []
        for tool, (at, ids) in (filled.get("accounts") or {}).items():
            for account in ids:
                owner = owners.setdefault((tool, account), name)
                if owner != name:
                    problem = f"{tool} account {quoted(account)} belongs to {quoted(owner)} already"
                    inside.add(at, f"{problem} - one account is one person's")
                accounts.append((tool, account))
        people[name] = Person(name, filled.get("role"), tuple(accounts))
    return tuple(people.values())
