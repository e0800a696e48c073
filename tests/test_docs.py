"""What the documents say exists: every setting, command, target, file and process they name."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from settings import SETTINGS, Setting

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "webhooks", "connectors", "mappings", "demo", "bench")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
GUIDES = [page for page in PAGES if page.parent in (ROOT, ROOT / "docs")]
COMING = {"rules plan"}
"""Commands that pages may name although they are not built yet."""
FLASK_OWN = {"run", "routes", "shell"}
DECISION_PARTS = ["## Context", "## Options", "## Decision", "## Consequences"]


def _read(name: str) -> str:
    return (ROOT / name).read_text()


def _commands() -> dict[str, click.Command]:
    """Return the command line's groups and its commands outside of groups, by name."""
    found: list[click.Command] = []
    for path in sorted((ROOT / "console/commands").glob("*.py")):
        module = importlib.import_module(f"console.commands.{path.stem}")
        found += [each for each in vars(module).values() if isinstance(each, click.Command)]
    grouped = [
        one for each in found if isinstance(each, click.Group) for one in each.commands.values()
    ]
    return {each.name: each for each in found if each.name and each not in grouped}


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_explained_with_its_default(setting: Setting) -> None:
    default = f"`{setting.default}`" if setting.default else "not set"
    assert f"| `{setting.name}` | {default} | {setting.help} |" in _read("docs/settings.md")


def test_the_example_environment_lists_every_setting_with_its_default() -> None:
    written = re.findall(r"^# ([A-Z_]+)=(.*)$", _read(".env.example"), re.MULTILINE)
    ours = [(name, value) for name, value in written if name != "JIRA_ACME_SECRET"]
    assert ours == [(setting.name, setting.default or "") for setting in SETTINGS]


def test_the_example_environment_sets_nothing() -> None:
    lines = _read(".env.example").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_guide_names_a_setting_that_is_not_there(page: Path) -> None:
    known = {setting.name for setting in SETTINGS} | {"BILLHOOK_CORPUS"}
    assert set(re.findall(r"\bBILLHOOK_[A-Z_]*[A-Z]", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_in_a_page_is_there(page: Path) -> None:
    assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= _make_targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flask_command_in_a_page_is_there(page: Path) -> None:
    named = re.findall(r"`flask ([a-z]+)(?: ([a-z]+))?", page.read_text())
    wrong = [f"{name} {word}".strip() for name, word in named if not _is_there(name, word)]
    assert set(wrong) <= COMING


def test_commands_that_were_to_come_are_not_there_yet() -> None:
    # Once one is there, take it out of COMING, so that the pages are held to it from then on.
    assert [each for each in COMING if _is_there(*each.split())] == []


def _is_there(name: str, word: str = "") -> bool:
    command = _commands().get(name)
    if isinstance(command, click.Group) and word:
        return word in command.commands
    return command is not None or name in FLASK_OWN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    files = [target for target in targets if not re.match(r"[a-z]+:", target)]
    wrong = []
    for target in files:
        name, _, heading = target.partition("#")
        found = page if not name else (page.parent / name)
        if not found.exists() or (heading and heading not in _anchors(found)):
            wrong.append(target)
    assert not wrong, wrong


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_make_target_is_in_its_help_and_makes_no_file_of_its_name() -> None:
    makefile = _read("Makefile")
    explained = set(re.findall(r"^([a-z]+):.*## .+$", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert _make_targets() == explained == set(phony[1].split())


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda page: str(page.stem)
)
def test_every_decision_is_told_in_the_same_four_parts(page: Path) -> None:
    text = page.read_text()
    assert re.match(r"# \d{4} \S", text)
    assert text.startswith(f"# {page.name[:4]} ")
    assert re.findall(r"^## \w+$", text, re.MULTILINE) == DECISION_PARTS


def test_decisions_are_numbered_without_repetition() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/adr").glob("*.md")]
    assert sorted(set(numbers)) == sorted(numbers)


def test_the_picture_of_the_line_names_every_stage_in_order() -> None:
    picture = ElementTree.parse(ROOT / "docs/line.svg")
    written = [(text.text or "") for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    stages = ["receive", "verify", "normalize", "map", "assemble", "approve", "push"]
    assert [word for word in written if word in stages] == stages
    folders = ["webhooks/", "mappings/", "ledger/", "console/", "connectors/"]
    assert [word for word in written if word.endswith("/")] == folders


def test_the_picture_of_the_line_loads_nothing_from_elsewhere() -> None:
    text = _read("docs/line.svg").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"href|url\((?!#)|<script|http", text)


def test_the_procfile_names_the_four_processes() -> None:
    lines = _read("Procfile").splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert list(processes) == ["web", "worker", "clock", "release"]
    assert processes["release"] == "flask db upgrade && flask rules activate"
    # gunicorn would else open a control socket in the home folder, and log every address.
    assert "--no-control-socket" in processes["web"]
    assert "access-log" not in processes["web"]


def test_the_platform_description_uses_known_settings_and_processes() -> None:
    described = json.loads(_read("app.json"))
    assert set(described["env"]) <= {setting.name for setting in SETTINGS}
    processes = {line.partition(":")[0] for line in _read("Procfile").splitlines()}
    assert set(described["formation"]) == processes - {"release"}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(name: str) -> None:
    lines = _read(f"{name}.txt").splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.match(r"[a-z0-9.\-\[\]]+==\S+ (; .+ )?\\$", pin) for pin in pins)
    assert "://" not in "".join(lines)
