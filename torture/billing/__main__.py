"""Run the misbehaving billing system: `python -m torture.billing --port 9801 --store bills.db`.

It prints its address as soon as it listens, and may be killed and started again on the same
store at any moment.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from .faults import KINDS, SeededPlan
from .profiles import PROFILES, SCALED
from .server import Serving
from .store import Store
from .system import BillingSystem
from .tokens import Tokens

ENOUGH: Final = 2
"""How often each start brings about a fault that few requests can be hit by, if it can."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--store", type=Path, required=True, help="a file; made if it is missing")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="stripe-like")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.25, help="of requests that go wrong")
    parser.add_argument("--without", default="", help="kinds of faults to leave out, with commas")
    parser.add_argument(
        "--client-timeout", type=float, default=SCALED.client_timeout, help="seconds"
    )
    parser.add_argument(
        "--token-seconds", type=float, help="access tokens live as long and rotate; else one token"
    )
    given = parser.parse_args()
    left_out = set(given.without.split(",")) - {""}
    if unknown := left_out - set(KINDS):
        parser.error(f"no such faults: {', '.join(sorted(unknown))} - known are {', '.join(KINDS)}")
    store = Store(str(given.store))
    # A restart goes on with other faults than it began with: the store has moved on, too.
    seed = given.seed + 1000 * sum(store.counted().values())
    plan = SeededPlan(seed, given.share, frozenset(KINDS) - left_out, ENOUGH)
    tokens = None
    if given.token_seconds:
        tokens = Tokens(store, time.time, life_seconds=given.token_seconds)
    system = BillingSystem(
        store,
        PROFILES[given.profile],
        replace(SCALED, client_timeout=given.client_timeout),
        plan,
        time.time,
        **({"is_welcome": tokens.is_welcome} if tokens else {}),
    )
    serving = Serving(system, port=given.port, tokens=tokens)
    started = {"url": serving.url, "first_tokens": tokens.authorize() if tokens else None}
    print(json.dumps(started), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
