"""How much is tried: all, as in `make check`, or the share that `make test` wants.

`TEST_EXAMPLES` is a percentage, and nothing set is 100: so many of its examples each property is
tried with. With fewer than all, a test for both kinds of database runs on one of them, half of the
tests on each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from zlib import crc32

import pytest
from hypothesis import settings

PERCENT = int(os.environ.get("TEST_EXAMPLES") or 100)
FEWEST = 5


def examples(all_of_them: int) -> int:
    """Return the number of examples that stands for all of them in this run."""
    return min(all_of_them, max(FEWEST, all_of_them * PERCENT // 100))


def want_examples() -> None:
    """Let the properties that name no number of their own keep to the share, too."""
    if PERCENT != 100:
        settings.register_profile("share", max_examples=examples(100))
        settings.load_profile("share")


def left_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that this run leaves out: one of two that differ in the database alone."""
    if PERCENT == 100:
        return []
    pairs: dict[str, dict[str, pytest.Item]] = {}
    for item in items:
        for kind in ("sqlite", "postgres"):
            if kind in (params := item.name.partition("[")[2].removesuffix("]").split("-")):
                params[params.index(kind)] = ""
                name = f"{item.nodeid.partition('[')[0]}[{'-'.join(params)}"
                pairs.setdefault(name, {})[kind] = item
    # By name, so that every process of a run, and every run, leaves out the same.
    return [
        pair["postgres" if crc32(name.encode()) % 2 else "sqlite"]
        for name, pair in pairs.items()
        if len(pair) == 2
    ]
