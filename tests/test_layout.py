"""The layout keeps its promises: one-way imports, one way out, no float for money, small files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("ledger", "webhooks", "mappings", "connectors", "statements", "console"),
    *("demo", "bench", "torture", "tests"),
)
MODULES = tuple(path.stem for path in ROOT.glob("*.py"))
OURS = {*PACKAGES, *MODULES}
PARTS_OF_THE_LINE = {"ledger", "webhooks", "mappings", "connectors", "statements"}
ON_TOP = {"app", "demo", "bench", "torture", "tests"}

MAY_IMPORT = {
    # What joins the parts knows nothing of the pages.
    **{module: OURS - ON_TOP - {"console"} for module in MODULES},
    **{part: {"ledger"} for part in (*PARTS_OF_THE_LINE, "settings")},
    "ledger": set(),
    "console": OURS - ON_TOP,
    "app": OURS - ON_TOP,
    "demo": OURS,
    "bench": OURS,
    "torture": OURS,
    "tests": OURS,
}
"""What each package or module may import of ours, besides itself."""

SOCKETS = {"socket", "http.client", "urllib.request", "urllib3", "smtplib", "ftplib", "asyncio"}
DANGEROUS_IMPORTS = {"pickle", "marshal", "shelve", "dill"}
DANGEROUS_NAMES = {"eval", "exec", "compile", "Markup", "unsafe_load", "full_load", "SpawnWorker"}
BUILT = {"ledger/database.py", "ledger/audit/side_by_side.py"}
"""Where a statement holds a constant of the same file (a PRAGMA cannot be bound) or the name that
PostgreSQL itself gave a snapshot (neither can that)."""
FORBIDDEN_STEMS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
MOST_LINES = 500


def _sources(*parts: str) -> list[Path]:
    """Return the Python files of packages and modules of ours, without finished migrations."""
    found = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    found = [path for path in found if "versions" not in path.parts]
    found += [ROOT / f"{part}.py" for part in parts if (ROOT / f"{part}.py").is_file()]
    return sorted(found)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that a file imports."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def _is_stand_in(path: Path) -> bool:
    """Return whether a file plays a remote system, for tests and the demo only."""
    return "stand_in" in (path.stem, *path.parts)


def _is_under(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def _at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_imports_go_one_way(part: str) -> None:
    allowed = MAY_IMPORT[part] | {part}
    wrong = [
        f"{_at(path, line)} imports {name}"
        for path in _sources(part)
        for line, name in _imports(path)
        if name.partition(".")[0] in OURS and not any(_is_under(name, each) for each in allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_one_file_opens_sockets_to_other_systems() -> None:
    wrong = [
        f"{_at(path, line)} imports {name}"
        for path in _sources(*PARTS_OF_THE_LINE, *MODULES, "console")
        if path != ROOT / "connectors/http.py" and not _is_stand_in(path)
        for line, name in _imports(path)
        if any(_is_under(name, each) for each in SOCKETS)
        or (_is_under(name, "requests") and "connectors" not in path.parts)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_runs_code_that_came_as_data() -> None:
    wrong = [
        f"{_at(path, line)} imports {name}"
        for path in _sources(*OURS - {"tests"})
        for line, name in _imports(path)
        if name.partition(".")[0] in DANGEROUS_IMPORTS or name.rpartition(".")[2] in DANGEROUS_NAMES
    ]
    for path in _sources(*OURS - {"tests"}):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                called = node.func
                # `re.compile` is a method of its module; the builtin stands alone.
                if isinstance(called, ast.Name) and called.id in DANGEROUS_NAMES:
                    wrong.append(f"{_at(path, node.lineno)} calls {called.id}")
                if isinstance(called, ast.Attribute) and called.attr in DANGEROUS_NAMES - {
                    "compile"
                }:
                    wrong.append(f"{_at(path, node.lineno)} calls {called.attr}")
    assert not wrong, "\n".join(wrong)


def test_no_statement_is_put_together_from_texts() -> None:
    """SQL has bound parameters. The one address of a copy is ATTACHed by its own quoting."""
    calls = {"text", "exec_driver_sql", "execute", "literal_column", "executescript"}
    wrong = []
    for path in _sources(*PARTS_OF_THE_LINE, *MODULES, "console"):
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            is_built = isinstance(first, ast.JoinedStr | ast.BinOp) or (
                isinstance(first, ast.Call) and getattr(first.func, "attr", "") == "format"
            )
            if name in calls and is_built and _at(path, node.lineno).partition(":")[0] not in BUILT:
                wrong.append(f"{_at(path, node.lineno)} {name}")
    assert not wrong, "\n".join(wrong)


def test_no_float_where_money_and_hours_are() -> None:
    wrong = []
    for path in _sources("ledger", "mappings", "connectors", "webhooks", "statements"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float":
                wrong.append(f"{_at(path, node.lineno)} calls float")
            if isinstance(node, ast.FunctionDef):
                wrong += [
                    f"{_at(path, node.lineno)} {node.name} has a float in its signature"
                    for annotation in _money_annotations(node)
                    if "float" in {getattr(each, "id", "") for each in ast.walk(annotation)}
                ]
    assert not wrong, "\n".join(wrong)


def _money_annotations(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield the annotations of a signature, without those that only say how long to wait."""
    arguments = function.args
    for each in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        is_a_wait = each.arg.endswith(("timeout", "_seconds", "delay", "monotonic"))
        if each.annotation is not None and not is_a_wait:
            yield each.annotation
    if function.returns is not None:
        yield function.returns


def test_rounding_stands_in_one_file() -> None:
    wrong = [
        f"{_at(path, node.lineno)} rounds"
        for path in _sources(
            "ledger", "mappings", "connectors", "webhooks", "statements", "console"
        )
        if path != ROOT / "ledger/money.py" and not _is_stand_in(path)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and (
            getattr(node.func, "id", "") == "round"
            or getattr(node.func, "attr", "") in ("quantize", "to_integral_value", "to_integral")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_named_for_what_they_are() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in _sources(*OURS)
        if {path.stem, path.parent.name} & FORBIDDEN_STEMS
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_small() -> None:
    counted = {path: len(path.read_text().splitlines()) for path in _sources(*OURS)}
    wrong = [f"{_at(path, lines)}" for path, lines in counted.items() if lines > MOST_LINES]
    assert not wrong, "\n".join(wrong)


def test_every_file_says_what_it_is_for() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in _sources(*OURS)
        if path.read_text().strip() and ast.get_docstring(_tree(path)) is None
    ]
    assert not wrong, "\n".join(wrong)


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
