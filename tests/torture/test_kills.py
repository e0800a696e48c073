"""`kill -9` of real workers while they push, a few times; `make torture` does it a hundred."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_killed_while_it_pushes_leaves_one_invoice_each() -> None:
    command = [sys.executable, "-m", "torture.kills", "--times", "6", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one invoice each" in done.stdout
