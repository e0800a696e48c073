"""Azure DevOps: what a poll tells and what it leaves out, refused tokens, where a note stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.azure_devops import connector as azure
from connectors.azure_devops import stand_in
from connectors.azure_devops.connector import AzureDevOpsConnector
from connectors.azure_devops.stand_in import ANA, HOURS, ContractRig, contract_setup
from connectors.connector import Report
from connectors.http import Request, Response
from connectors.note import HTML
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Event
from webhooks.registry import sources

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def devops(rig: ContractRig) -> AzureDevOpsConnector:
    return AzureDevOpsConnector(rig.settings, rig.http())


def polled(devops: AzureDevOpsConnector, cursor: str) -> tuple[list[Event], str]:
    events: list[Event] = []
    is_all = False
    while not is_all:
        changes = devops.changes_since(cursor, NOW)
        for found in changes.found:
            events += sources()["azure_devops"].normalize(found.delivery("here", NOW)).events
        cursor, is_all = changes.cursor, changes.is_all
    return events, cursor


def test_a_change_of_the_title_tells_nothing_of_the_past(
    rig: ContractRig, devops: AzureDevOpsConnector
) -> None:
    """The work item has hours and is closed since before polling began."""
    _, cursor = polled(devops, devops.changes_since(None, NOW).cursor)
    rig.site.pass_time()
    rig.site.change(11, {"System.Title": "Build the new checkout"})
    assert polled(devops, cursor)[0] == []


def test_hours_are_the_ones_of_who_logged_them_whoever_edits_the_item_next(
    rig: ContractRig, devops: AzureDevOpsConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = devops.changes_since(None, NOW).cursor
    rig.site.pass_time()
    rig.site.change(12, {HOURS: 4.75})
    rig.site.pass_time()
    monkeypatch.setattr(stand_in, "ANA", {**ANA, "uniqueName": "raj@agency.example"})
    rig.site.change(12, {"System.Title": "Accept all vouchers"})
    (event,), _ = polled(devops, cursor)
    assert (event.person, event.seconds) == ("ana@agency.example", 17_100)
    assert event.title == "Accept vouchers"
    assert event.occurred_at == NOW + timedelta(minutes=1)


def test_the_clock_of_the_server_counts(rig: ContractRig, devops: AzureDevOpsConnector) -> None:
    ahead = NOW + timedelta(days=1)
    cursor = devops.changes_since(None, ahead).cursor
    rig.site.pass_time()
    rig.site.change(12, {HOURS: 3})
    assert [event.seconds for event in polled(devops, cursor)[0]] == [10_800]


def test_a_change_that_is_seen_late_is_found_by_the_next_poll(
    rig: ContractRig, devops: AzureDevOpsConnector
) -> None:
    _, cursor = polled(devops, devops.changes_since(None, NOW).cursor)
    rig.site.pass_time(timedelta(minutes=10))
    _, cursor = polled(devops, cursor)
    rig.site.now -= azure.OVERLAP / 2
    rig.site.change(12, {HOURS: 3})
    rig.site.now += azure.OVERLAP
    assert [event.subject for event in polled(devops, cursor)[0]] == ["workitem-time:12"]


def test_an_item_that_is_deleted_meanwhile_is_passed_over(
    rig: ContractRig, devops: AzureDevOpsConnector
) -> None:
    cursor = devops.changes_since(None, NOW).cursor
    rig.site.pass_time()
    rig.site.change(12, {HOURS: 3})
    rig.site.change(100, {HOURS: 1})
    del rig.site.updates[12]
    assert [event.subject for event in polled(devops, cursor)[0]] == ["workitem-time:100"]


def test_more_updates_than_a_page_are_read(rig: ContractRig, devops: AzureDevOpsConnector) -> None:
    for number in range(stand_in.MOST_UPDATES):
        rig.site.change(12, {"System.Title": f"Vouchers {number}"})
    cursor = devops.changes_since(None, NOW).cursor
    rig.site.pass_time()
    rig.site.change(12, {HOURS: 3})
    assert [event.seconds for event in polled(devops, cursor)[0]] == [10_800]


def test_a_page_to_sign_in_is_a_refused_token(rig: ContractRig) -> None:
    class SignIn:
        def send(self, request: Request) -> Response:
            return Response(203, {"content-type": "text/html"}, b"<html>Sign in</html>")

    with pytest.raises(PermanentError, match="token"):
        AzureDevOpsConnector(rig.settings, SignIn()).check()


@pytest.mark.parametrize("subject", ["deployment:88", "stage:480:deploy", "milestone:1"])
def test_what_has_no_place_for_a_note_is_said(devops: AzureDevOpsConnector, subject: str) -> None:
    with pytest.raises(UnsupportedError):
        devops.report(Report(subject, None, "Acme", {}, "acme-2026-10", "draft"))


@pytest.mark.parametrize("project", ["Acme GmbH", "Größe", "a.b-c (2)"])
def test_names_of_projects_are_quoted(rig: ContractRig, project: str) -> None:
    devops = AzureDevOpsConnector(rig.settings, rig.http())
    with pytest.raises(PermanentError, match="not there"):
        devops.report(replace(rig.reports()[0], project=project))
    assert "/agency/Acme/" not in rig.site.requests[0]


@pytest.mark.parametrize("project", ["_apis", ".", "..", "Acme.", "a%2Fb", "a\\b", "a" * 65])
def test_what_cannot_be_a_project_is_refused(rig: ContractRig, project: str) -> None:
    devops = AzureDevOpsConnector(rig.settings, rig.http())
    with pytest.raises(RejectedError):
        devops.report(replace(rig.reports()[0], project=project))
    assert rig.site.requests == []


def test_a_note_shows_a_strangers_words_as_text(rig: ContractRig) -> None:
    report = replace(rig.reports()[0], invoice="<script>a&b", state="<i>paid</i>", url=None)
    text = HTML.text(report)
    assert "<script>" not in text
    assert "<i>" not in text
    assert HTML.words(text)[:4] == ["Invoice", "<script>a&b:", "ipaidi", "Kept"]
