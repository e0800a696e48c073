"""Gitea and Forgejo: which times are found, and when a list is not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.gitea.connector import GiteaConnector
from connectors.gitea.stand_in import MOST, SHOP, ContractRig, contract_setup
from connectors.http import Request, Response
from connectors.stand_in import InProcess
from ledger.errors import PermanentError, RejectedError, TransientError
from ledger.events import Found

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


class Meanwhile:
    """A port beside which something happens after the third page of times."""

    def __init__(self, rig: ContractRig, happens: Callable[[], object]) -> None:
        self._http, self._happens, self._left = InProcess(rig.site), happens, 3

    def send(self, request: Request) -> Response:
        answer = self._http.send(request)
        if "/times" in request.url:
            self._left -= 1
            if self._left == 0:
                self._happens()
        return answer


def test_what_is_deleted_meanwhile_hides_no_other_time(rig: ContractRig) -> None:
    """The entry that moves to the page before would count as deleted, and be taken back."""
    gitea = GiteaConnector(
        {**rig.settings, "repositories": SHOP}, Meanwhile(rig, lambda: rig.site.times.pop(505))
    )
    listed = {f"time:{each.body['time']['id']}" for each in gitea.entries(*OCTOBER)}
    assert listed >= set(rig.entries) - {"time:505"}


def test_a_list_shorter_than_the_server_counts_is_not_believed(rig: ContractRig) -> None:
    at = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)

    def happens() -> None:
        for _ in range(2 * MOST):
            rig.site.track(SHOP, 1, 60, at)

    gitea = GiteaConnector({**rig.settings, "repositories": SHOP}, Meanwhile(rig, happens))
    with pytest.raises(TransientError, match="changed while"):
        list(gitea.entries(*OCTOBER))
    assert len(list(gitea.entries(*OCTOBER))) == len(rig.entries) + 2 * MOST


def test_pages_are_shorter_than_asked_for_and_all_are_read(rig: ContractRig) -> None:
    assert len(rig.entries) > 4 * MOST
    found = list(GiteaConnector(rig.settings, rig.http()).entries(*OCTOBER))
    assert {f"time:{each.body['time']['id']}" for each in found} == set(rig.entries)


def test_a_repository_without_times_is_passed_over_and_another_mistake_is_not(
    rig: ContractRig,
) -> None:
    gitea = GiteaConnector({**rig.settings, "repositories": "acme/notes"}, rig.http())
    assert list(gitea.entries(*OCTOBER)) == []
    changes = gitea.changes_since(gitea.changes_since(None, NOW).cursor, NOW)
    assert (list(changes.found), changes.is_all) == ([], True)
    rig.site.repositories["acme/notes"] = True
    rig.order_fault("400", path="/times")
    with pytest.raises(RejectedError):
        list(gitea.entries(*OCTOBER))


def test_an_odd_repository_is_named_before_anything_is_asked(rig: ContractRig) -> None:
    for odd in ("acme", "acme/..", "../x", "acme/web/x", "acme/web?x=1"):
        gitea = GiteaConnector({**rig.settings, "repositories": odd}, rig.http())
        with pytest.raises(PermanentError, match="`repositories:`"):
            gitea.changes_since(gitea.changes_since(None, NOW).cursor, NOW)
    assert rig.site.requests == []


def test_an_old_time_is_not_polled_but_listed(rig: ContractRig) -> None:
    gitea = GiteaConnector(rig.settings, rig.http())
    cursor = gitea.changes_since(None, NOW).cursor
    at = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
    identity = rig.site.track(SHOP, 1, 60, at)
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = gitea.changes_since(cursor, NOW + timedelta(hours=1))
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    assert not any("time" in each.body for each in found)
    listed = [each.body["time"]["id"] for each in gitea.entries(*OCTOBER)]
    assert identity in listed


def test_what_was_closed_before_polling_began_is_not_told(rig: ContractRig) -> None:
    """A remark on an old issue must not bill it."""
    site = rig.site
    site.close(SHOP, 1)
    site.close_milestone(44)
    site.clock += timedelta(days=30)
    gitea = GiteaConnector({**rig.settings, "repositories": SHOP}, rig.http())
    cursor = gitea.changes_since(None, site.clock).cursor
    site.issues[SHOP, 1]["updated_at"] = site.milestones[44]["updated_at"] = site.tick()
    changes = gitea.changes_since(cursor, site.clock)
    assert (list(changes.found), changes.is_all) == ([], True)


def test_a_milestones_note_stays_on_the_issue_where_it_stands(rig: ContractRig) -> None:
    milestone = next(each for each in rig.reports() if each.subject == "milestone:44")
    gitea = GiteaConnector(rig.settings, rig.http())
    gitea.report(milestone)
    rig.site.add_issue(SHOP, 2, "Older", 44)
    gitea.report(replace(milestone, state="paid"))
    (note,) = rig.notes()
    assert "paid" in note
