"""JSON Schema of the rule files, for completion and hover texts in editors.

Made from the same words that check the files. Called by `flask rules schema`.
"""

from __future__ import annotations

from typing import Any, Final

from . import words

TABLES: Final = {"customer": words.CUSTOMER, "workspace": words.WORKSPACE}
"""The kinds of file and their words."""


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of file: "customer" or "workspace"."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Billhook {kind} file",
        **TABLES[kind].schema(),
    }
