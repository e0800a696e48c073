"""The JSON Schema for editors takes what the checker takes, and knows every word."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner

from console.commands.rules import rules
from mappings.reading import Items, Mistakes, Node, Text, read
from mappings.schema import TABLES, file_name, file_text, schema_of

Files = dict[str, str]
RULES = Path(__file__).parents[2] / "mappings" / "rules"


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


@pytest.mark.parametrize("kind", TABLES)
def test_every_schema_is_valid_json_schema(kind: str) -> None:
    jsonschema_rs.meta.validate(schema_of(kind))


@pytest.mark.parametrize("kind", TABLES)
def test_the_schemas_beside_the_rule_files_are_not_stale(kind: str) -> None:
    written = (RULES / file_name(kind)).read_text()
    assert written == file_text(kind), "run: flask rules schema --write"


@pytest.mark.parametrize(
    "path", sorted(RULES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(RULES))
)
def test_every_shipped_file_names_its_schema_and_is_valid(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line names the schema"
    beside = path.parent / named[1]
    assert beside.resolve().parent == RULES
    kind = beside.name.removesuffix(".schema.json")
    assert kind == (
        "workspace"
        if path.name == "workspace.yaml"
        else "shared"
        if "\nshared:" in text
        else "customer"
    )
    assert is_valid(kind, text)


def test_what_shared_files_say_is_missing_only_in_files_that_extend_none(files: Files) -> None:
    without = files["acme.yaml"].replace("currency: EUR\n", "")
    assert not is_valid("customer", without)
    assert is_valid("customer", without + "extends: standard\n")
    assert not is_valid("customer", without.replace("name: Acme GmbH", "extends: standard"))


def test_every_choice_is_shown_with_its_meaning() -> None:
    choices = schema_of("customer")["properties"]["after_push"]
    meant = dict(zip(choices["enum"], choices["enumDescriptions"], strict=True))
    assert meant["send"] == "it becomes an open invoice and the billing system sends it"


def test_all_schemas_are_written_into_a_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(rules, ["schema", "--write", str(tmp_path)])
    assert result.exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("customer.schema.json", "shared.schema.json", "workspace.schema.json")
    ]
    nowhere = CliRunner().invoke(rules, ["schema", "--write", str(tmp_path / "no")])
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr


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

    described = [word for kind in TABLES for word in words(schema_of(kind))]
    assert len(described) > 60
    assert all(word.get("description") for word in described)
