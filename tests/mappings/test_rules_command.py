"""`flask rules check | test | schema`: what an admin sees, and the exit code that CI sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.commands.rules import rules

Files = dict[str, str]


@pytest.fixture
def folder(tmp_path: Path, files: Files) -> Path:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "acme.yaml").read_text()
    assert old in text
    (folder / "acme.yaml").write_text(text.replace(old, new))


def test_check_says_in_one_line_that_all_is_well(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["check", str(folder)])
    assert result.exit_code == 0
    assert result.stdout.startswith("No mistakes. Files: 2, customers: 1, rules: 3. Version ")
    assert result.stdout.count("\n") == 1


def test_check_prints_every_mistake_on_a_line_of_its_own_and_fails(folder: Path) -> None:
    change(folder, "monthly", "montly")
    change(folder, "unit_price: rate", "unit_price: free")
    result = CliRunner().invoke(rules, ["check", str(folder)])
    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "acme.yaml:9:10",
        "acme.yaml:31:19",
    ]
    assert result.stdout == ""


def test_check_as_json_holds_the_mistakes(folder: Path) -> None:
    sound = CliRunner().invoke(rules, ["check", str(folder), "--json"])
    assert json.loads(sound.stdout)["mistakes"] == []
    change(folder, "monthly", "montly")
    broken = CliRunner().invoke(rules, ["check", str(folder), "--json"])
    assert broken.exit_code == 1
    assert len(json.loads(broken.stdout)["mistakes"]) == 1


def test_the_folder_comes_from_the_environment_if_it_is_not_named(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["check"], env={"BILLHOOK_RULES": str(folder)})
    assert "customers: 1, rules: 3" in result.stdout


def test_a_missing_folder_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(rules, ["check", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "there is no such folder" in result.stderr


def test_tests_that_pass_are_counted(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["test", str(folder)])
    assert (result.exit_code, result.stdout) == (0, "2 tests passed.\n")


def test_a_test_that_fails_says_where_what_was_expected_and_what_came(folder: Path) -> None:
    change(folder, "amount: 120.00", "amount: 100.00")
    result = CliRunner().invoke(rules, ["test", str(folder)])
    assert result.exit_code == 1
    first, last = result.stderr.splitlines()
    assert first.startswith('acme.yaml:35: test "50 minutes of senior work are billed as one hour"')
    assert "amount 100.00 - got acme: rule" in first
    assert last == "1 of 2 tests failed."


def test_tests_as_json_are_a_list(folder: Path) -> None:
    change(folder, "amount: 120.00", "amount: 100.00")
    result = CliRunner().invoke(rules, ["test", str(folder), "--json"])
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    assert [(row["customer"], row["passed"]) for row in rows] == [("acme", False), ("acme", True)]


@pytest.mark.parametrize("kind", ["customer", "workspace"])
def test_schema_prints_json_schema(kind: str) -> None:
    result = CliRunner().invoke(rules, ["schema", kind])
    assert json.loads(result.stdout)["title"] == f"Billhook {kind} file"
