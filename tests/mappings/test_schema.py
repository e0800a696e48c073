"""The JSON Schema for editors takes what the checker takes, and knows every word."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from mappings.reading import Items, Mistakes, Node, Text, read
from mappings.schema import schema_of

Files = dict[str, str]


def as_an_editor_sees(node: Node) -> Any:
    """Return a node as JSON, plain values typed by YAML 1.2's core schema."""
    if isinstance(node, Text):
        if node.is_plain:
            try:
                return json.loads(node.text)
            except ValueError:
                return node.text
        return node.text
    if isinstance(node, Items):
        return [as_an_editor_sees(item) for item in node.items]
    return {key.text: as_an_editor_sees(value) for key, value in node.entries}


def is_valid(kind: str, text: str) -> bool:
    node = read("a.yaml", text, Mistakes())
    assert node is not None
    validator = jsonschema_rs.Draft202012Validator(schema_of(kind))
    return validator.is_valid(as_an_editor_sees(node))


def test_both_schemas_are_valid_json_schema() -> None:
    for kind in ("customer", "workspace"):
        jsonschema_rs.meta.validate(schema_of(kind))


def test_sound_files_are_valid(files: Files) -> None:
    assert is_valid("customer", files["acme.yaml"])
    assert is_valid("workspace", files["workspace.yaml"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unit_price: 4500.00", "unit_prize: 4500.00"),
        ("invoice: monthly", "invoice: montly"),
        ("currency: EUR\n", ""),
        ("billable: yes", "billable: maybe"),
        ("[item, person]", "[item, persona]"),
        ("bill: nothing", "bill: nuthing"),
        ("from: 2026-06-01", "from: June"),
        ("format: 1", "format: 2"),
    ],
)
def test_a_mistake_is_underlined_in_the_editor(files: Files, old: str, new: str) -> None:
    assert old in files["acme.yaml"]
    assert not is_valid("customer", files["acme.yaml"].replace(old, new))


def test_every_word_has_a_hover_text() -> None:
    def words(schema: dict[str, Any]) -> list[dict[str, Any]]:
        below = [*schema.get("anyOf", []), schema.get("items", {})]
        found = [
            *schema.get("properties", {}).values(),
            *schema.get("patternProperties", {}).values(),
        ]
        return found + [word for each in (*found, *below) if each for word in words(each)]

    described = words(schema_of("customer")) + words(schema_of("workspace"))
    assert len(described) > 60
    assert all(word.get("description") for word in described)
