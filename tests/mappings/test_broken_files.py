"""Broken rule files get the right messages, with line and column, and cost next to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from console.commands.rules import rules
from mappings import reading
from mappings.reading import Mistakes, read

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*.yaml"))
WORKSPACE = """\
format: 1
name: Studio
time_zone: Europe/Berlin
connectors: {file: {system: file}}
people: [{person: Ana, role: senior, accounts: {jira: ana}}]
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_broken_file_is_refused_with_the_messages_beside_it(path: Path, tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / path.name).write_bytes(path.read_bytes())
    result = CliRunner().invoke(rules, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout == ""
    expected = path.with_suffix(".txt").read_text()
    assert result.stderr == expected
    assert all(re.search(" - |is not", line) for line in expected.splitlines()), "what to do"


def test_there_are_at_least_twenty() -> None:
    assert len(FILES) >= 20
    assert {path.stem for path in BROKEN.glob("*.txt")} == {path.stem for path in FILES}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count what the parser is asked for: the work that a file costs, whatever the clock says."""
    events: list[str] = []
    parse = yaml.parse

    def counting(text: str, Loader: type) -> Iterator[yaml.Event]:
        for event in parse(text, Loader=Loader):
            events.append(type(event).__name__)
            yield event

    monkeypatch.setattr(yaml, "parse", counting)
    return events


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("#" * 10_000_000, 0),
        ("[" * 100_000, 30),
        ("{a: " * 50_000, 60),
        ("- " * 100_000, 30),
        ("a: [" + "x, " * 60_000, reading.MOST_NODES + 10),
        ("a: 1\n" * 40_000, 2 * reading.MOST_REFUSALS + 10),
        ("a: [" + "&x y, " * 15_000, reading.MOST_REFUSALS + 10),
        ("? " * 100_000, 60),
    ],
    ids=["long", "brackets", "braces", "dashes", "many", "double", "anchors", "questions"],
)
def test_an_attack_is_given_up_before_it_costs_anything(
    parsed: list[str], text: str, most: int
) -> None:
    mistakes = Mistakes()
    assert read("a.yaml", text, mistakes) is None
    assert mistakes.found
    assert len(mistakes.found) <= reading.MOST_REFUSALS + 1
    assert len(parsed) <= most


def test_a_bomb_of_aliases_is_never_unfolded(parsed: list[str]) -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise(names)
    )
    mistakes = Mistakes()
    read("a.yaml", bomb, mistakes)
    assert mistakes.found
    assert len(parsed) < 400


def test_a_table_of_unknown_words_names_the_first_of_them(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "acme.yaml").write_text("".join(f"word{n}: 1\n" for n in range(9_000)))
    lines = CliRunner().invoke(rules, ["check", str(tmp_path)]).stderr.splitlines()
    assert "acme.yaml:1:1: 8980 more unknown words - see docs/mapping.md" in "\n".join(lines)
    assert len(lines) < 40
