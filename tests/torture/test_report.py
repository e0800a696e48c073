"""What torture says in the end, and what `docs/reliability.md` says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from torture.__main__ import BROKEN, INVALID, KEPT, LANES, TOO_LITTLE, run_layer, turns, verdict
from torture.report import BEGIN, DOCUMENT, END, insert, missed, table
from torture.results import LayerResult

TESTS = Path(__file__).parent.parent
GOOD = LayerResult("chaos", {"lost": 0, "effective kills": 151}, [])


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`([a-z/_]+\.py)::([a-z0-9_]+)`", DOCUMENT.read_text())
    assert len(named) > 30
    wrong = [
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (TESTS / file).read_text()
    ]
    assert not wrong, wrong


def test_every_layer_that_the_page_names_is_one() -> None:
    layers = {layer for lane in LANES for layer in lane}
    catalogue = DOCUMENT.read_text().partition("## What can fail")[2]
    assert set(re.findall(r"`([a-z]+)`", catalogue)) <= layers
    # `kills` is no layer of the run but a command of its own.
    named = set(re.findall(r"python -m torture\.([a-z]+)", DOCUMENT.read_text()))
    assert named == {*layers, "kills"}


def test_the_table_has_a_place_in_the_page_and_leaves_the_rest_alone() -> None:
    page = DOCUMENT.read_text()
    told = table([GOOD], command="make torture MINUTES=5", seed=7)
    written = insert(told, page)
    assert "| chaos | effective kills | 151 |" in written
    assert "seed 7" in written
    assert insert(told, written) == written
    assert written.partition(BEGIN)[0] == page.partition(BEGIN)[0]
    assert written.partition(END)[2] == page.partition(END)[2]


def test_an_aim_that_is_missed_or_unknown_is_named() -> None:
    few = LayerResult("chaos", {"lost": 1, "effective kills": 149}, [])
    told = missed([few])
    assert "chaos: effective kills 149, not at least 150" in told
    assert "chaos: lost 1, not at most 0" in told
    assert any(each.startswith("mutants: caught unknown") for each in told)
    assert not any("lost" in each or "effective kills" in each for each in missed([GOOD]))


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([], KEPT),
        ([f"{INVALID}tried too seldom: postgres (2 of 5)"], TOO_LITTLE),
        (["lost: delivery storm-7"], BROKEN),
        ([f"{INVALID}tried too seldom: postgres (2 of 5)", "lost: delivery storm-7"], BROKEN),
    ],
)
def test_the_exit_code_says_whether_a_promise_was_broken_or_too_little_tried(
    failures: list[str], code: int
) -> None:
    assert verdict([GOOD, LayerResult("crash", {}, failures)]) == code


def test_a_layer_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    into = tmp_path / "result.json"
    run_layer("earthquake", 1, 1, into)
    result = LayerResult(**json.loads(into.read_text()))
    assert verdict([result]) == BROKEN


def test_what_failed_before_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = tmp_path / "seeds.json"
    seeds.write_text('{"model": [17]}')
    monkeypatch.setattr("torture.__main__.SEEDS", seeds)
    lane = {"mutants": 0.2, "model": 0.6, "fuzz": 0.1}
    chosen = list(turns(lane, 100, 5, ["model", "fuzz"], tmp_path))
    assert [(turn.layer, turn.seed, round(turn.seconds)) for turn in chosen] == [
        ("model", 17, 30),
        ("model", 5, 30),
        ("fuzz", 5, 10),
    ]
