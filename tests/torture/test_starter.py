"""The starter of the storm: what it forks is a program of its own, and ends with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from torture.chaos.processes import Processes, TortureError, children_of, kill, state_of
from torture.chaos.starter import Starter

REFUSED = 2
"""The exit code of a clock whose settings are wrong."""
ENVIRON = {"PATH": os.environ["PATH"]}


def _soon(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Give a starter that all tests share: loading takes it a second."""
    with mock.patch.dict(os.environ, BILLHOOK_SECRET_KEY="of-the-harness-and-of-nobody-else" * 2):
        starter = Starter(tmp_path_factory.mktemp("starter") / "starter.log")
    yield starter
    starter.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Give processes of which none outlives the test."""
    with Processes(tmp_path) as processes:
        yield processes


def _billing(folder: Path) -> tuple[str, ...]:
    return ("billing", "--store", str(folder / "store.sqlite3"), "--share", "0")


def test_a_forked_program_that_is_killed_is_started_again_and_the_others_go_on(
    starter: Starter, processes: Processes, tmp_path: Path
) -> None:
    first, second = (
        processes.add(name, *_billing(tmp_path), environ=ENVIRON, starter=starter)
        for name in ("first", "second")
    )
    begun = first.pid, second.pid
    _soon(lambda: b"url" in processes.log_of("first").read_bytes())
    os.killpg(first.pid, signal.SIGKILL)

    def is_back() -> bool:
        processes.look_after()
        return first.starts == 2 and first.is_running

    _soon(is_back)
    assert first.exits == [-signal.SIGKILL]
    assert (first.pid != begun[0], second.pid) == (True, begun[1])
    assert os.getsid(second.pid) == second.pid
    processes.stop_all()
    assert state_of(begun[1]) is None


def test_a_forked_program_has_its_own_environment_and_log_and_no_other(
    starter: Starter, tmp_path: Path
) -> None:
    bad = {**ENVIRON, "DATABASE_URL": f"sqlite:///{tmp_path}/ledger.sqlite3"}
    refused = starter.start(["clock"], bad, tmp_path / "refused")
    good = {**bad, "BILLHOOK_SECRET_KEY": "k" * 40}
    begun = starter.start(["clock"], good, tmp_path / "begun")
    assert refused.wait(20) == REFUSED
    _soon(lambda: "clock_started" in (tmp_path / "begun").read_text())
    begun.terminate()
    assert begun.wait(20) == 0
    assert "BILLHOOK_SECRET_KEY: is not set" in (tmp_path / "refused").read_text()
    assert "BILLHOOK_SECRET_KEY" not in (tmp_path / "begun").read_text()


def test_a_forked_program_that_does_not_end_in_time_still_runs(
    starter: Starter, tmp_path: Path
) -> None:
    process = starter.start(_billing(tmp_path), ENVIRON, tmp_path / "log")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0)
    assert process.poll() is None
    process.kill()
    assert process.wait(20) == process.poll() == -signal.SIGKILL
    process.terminate()


def test_all_that_was_forked_ends_with_the_starter_however_that_ends(tmp_path: Path) -> None:
    starter = Starter(tmp_path / "starter.log")
    process = starter.start(_billing(tmp_path), ENVIRON, tmp_path / "log")
    assert process.pid in children_of(starter.pid)
    assert kill(starter.pid)
    _soon(lambda: state_of(process.pid) in (None, "Z"))
    with pytest.raises(TortureError, match="the starter does not answer"):
        process.poll()
    starter.close()
