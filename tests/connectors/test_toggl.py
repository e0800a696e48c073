"""What is Toggl's own: quotas, whose time an account sees, one tag for each invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.http import Request, Response
from connectors.toggl.connector import TogglConnector
from connectors.toggl.stand_in import BEGIN, ContractRig, contract_setup
from connectors.toggl.stand_in_report import PAGE_SIZE
from ledger.errors import PermanentError, TransientError
from ledger.events import Found
from webhooks.registry import sources

OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
LATER = BEGIN + timedelta(hours=1)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


def connect(rig: ContractRig) -> TogglConnector:
    return rig.connector(rig.settings, rig.http())


class Answering:
    """A port that gives the same answer to everything."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self._answer = Response(status, headers, b"{}")

    def send(self, request: Request) -> Response:
        return self._answer


def test_an_account_that_sees_only_its_own_time_lists_nothing(rig: ContractRig) -> None:
    rig.site.is_admin = False
    with pytest.raises(PermanentError, match="administrator"):
        connect(rig).check()
    with pytest.raises(PermanentError, match="administrator"):
        list(connect(rig).entries(*OCTOBER))


def test_a_used_up_quota_is_waited_for(rig: ContractRig) -> None:
    headers = {"x-toggl-quota-remaining": "0", "x-toggl-quota-resets-in": "1234"}
    with pytest.raises(TransientError) as caught:
        TogglConnector(rig.settings, Answering(402, headers)).check()
    assert caught.value.retry_after == 1234


def test_what_a_plan_lacks_is_a_matter_for_a_person(rig: ContractRig) -> None:
    with pytest.raises(Exception, match="402") as caught:
        TogglConnector(rig.settings, Answering(402, {})).check()
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize("workspace", ["", "agency", "4400/../1", "٤"])
def test_a_workspace_that_is_no_number_is_named(rig: ContractRig, workspace: str) -> None:
    connector = TogglConnector({**rig.settings, "workspace": workspace}, rig.http())
    with pytest.raises(PermanentError, match="workspace"):
        list(connector.entries(*OCTOBER))
    assert rig.site.requests == []


def test_an_invoice_has_one_tag_on_all_its_entries(rig: ContractRig) -> None:
    connector = connect(rig)
    (first,) = rig.reports()
    second = replace(
        first,
        subject="entry:1002",
        fields={"start": rig.site.time_entries[1002]["start"]},
        marker="billhook:acme-2026-10:entry:1002",
    )
    for report in (first, second):
        connector.report(report)
    connector.report(replace(first, state="paid"))
    assert rig.notes() == ["billhook: acme-2026-10 paid"] * 2
    sent = len(rig.site.requests)
    connector.report(replace(second, state="paid"))
    assert [line.partition(" ")[0] for line in rig.site.requests[sent:]] == ["GET", "GET"]
    shop = next(tag["id"] for tag in rig.site.tags.values() if tag["name"] == "shop")
    assert all(shop in rig.site.time_entries[number]["tag_ids"] for number in (1001, 1002))


def test_an_entry_that_is_gone_is_not_tagged(rig: ContractRig) -> None:
    (report,) = rig.reports()
    rig.site.unlog(1001)
    with pytest.raises(PermanentError, match="deleted"):
        connect(rig).report(report)


def test_a_quiet_poll_costs_few_requests(rig: ContractRig) -> None:
    connector = connect(rig)
    cursor = connector.changes_since(None, BEGIN).cursor
    changes = connector.changes_since(cursor, LATER)
    assert (list(changes.found), changes.is_all) == ([], True)
    assert len(rig.site.requests) <= 4


def test_a_report_in_another_order_is_read_to_its_end(
    rig: ContractRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = connect(rig).changes_since(None, BEGIN).cursor
    expected = {subject for kind, subject in rig.happen() if kind == "time.logged"}
    search = type(rig.site).search

    def by_date(site: object, request: object) -> object:
        raw = request.get_data().replace(b'"last_update"', b'"date"').replace(b"DESC", b"ASC")  # type: ignore[attr-defined]
        request.__dict__["_cached_data"] = raw
        return search(site, request)  # type: ignore[arg-type]

    monkeypatch.setattr(type(rig.site), "search", by_date)
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = connect(rig).changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    read = [sources()["toggl"].normalize(each.delivery("here", LATER)) for each in found]
    assert expected <= {event.subject for reading in read for event in reading.events}


def test_an_entry_near_midnight_is_listed_on_its_day_in_utc(rig: ContractRig) -> None:
    listed = {found.body["id"] for found in connect(rig).entries(date(2026, 11, 1), LATER.date())}
    assert 1101 in listed
    assert not listed & {1100, 1102, 1103}


def test_entries_are_listed_unrounded(rig: ContractRig) -> None:
    listed = {found.body["id"]: found.body for found in connect(rig).entries(*OCTOBER)}
    assert listed[1001]["duration"] == 2801
    assert listed[1001]["start"] == "2026-10-12T08:00:00Z"


def test_a_silent_deletion_shows_only_in_the_list(rig: ContractRig) -> None:
    connector = connect(rig)
    cursor = connector.changes_since(None, BEGIN).cursor
    rig.site.unlog(1001, is_silent=True)
    assert list(connector.changes_since(cursor, LATER).found) == []
    assert 1001 not in {found.body["id"] for found in connector.entries(*OCTOBER)}


def test_a_project_of_a_client_that_is_gone_keeps_its_name(rig: ContractRig) -> None:
    rig.site.clients.clear()
    fact = connect(rig).enrich("project:90210")
    assert fact is not None
    assert (fact.project, fact.fields) == ("Webshop", {})


def test_a_fact_asked_for_equals_the_one_looked_up(rig: ContractRig) -> None:
    connector = connect(rig)
    (found,) = connector.look_up("project:90210")
    (fact,) = sources()["toggl"].normalize(found.delivery("here", LATER)).facts
    assert fact == connector.enrich("project:90210")


def test_a_deletion_between_two_pages_hides_no_entry(rig: ContractRig) -> None:
    connector = connect(rig)
    cursor = connector.changes_since(None, BEGIN).cursor
    rig.happen()
    first = connector.changes_since(cursor, LATER)
    newest = first.found[1].body["id"]
    rig.site.unlog(newest)
    told, changes = {found.body.get("id") for found in first.found}, first
    while not changes.is_all:
        changes = connector.changes_since(changes.cursor, LATER)
        told |= {found.body.get("id") for found in changes.found}
    assert {2000 + number for number in range(PAGE_SIZE + 5)} <= told
