"""`make bench`: measures the speeds that the design promises and prints them beside their aims.

`--quick` measures less, `--only NAME` one thing, `--json` prints the findings for programs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .accepting import accept
from .auditing import audit
from .growing import grow
from .places import Place, places
from .planning import plan
from .pricing import price
from .pushing import push
from .results import Finding, as_json, table
from .sizes import FULL, QUICK, Size
from .waking import wake

Measurement = Callable[[Place, Size], list[Finding]]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "accept": accept,
    "price": price,
    "plan": plan,
    "push": push,
    "grow": grow,
    "audit": audit,
    "wake": wake,
}
"""What is measured, by the name that `--only` takes. A new one is a file and a line here."""


def measure(names: Sequence[str], where: Sequence[Place], size: Size) -> list[Finding]:
    """Return the findings of these measurements, on one kind of database after the other."""
    found = []
    for name in names:
        for place in where:
            print(f"bench: {name} on {place.name} ...", file=sys.stderr, flush=True)
            found += MEASUREMENTS[name](place, size)
    return found


def main() -> int:
    """Measure as the command line says and print the findings; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less, in a few minutes")
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), help="measure this alone")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    names = [given.only] if given.only else list(MEASUREMENTS)
    with places() as where:
        found = measure(names, where, QUICK if given.quick else FULL)
    print(as_json(found) if given.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
