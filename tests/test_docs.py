"""What the documents say exists: every setting, command, target, file and process they name."""

from __future__ import annotations

import ast
import importlib
import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from connectors.registry import billing_connectors, project_connectors
from ledger.events import Delivery
from ledger.money import Money
from ledger.ports import SystemClock
from mappings.book import WORKSPACE, Book
from mappings.pricing import Priced
from settings import SETTINGS, Setting
from webhooks.registry import sources
from worker import STAGES

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "webhooks", "connectors", "mappings", "demo", "bench")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
GUIDES = [page for page in PAGES if page.parent in (ROOT, ROOT / "docs")]
COMMAND = re.compile(r"`flask\s+([a-z][a-z-]*)(?:\s+([a-z][a-z-]*))?")
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
    return set(re.findall(r"^([a-z-]+):", _read("Makefile"), re.MULTILINE))


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
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= _make_targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flask_command_in_a_page_is_there(page: Path) -> None:
    assert _unknown_commands(page.read_text()) == set()


def test_every_flask_command_in_a_message_is_there() -> None:
    assert {each for text in _texts() for each in _unknown_commands(text)} == set()


def test_every_flask_command_is_in_a_guide() -> None:
    told = {" ".join(filter(None, named)) for named in COMMAND.findall(_guides())}
    groups = {each for each in _commands().values() if isinstance(each, click.Group)}
    every = {f"{group.name} {word}" for group in groups for word in group.commands}
    every |= {name for name, command in _commands().items() if command not in groups}
    assert every - told == set()


def _unknown_commands(text: str) -> set[str]:
    named = COMMAND.findall(text)
    return {f"{name} {word}".strip() for name, word in named if not _is_there(name, word)}


def _guides() -> str:
    return "\n".join(page.read_text() for page in GUIDES)


@cache
def _texts() -> list[str]:
    """Return every text that stands in our code, put together where it is written in pieces."""
    folders = ("ledger", "webhooks", "mappings", "connectors", "console", "demo")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [
        node.value
        for path in sorted([*paths, *ROOT.glob("*.py")])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


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
    explained = set(re.findall(r"^([a-z-]+):.*## .+$", makefile, re.MULTILINE))
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


def test_decisions_are_numbered_without_repetition_or_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_decision_that_a_page_refers_to_is_there(page: Path) -> None:
    known = {path.name[:4] for path in (ROOT / "docs/adr").glob("*.md")}
    named = re.findall(r"(?:\(|[Dd]ecision )(0\d{3})\b", page.read_text())
    assert set(named) <= known


def test_the_architecture_tells_of_every_stage_in_the_order_of_the_line() -> None:
    bold = " ".join(re.findall(r"\*\*([^*]+)\*\*", _read("docs/architecture.md")))
    told = [word for word in re.findall(r"\w+", bold) if word in {each.name for each in STAGES}]
    assert told == [each.name for each in STAGES]


def test_the_readme_lists_every_source_and_connector() -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)/(\w+)/README\.md\) \|", _read("README.md"), re.MULTILINE
    )
    connectors = {*billing_connectors(), *project_connectors()}
    expected = [("webhooks", key) for key in sources()] + [
        ("connectors", key) for key in connectors
    ]
    assert sorted((folder, key) for _, folder, key in rows) == sorted(expected)
    assert all(name == key for name, _, key in rows)


def test_what_the_readme_writes_into_the_workspace_can_be_read() -> None:
    fragments = re.findall(r"^```yaml\n(  .*?)^```", _read("README.md"), re.DOTALL | re.MULTILINE)
    tools = [each for each in fragments if "tool:" in each]
    systems = [each for each in fragments if "system:" in each]
    assert sorted([*tools, *systems]) == sorted(fragments)
    parts = ["sources:\n", *tools, "connectors:\n", *systems]
    book = Book.load({WORKSPACE: "format: 1\nname: A\ntime_zone: UTC\n" + "".join(parts)})
    assert {each.tool for each in book.workspace.sources.values()} <= set(sources())


def _fragments_for_sources() -> list[tuple[str, str]]:
    """Return the page and the YAML of everything that the adapters' pages write below sources:."""
    pages = [
        ROOT / "README.md",
        *ROOT.glob("webhooks/*/README.md"),
        *ROOT.glob("connectors/*/README.md"),
    ]
    found = []
    for page in sorted(pages):
        for block in re.findall(r"^ *```yaml\n(.*?)^ *```", page.read_text(), re.DOTALL | re.M):
            text = textwrap.dedent(block)
            if "tool:" in text:
                lead = "" if text.startswith("sources:") else "sources:\n"
                told = text if lead == "" else textwrap.indent(text, "  ")
                found.append((str(page.relative_to(ROOT)), lead + told))
    return found


@pytest.mark.parametrize(("page", "fragment"), _fragments_for_sources())
def test_what_an_adapters_page_writes_into_the_workspace_can_be_read(
    page: str, fragment: str
) -> None:
    if page.startswith("connectors/") and "secret:" not in fragment:
        # Such a page shows only what comes to the source that stands there already.
        fragment = re.sub(r"^( *)tool: .*$", r"\g<0>\n\1secret: ${S}", fragment, flags=re.M)
    book = Book.load({WORKSPACE: "format: 1\nname: A\ntime_zone: UTC\n" + fragment})
    assert {each.tool for each in book.workspace.sources.values()} <= set(sources())


def test_every_tool_is_written_into_the_workspace_by_some_page() -> None:
    written = "".join(text for _, text in _fragments_for_sources())
    assert set(sources()) - set(re.findall(r"tool: (\w+)", written)) == set()


def test_the_readmes_first_event_gives_the_draft_that_it_promises() -> None:
    readme = _read("README.md")
    (body,) = re.findall(r"^BODY='(.*)'$", readme, re.MULTILINE)
    now = SystemClock().now()
    (event,) = sources()["generic"].normalize(Delivery({}, body.encode(), now, "scripts")).events
    outcome = Book.read_folder(ROOT / "mappings/rules").price(event)
    assert isinstance(outcome, Priced)
    assert f"a draft of {Money(outcome.amount, outcome.currency)}" in readme
    assert outcome.period.kind == "monthly"
    assert f"{outcome.customer}-{outcome.period.start:%Y-%m}" in readme


def test_the_rules_in_the_readmes_excerpt_of_the_demo_stand_where_it_says() -> None:
    named = re.findall(r'rule "([^"]+)" \((\w+\.yaml):(\d+)\)', _read("README.md"))
    assert named
    for rule, file, line in named:
        assert _read(f"demo/rules/{file}").splitlines()[int(line) - 1].strip() == f"- rule: {rule}"


def _reasons() -> Iterator[str]:
    """Yield the reasons that the admin's guide explains; a tilted one is not quoted."""
    tables = re.findall(
        r"^\| the (?:reason|problem) says \|.*\n\|-.*\n((?:\|.*\n)+)",
        _read("docs/admin-guide.md"),
        re.MULTILINE,
    )
    for row in "".join(tables).splitlines():
        reason = row.split("|")[1].strip()
        if not reason.startswith("*"):
            yield reason


@pytest.mark.parametrize("reason", list(_reasons()))
def test_a_reason_that_the_admins_guide_explains_is_one_that_the_program_gives(reason: str) -> None:
    parts = [part.strip() for part in reason.split("...") if part.strip()]
    assert [part for part in parts if not any(part in text for text in _texts())] == []


def test_the_admins_guide_explains_why_work_is_held() -> None:
    guide = re.sub(r"\s+", " ", _read("docs/admin-guide.md"))
    held = [
        node
        for path in (ROOT / "mappings").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Hold" and node.args
    ]
    told = [_longest_text(node.args[0]) for node in held]
    assert len([text for text in told if text]) >= 10
    assert [text for text in told if text and text not in guide] == []


def _longest_text(node: ast.expr) -> str:
    """Return the longest fixed text of a message, up to what it tells to do."""
    texts = [
        each.value.partition(" - ")[0].strip()
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return max(texts, key=len, default="")


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
    assert processes["release"] == "flask db upgrade && flask rules activate --yes --no-plan"
    # gunicorn would else open a control socket in the home folder, and log every address.
    assert "--no-control-socket" in processes["web"]
    assert "access-log" not in processes["web"]


def test_the_platform_description_uses_known_settings_and_processes() -> None:
    described = json.loads(_read("app.json"))
    assert set(described["env"]) <= {setting.name for setting in SETTINGS}
    processes = {line.partition(":")[0] for line in _read("Procfile").splitlines()}
    assert set(described["formation"]) == processes - {"release"}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-tryton"])
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(name: str) -> None:
    lines = _read(f"{name}.txt").splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.match(r"[a-z0-9.\-\[\]]+==\S+ (; .+ )?\\$", pin) for pin in pins)
    assert "://" not in "".join(lines)
