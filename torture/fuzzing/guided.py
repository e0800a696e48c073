"""Fuzzing that is guided by what it reaches: atheris on verify, read and normalize of every source.

`torture.fuzz` runs it as a process of its own, because libFuzzer ends the process that it is done
in: `python -m torture.fuzzing.guided FOLDER SECONDS SEED`. What broke stays in FOLDER as `crash-*`:
one byte for the source, by its place in the registry, then the body.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ledger.errors import PayloadError, SignatureError, UnsupportedEventTypeError
from ledger.events import Delivery
from torture.fuzzing.firm import MOST_CPU_SECONDS, NOW, SECRET, examples, signed_as
from torture.fuzzing.mutations import written
from webhooks.registry import sources

LONGEST: Final = 4096
_ROOT: Final = Path(__file__).parent.parent.parent


class DearError(Exception):
    """A body took more CPU than a body may."""


def is_available() -> bool:
    """Return whether atheris is installed; it has wheels for Linux only."""
    return find_spec("atheris") is not None


def run_apart(folder: Path, seconds: float, seed: int) -> tuple[int, list[str]]:
    """Run in a process of its own; return how many bodies were read, and what broke."""
    words = [sys.executable, "-m", "torture.fuzzing.guided"]
    done = subprocess.run(
        [*words, str(folder), str(max(1, int(seconds))), str(seed)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        errors="replace",
    )
    told = re.findall(r"(?:Done |stat::number_of_executed_units:\s+)(\d+)", done.stderr)
    broken = [f"guided, {_named(file.read_bytes())}" for file in sorted(folder.glob("crash-*"))] + [
        f"guided, took too long: {file.name}" for file in sorted(folder.glob("timeout-*"))
    ]
    if done.returncode and not broken:
        broken.append(f"guided ended with {done.returncode}: {done.stderr[-300:]}")
    return int(told[-1]) if told else 0, broken


def read(data: bytes) -> None:
    """Verify and read one body; anything but one of our errors goes through."""
    if len(data) < 2:
        return
    every = list(sources().values())
    source, body = every[data[0] % len(every)], data[1:]
    headers = dict(_HEADERS[source.key][data[0] % len(_HEADERS[source.key])])
    delivery = Delivery({name.lower(): value for name, value in headers.items()}, body, NOW, "fuzz")
    begun = time.thread_time()
    try:
        if source.signature is not None:
            path, body, signed = signed_as(source.signature, source.key, body, headers, NOW)
            lower = {name.lower(): value for name, value in signed.items()}
            delivery = replace(
                delivery, headers=lower, body=body, url="https://billhook.example" + path
            )
            source.verify(delivery, [SECRET], now=NOW)
        source.delivery_id(delivery)
        source.handshake(delivery)
        source.normalize(delivery)
    except (PayloadError, UnsupportedEventTypeError, SignatureError):
        pass
    if time.thread_time() - begun > MOST_CPU_SECONDS:
        raise DearError


_HEADERS: Final = {
    key: [each.headers for each in examples(source)] for key, source in sources().items()
}


def _named(data: bytes) -> str:
    every = list(sources())
    return f"{every[data[0] % len(every)]}: {data[1:400]!r}" if data else "nothing"


def main() -> None:
    """Fuzz until the time is over or something breaks."""
    import atheris

    folder, seconds, seed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources().values()):
        for each in examples(source):
            body = written(each.body)[: LONGEST - 1]
            (corpus / f"{source.key}-{each.name}").write_bytes(bytes((number,)) + body)
    for name, module in list(sys.modules.items()):
        if name.startswith("webhooks."):
            for value in list(vars(module).values()):
                if (
                    getattr(value, "__module__", "") == name
                    and callable(value)
                    and hasattr(value, "__code__")
                ):
                    atheris.instrument_func(value)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={folder}/",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
