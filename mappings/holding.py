"""Why an event that a rule fits cannot be priced: it waits for a person, with what to do."""

from __future__ import annotations

from ledger.events import Event

from .reading import quoted


class Hold(Exception):
    """The event cannot be priced; the text says why, and what to do."""


def why_unknown(word: str, asks: str, event: Event) -> str:
    """Return why a condition cannot be decided; `asks` names whose it is: `rule "Travel"`."""
    if word in ("person", "role"):
        return f"{unknown_person(event)} ({asks} asks for it)"
    if word == "billable":
        tool = event.source or "the tool"
        problem = f"{tool} does not say whether this is billable"
        return f"{problem}, and {asks} asks for it - decide it in the tool"
    problem = f"its {word} is not known yet, and {asks} asks for it"
    return f"{problem} - it is filled in when the tool tells it"


def unknown_person(event: Event) -> str:
    """Return why nobody of ours is known to have worked, and what to do."""
    if event.person is None:
        return "the tool does not say who worked - name a person there, or bill without a rate"
    shown = quoted(event.person)
    if event.person_name and event.person_name != event.person:
        shown += f" ({quoted(event.person_name)})"
    where = event.endpoint or event.source
    who = f"unknown person {shown}" + (f" of {where}" if where else "")
    return f"{who} - add the account under people: in workspace.yaml"
