"""How many examples a property is tried with: all of them, or the share that `make test` wants.

`TEST_EXAMPLES` is a percentage; nothing set is 100, as in `make check`.
"""

from __future__ import annotations

import os

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
