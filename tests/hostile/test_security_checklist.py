"""`docs/security.md` promises nothing that no test shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
ROWS = re.findall(r"^\| (?!control|---)(.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """Give the names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize(("control", "done", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_every_control_is_shown_by_tests_that_exist(
    tests: set[str], control: str, done: str, shown: str
) -> None:
    named = re.findall(r"`(test_\w+)`", shown)
    assert [name for name in named if name not in tests] == []
    assert named or "`" in shown, control


def test_the_table_is_not_empty() -> None:
    assert len(ROWS) >= 25
