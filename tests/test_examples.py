"""What a run with fewer examples leaves out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests import examples


def test_with_fewer_examples_each_test_runs_on_one_of_both_databases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"test_{number}" for number in range(40)]
    both = {"sqlite", "postgres"}
    items: list[Any] = [
        SimpleNamespace(name=name, nodeid=f"tests/test_x.py::{name}")
        for name in (
            *(f"{name}[{kind}-fast]" for name in names for kind in both),
            *("test_alone[sqlite]", "test_plain", "test_other[fast]"),
        )
    ]
    monkeypatch.setattr(examples, "PERCENT", 20)
    out = {each.name for each in examples.left_out(items)}
    kinds = [{kind for kind in both if f"{name}[{kind}-fast]" in out} for name in names]
    assert {len(each) for each in kinds} == {1}
    assert {kind for each in kinds for kind in each} == both
    assert len(out) == len(names)
    monkeypatch.setattr(examples, "PERCENT", 100)
    assert examples.left_out(items) == []
