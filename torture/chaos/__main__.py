"""Runs layer 3 alone: `python -m torture.chaos --seconds 120 --seed 7 --kind services`."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from .storms import INVALID, SHARES, storms


def main() -> int:
    """Run; return 0 if every promise was kept, 1 if not, 3 if too little was tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200, help="of the whole run")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--kind", choices=sorted(SHARES), action="append")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    result = storms(given.seconds, given.seed, given.kind or tuple(SHARES))
    for name, value in result.figures.items():
        print(f"{name:50} {value}")
    for failure in result.failures:
        print(failure)
    print(f"seed {given.seed}")
    if all(failure.startswith(INVALID) for failure in result.failures):
        return 3 if result.failures else 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
