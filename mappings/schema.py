"""JSON Schema of the rule files, for completion and hover texts in editors.

Made from the same words that check the files. Called by `flask rules schema`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from . import words

TABLES: Final = {
    "customer": words.CUSTOMER,
    "shared": words.SHARED,
    "workspace": words.WORKSPACE,
}
"""The kinds of file and their words."""


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of file: a key of `TABLES`."""
    described = TABLES[kind].schema()
    if kind == "customer":
        described |= _unless_it_extends(described["required"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Billhook {kind} file",
        **described,
    }


def file_name(kind: str) -> str:
    """Return the name under which rule files name the schema of their kind."""
    return f"{kind}.schema.json"


def file_text(kind: str) -> str:
    """Return the schema of a kind of file as it is written into a folder of rules."""
    return json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"


def _unless_it_extends(required: list[str]) -> dict[str, Any]:
    """Return what a customer's file must say; a shared file may say some of it instead."""
    alone = [word for word in required if words.CUSTOMER.words[word].is_own or word == "format"]
    return {
        "required": alone,
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": [word for word in required if word not in alone]},
    }
