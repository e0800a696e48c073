"""How OpenProject writes its resources: links with ids and titles, durations, custom fields.

Bodies are APIv3 resources, in webhooks and in the API alike:
https://www.openproject.org/docs/api/introduction/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ledger.errors import PayloadError

from ..payload import Payload

KEY: Final = "openproject"
MOST_SECONDS: Final = 2**31 - 1

_LAST_ID: Final = re.compile(r"/([0-9]{1,18})\Z", re.ASCII)
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_DURATION: Final = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_UNITS: Final = (604_800, 86_400, 3600, 60, 1)
_CUSTOM_FIELD: Final = re.compile(r"customField[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """Another resource that a resource names; what it does not say is None."""

    kind: str | None = None
    """The collection that it is in: `work_packages`."""
    id: str | None = None
    title: str | None = None


def link(resource: Payload, name: str) -> Link:
    """Return the resource behind a name: by its link, else by what is embedded of it."""
    links = resource.optional("_links")
    linked = links.optional(name) if links is not None else None
    href = linked.optional_text("href") if linked is not None else None
    title = linked.optional_text("title") if linked is not None else None
    found = _LAST_ID.search(href) if href is not None else None
    kind, number = None, None
    if href is not None and found is not None:
        kind, number = href[: found.start()].rpartition("/")[2], found[1]
    whole = embedded(resource, name)
    if whole is not None and (linked is None or href is not None):
        if number is None and whole.has("id"):
            number = whole.identifier("id")
        title = title or whole.optional_text("name") or whole.optional_text("subject")
    return Link(kind, number, title)


def embedded(resource: Payload, name: str) -> Payload | None:
    """Return the whole of another resource if the body has it: single resources do, lists not."""
    inner = resource.optional("_embedded")
    return inner.optional(name) if inner is not None else None


def seconds(resource: Payload, name: str) -> int:
    """Return an ISO 8601 duration such as `PT07H42M` in seconds; a day has 24 hours.

    Years and months have no fixed length and are refused. OpenProject writes whole seconds and
    leaves a fraction of one out, and so does this.
    """
    text = resource.text(name)
    found = _DURATION.fullmatch(text) if len(text) <= 60 else None
    if found is None or not any(found.groups()):
        raise PayloadError(resource.path_of(name), "must be a duration such as PT7H42M")
    parts = zip(found.groups(), _UNITS, strict=True)
    exact = sum((Decimal(part) * unit for part, unit in parts if part), Decimal(0))
    if exact > MOST_SECONDS:
        raise PayloadError(resource.path_of(name), f"must be at most {MOST_SECONDS} seconds")
    return int(exact)


def formatted(resource: Payload, name: str) -> str | None:
    """Return a text that may stand in an object with its format, None if it is empty."""
    value = resource.raw(name)
    if isinstance(value, dict):
        value = value.get("raw")
    return (value.strip() or None) if isinstance(value, str) else None


def custom_fields(resource: Payload) -> dict[str, Any]:
    """Return the custom fields by OpenProject's own names (`customField7`): values or titles."""
    found: dict[str, Any] = {}
    for name in resource.names():
        if _CUSTOM_FIELD.fullmatch(name):
            value = resource.raw(name)
            found[name] = formatted(resource, name) if isinstance(value, dict) else value
    links = resource.optional("_links")
    for name in links.names() if links is not None else ():
        if _CUSTOM_FIELD.fullmatch(name):
            value = links.raw(name) if links is not None else None
            found[name] = (
                [_title(each) for each in value] if isinstance(value, list) else _title(value)
            )
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str | int | Decimal)
        or (isinstance(value, list) and value and all(isinstance(each, str) for each in value))
    }


def said(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _title(value: object) -> object:
    return value.get("title") if isinstance(value, dict) else None
