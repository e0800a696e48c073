"""The Procfile's web server, for Billhook or for the bare view, on a free port."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
BILLHOOK: Final = "app:create_web()"
BARE: Final = "bench.bare:create_app()"


@contextmanager
def process(
    environ: Mapping[str, str], log: Path, *words: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of ours; it has ended when the `with` block is left."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with log.open("ab") as output:
        running = subprocess.Popen(
            words,
            cwd=ROOT,
            env={"PATH": path, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def web(app: str, environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run the `web` line of the Procfile with this application; give its port when it answers."""
    procfile = (ROOT / "Procfile").read_text()
    found = re.search(r"^web: (.*)$", procfile, re.MULTILINE)
    if found is None or BILLHOOK not in found[1]:
        raise RuntimeError(f"Procfile: its web line does not run {BILLHOOK}")
    command = found[1].replace(BILLHOOK, app)
    port = _free_port()
    where = {**environ, "HOST": "127.0.0.1", "PORT": str(port)}
    with process(where, log, "sh", "-c", f"exec {command}") as server:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the web server does not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return probe.recv(12).startswith(b"HTTP/1")
    except OSError:
        return False
