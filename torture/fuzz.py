"""The layer of `make torture` that sends what nobody should send: spoiled, but correctly signed.

Every source in turn: one of its own recorded deliveries is spoiled in its structure or in its bytes
(`torture/fuzzing/mutations.py`), signed, posted through the real application and worked on by the
line. No answer may be a 5xx, no delivery may cost 250 ms of CPU at any step, each ends in a known
state with its reason, no stage breaks, and the audit finds nothing. For a third of the time,
atheris looks for bodies that reach further (`torture/fuzzing/guided.py`). It is no dependency,
because it has wheels for Linux alone: `.venv/bin/pip install atheris==3.0.0` where there are some.

`python -m torture.fuzz --seconds 60 --seed 7` runs it alone. A failure names the seed and the
number of the delivery, and `--only NUMBER` posts that one again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import logs
from torture.fuzzing import guided
from torture.fuzzing.firm import Example, Firm, examples, new_firm
from torture.fuzzing.mutations import TEXTS, spoiled
from torture.results import LayerResult
from webhooks.registry import sources

TOGETHER: Final = 150
"""How many deliveries are posted before the line works on them and is judged."""
GUIDED_SHARE: Final = 0.3
"""How much of the time goes to fuzzing that is guided by what it reaches."""
ROUNDS: Final = 6
"""After how many times `TOGETHER` a new, empty firm takes over."""


def run(budget_seconds: float, seed: int) -> LayerResult:
    """Post for so long; return how much of what was sent and everything that went wrong."""
    logs.set_up("CRITICAL")
    guided_figure: int | str = "atheris is not installed"
    failures: list[str] = []
    if guided.is_available():
        with _folder() as folder:
            share = budget_seconds * GUIDED_SHARE
            guided_figure, failures = guided.run_apart(Path(folder), share, seed)
        budget_seconds -= share
    ends = time.monotonic() + budget_seconds
    every = [example for source in sources().values() for example in examples(source)]
    statuses: Counter[int] = Counter()
    states: Counter[str] = Counter()
    most: dict[str, float] = {}
    number = 0
    while time.monotonic() < ends and len(failures) < 20:
        with _folder() as folder:
            firm = new_firm(Path(folder))
            for _ in range(ROUNDS):
                for _ in range(TOGETHER):
                    status = post(firm, every, seed, number)
                    statuses[status] += 1
                    if status >= 500:
                        failures.append(f"{_again(seed, number)}: answered {status}")
                    number += 1
                firm.settle()
                wrong = firm.wrong()
                failures += [f"{_again(seed, number)} or just before: {each}" for each in wrong]
                if wrong or time.monotonic() > ends:
                    break
            for what, seconds in firm.cost.most.items():
                most[what] = max(most.get(what, 0.0), seconds)
            states.update(firm.states())
            firm.close()
    figures: dict[str, int | float | str] = {
        "deliveries": number,
        "bodies read, guided": guided_figure,
        "sources": len(sources()),
        "accepted": statuses[202] + statuses[200],
        "refused": sum(count for status, count in statuses.items() if 400 <= status < 500),
        "5xx": sum(count for status, count in statuses.items() if status >= 500),
        **dict(sorted(states.items())),
        **{f"most ms {what}": round(seconds * 1000) for what, seconds in sorted(most.items())},
    }
    return LayerResult("fuzz", figures, failures)


def post(firm: Firm, every: list[Example], seed: int, number: int) -> int:
    """Spoil and post one delivery, which is the same for the same seed and number."""
    random = Random(f"{seed}:{number}")
    example = every[number % len(every)] if random.random() < 0.5 else random.choice(every)
    body = spoiled(example.body, random, random.choice((1, 1, 1, 2, 5)))
    headers = dict(example.headers)
    if random.random() < 0.1 and headers:
        name = random.choice(sorted(headers))
        if example.is_found or random.random() < 0.5:
            headers.pop(name) if not example.is_found else None
        else:
            headers[name] = _as_header(random)
    return firm.post(example, body, headers, _again(seed, number))


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder in memory where there is one: what is looked for is no lost write."""
    in_memory = Path("/dev/shm")
    is_usable = in_memory.is_dir() and os.access(in_memory, os.W_OK)
    return tempfile.TemporaryDirectory(prefix="billhook-", dir=in_memory if is_usable else None)


def _as_header(random: Random) -> str:
    """Return a text that a client could send in a header."""
    text = str(random.choice([each for each in TEXTS if isinstance(each, str)]))[:4000]
    return "".join(letter for letter in text if letter.isprintable()).encode().decode("latin-1")


def _again(seed: int, number: int) -> str:
    return f"--seed {seed} --only {number}"


def main() -> int:
    """Run it alone; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=int, help="post this one delivery and show what became of it"
    )
    given = parser.parse_args()
    if given.only is not None:
        return _show(given.seed, given.only)
    result = run(given.seconds, given.seed)
    for name, figure in result.figures.items():
        print(f"{name:<20} {figure}")
    for failure in result.failures:
        print(failure)
    return 1 if result.failures else 0


def _show(seed: int, number: int) -> int:
    every = [example for source in sources().values() for example in examples(source)]
    with _folder() as folder:
        firm = new_firm(Path(folder))
        print("answered", post(firm, every, seed, number))
        firm.settle()
        wrong = firm.wrong()
        firm.close()
    print("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
