"""A sample of the crash points, each schedule that ever failed, and proof that faults are found."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from connectors.stripe.connector import StripeConnector
from ledger import pushing
from torture.crash import quick, schedule_from
from torture.crash_explore import Played, replay

REGRESSIONS = json.loads((Path(__file__).parent / "regressions.json").read_text())


@pytest.fixture(autouse=True, scope="module")
def _quick_processes() -> Iterator[None]:
    with quick():
        yield


def played(schedule: str) -> Played:
    return replay(*schedule_from(schedule), lambda line: None)


def test_a_sample_of_all_single_faults_breaks_no_promise() -> None:
    few = ["receive", "push", "amend-worst"]
    command = [sys.executable, "-m", "torture.crash", "--one-in", "20"]
    done = subprocess.run([*command, "--only", *few], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines()[:-1])
    assert int(figures["scenarios"]) == len(few)
    assert int(figures["schedules"]) > 10


@pytest.mark.parametrize("schedule", REGRESSIONS)
def test_a_schedule_that_broke_a_promise_once_breaks_none_today(schedule: str) -> None:
    assert played(schedule).broken == []


def test_a_schedule_names_its_points_by_number_or_by_what_they_are() -> None:
    by_name = played("push:POST /v1/invoices#1/lost_after,approve#7/crash")
    assert by_name.broken == ["there is no approve#7/crash in this play"]
    assert played(by_name.schedule).blows == by_name.blows


def test_keys_that_change_and_no_look_up_are_found() -> None:
    schedule = "push:POST /v1/invoices#1/lost_after"
    assert played(schedule).broken == []
    digest = mock.Mock()
    digest.hexdigest = lambda: secrets.token_hex(32)
    with (
        mock.patch.object(StripeConnector, "find_invoice", return_value=None),
        mock.patch.object(pushing, "needs_new_key", return_value=True),
        mock.patch("ledger.pushing.hashlib", mock.Mock(sha256=lambda _: digest)),
    ):
        assert "billed twice: acme-2026-10" in played(schedule).broken


def test_a_push_without_a_fence_is_found() -> None:
    # The process stands still before it creates, and others finish the push meanwhile.
    schedule = "chunks-worst:Attempt._mark_sent#2/stall_after"
    assert played(schedule).broken == []
    with mock.patch("connectors.attempt.hold_one"), mock.patch("connectors.attempt.renew"):
        assert "billed twice: acme-2026-10" in played(schedule).broken


def test_an_answer_before_the_commit_is_found() -> None:
    with (
        mock.patch("torture.crash_firm.Inbox._write"),
        mock.patch("torture.crash_firm.Inbox.accept", return_value=True),
    ):
        found = played("receive:").broken
    assert any("acknowledged and not stored" in each for each in found)
