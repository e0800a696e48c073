"""A new connector is begun in a copy of the checkout, and keeps the contract from the start."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import connectors
from console.commands.scaffold import new_connector
from tests.test_adding_a_source import ROOT, checkout, run

__all__ = ["checkout"]
NEW = "lexbooks"


@pytest.fixture
def begun(checkout: Path) -> Path:
    """Give a copy of the checkout in which a connector was begun."""
    for path in ROOT.glob("tests/contracts/*.py"):
        shutil.copy(path, checkout / "tests/contracts")
    shutil.copy(ROOT / "tests/examples.py", checkout / "tests")
    done = run(f"flask connectors new {NEW}", checkout)
    assert done.returncode == 0, done.stderr
    assert "docs/adding-a-connector.md" in done.stdout
    return checkout


def test_a_connector_that_was_just_begun_keeps_the_contract(begun: Path) -> None:
    tests = f"tests/connectors/test_{NEW}.py tests/contracts/test_billing_connectors.py"
    passed = run(f"pytest {tests} -k {NEW}", begun)
    assert passed.returncode == 0, passed.stdout[-3000:] + passed.stderr
    assert int(re.findall(r"(\d+) passed", passed.stdout)[0]) > 50
    told = run("ruff check connectors tests/connectors console/commands", begun)
    assert told.returncode == 0, told.stdout
    assert run("ruff format --check connectors tests/connectors", begun).returncode == 0


@pytest.mark.parametrize("name", ["file", "stripe", "jira", "Books", "../books", "2books"])
def test_a_name_that_is_taken_or_none_begins_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connectors, "__path__", [str(tmp_path)])
    done = CliRunner().invoke(new_connector, [name])
    assert done.exit_code == 2
    assert "cannot be a new connector" in done.stderr
    assert list(tmp_path.iterdir()) == []
