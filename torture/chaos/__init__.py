"""Layer 3: a storm over real processes. `python -m torture.chaos` runs it alone.

- `site.py`: what runs, with its servers; `processes.py`, `starter.py`, `servers.py`, `disk.py`: how
- `firm.py`, `workload.py`, `truth.py`: the work that is done, and what it must come to
- `sender.py`, `person.py`, `admin.py`: who posts, approves and pays, and changes rules
- `nemesis.py`: what strikes; `watch.py`: who has work, and how soon it is taken up again
- `play.py`: one storm, `storms.py`: those of a run; `judge.py`: the verdict; `coverage.py`: whether
  enough was tried
"""

from __future__ import annotations

from torture.results import LayerResult


def run(budget_seconds: float, seed: int) -> LayerResult:
    """Let storms pass over both kinds of site within the budget."""
    # Not before: the programs that the storm starts must shorten the product's waits first of all.
    from .storms import SHARES, storms

    return storms(budget_seconds, seed, tuple(SHARES))
