"""The walk-through for a new tool, followed word for word in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/adding-a-source.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"^```sh\n(?P<shell>.*?)^```|^`(?P<file>\S+)`:\n\n```\w+\n(?P<text>.*?)^```", re.M | re.S
)
COPIED = (
    *(path.name for path in sorted(ROOT.glob("*.py"))),
    "pyproject.toml",
    *("connectors", "console", "ledger", "mappings", "statements", "webhooks"),
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a copy of what the walk-through needs, without what is not part of the project."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests/contracts").mkdir(parents=True)
    shutil.copy(ROOT / "tests/contracts/test_sources.py", tmp_path / "tests/contracts")
    return tmp_path


def run(command: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    program, *words = command.split()
    if program == "rm":
        for each in checkout.glob(words[0]):
            each.unlink()
        return subprocess.CompletedProcess(words, 0, "", "")
    environ = {**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    return subprocess.run(
        [sys.executable, "-m", program, *words],
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_contributor_who_follows_the_guide_has_a_source(checkout: Path) -> None:
    outcomes: list[tuple[str, int, str]] = []
    for step in STEP.finditer(GUIDE):
        if step["file"]:
            (checkout / step["file"]).write_text(step["text"], encoding="utf-8")
            continue
        for command in step["shell"].splitlines():
            done = run(command, checkout)
            outcomes.append((command, done.returncode, done.stdout + done.stderr))
    told = {command: (code, text) for command, code, text in outcomes}
    contract = "pytest -q tests/contracts/test_sources.py -k vikunja"
    first = next(text for command, _, text in outcomes if command == contract)
    for missing in ("docs_url", "replay", "payloads: put recorded deliveries"):
        assert missing in first, "the contract did not say what is missing"
    assert told[contract][0] == 0, told[contract][1][-3000:]
    assert told["flask sources list"][0] == 0
    assert "vikunja: Vikunja" in told["flask sources list"][1]
    assert run("ruff check webhooks/vikunja console/commands", checkout).returncode == 0
    assert (
        run("ruff format --check webhooks/vikunja webhooks/registry.py", checkout).returncode == 0
    )
    failed = [command for command, code, _ in outcomes if code and command != contract]
    assert failed == []
