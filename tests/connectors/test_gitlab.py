"""GitLab: what a poll asks for and finds, and where a note stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.gitlab.connector import GitLabConnector
from connectors.gitlab.stand_in import ME, PATH, ContractRig, GitLabStandIn, contract_setup
from connectors.stand_in import InProcess
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Event, Found
from webhooks.gitlab.source import GitLabSource

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> GitLabStandIn:
    return rig.site


def connect(rig: ContractRig, **settings: str) -> GitLabConnector:
    return GitLabConnector({**rig.settings, **settings}, InProcess(rig.site))


def polled(gitlab: GitLabConnector, cursor: str) -> tuple[list[Found], str]:
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = gitlab.changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    return found, cursor


def read(found: list[Found], kind: str) -> list[Event]:
    source = GitLabSource()
    events = [
        event for each in found for event in source.normalize(each.delivery("gitlab", LATER)).events
    ]
    return [event for event in events if event.kind == kind]


# --- polling -----------------------------------------------------------------------------------


def test_a_total_is_told_with_who_logged_last_and_when(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    gitlab = connect(rig)
    cursor = gitlab.changes_since(None, NOW).cursor
    for seconds in (3600, 1800, 900, -600, 300):
        site.spend(PATH, 30, seconds)
    newest = site.logs[PATH, 30][1]
    (event,) = read(polled(gitlab, cursor)[0], "time.total")
    assert (event.seconds, event.person) == (6000, "raj.patel")
    assert max(int(log["id"].rpartition("/")[2]) for log in site.logs[PATH, 30]) == 5
    assert event.occurred_at == NOW + timedelta(minutes=5)
    assert newest["id"] != site.logs[PATH, 30][-1]["id"]


def test_what_was_done_and_logged_before_polling_began_is_not_told(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    """A remark on an old issue must not bill it."""
    site.close(PATH, 1)
    site.spend(PATH, 2, 36000)
    site.close(PATH, 3)
    site.spend(PATH, 3, 60)
    site.clock += timedelta(days=30)
    gitlab = connect(rig)
    cursor = gitlab.changes_since(None, site.clock).cursor
    for number in (1, 2, 3):
        site.issues[PATH, number]["updated_at"] = site.tick()
    site.drop_logs(PATH, 3)
    found = polled(gitlab, cursor)[0]
    assert read(found, "work.completed") == read(found, "time.total") == []
    assert [each.subject for each in read(found, "work.reopened")] == ["issue:91002"]
    assert [each.subject for each in read(found, "time.removed")] == [
        "issue-time:91001",
        "issue-time:91003",
    ]


def test_only_issues_with_time_are_asked_about_it(rig: ContractRig, site: GitLabStandIn) -> None:
    gitlab = connect(rig)
    cursor = gitlab.changes_since(None, NOW).cursor
    site.close(PATH, 1)
    site.spend(PATH, 2, 60)
    polled(gitlab, cursor)
    assert site.requests.count("POST /api/graphql") == 1


def test_all_projects_of_the_account_are_polled_unless_some_are_chosen(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    shop = "acme/shop"
    site.add_issue(shop, 1, "Sell")
    site.close(shop, 1)
    every, chosen = connect(rig), connect(rig, projects=f" {PATH}, {PATH} ")
    cursor = every.changes_since(None, NOW).cursor
    assert [each.project for each in read(polled(every, cursor)[0], "work.completed")] == [shop]
    assert read(polled(chosen, cursor)[0], "work.completed") == []


def test_a_chosen_project_knows_the_release_by_the_same_name(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    every, chosen = connect(rig), connect(rig, projects=PATH)
    cursor = every.changes_since(None, NOW).cursor
    site.publish(PATH, "v2.0")
    subjects = [
        event.subject
        for gitlab in (every, chosen)
        for event in read(polled(gitlab, cursor)[0], "release.published")
    ]
    assert subjects == ["release:77:v2.0"] * 2


def test_a_failed_delivery_is_fetched_once_with_its_own_id(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    gitlab = connect(rig)
    cursor = gitlab.changes_since(None, NOW).cursor
    first = {"object_kind": "deployment", "status": "failed"}
    for status in ("200", "500", "201", "internal error"):
        site.deliver(17, first, status)
    site.deliver(17, {"object_kind": "push"}, "500")
    found, cursor = polled(gitlab, cursor)
    missed = [each for each in found if "idempotency-key" in each.headers]
    assert [each.headers["idempotency-key"][-2:] for each in missed] == ["03", "05"]
    assert all("x-gitlab-token" not in each.headers for each in missed)
    # More than a page of newer ones lies above the last one known.
    for status in ("500", *["200"] * 120):
        site.deliver(17, first, status)
    found, cursor = polled(gitlab, cursor)
    told = [each.headers.get("idempotency-key", "")[-2:] for each in found]
    assert "07" in told
    assert "idempotency-key" not in {
        name for each in polled(gitlab, cursor)[0] for name in each.headers
    }


def test_what_failed_before_the_first_poll_is_left_alone(rig: ContractRig) -> None:
    gitlab = connect(rig)
    assert rig.site.events[17][0]["response_status"] == "500"
    found, _ = polled(gitlab, gitlab.changes_since(None, LATER).cursor)
    assert [each for each in found if "billhook-found" not in each.headers] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("projects", "acme"),
        ("projects", "acme/../user"),
        ("projects", "acme/web?x=1"),
        ("hooks", "acme/web"),
        ("hooks", "acme/web:x"),
        ("hooks", "17"),
    ],
)
def test_an_odd_setting_is_named_before_anything_is_asked(
    rig: ContractRig, name: str, value: str
) -> None:
    gitlab = connect(rig, **{name: value})
    with pytest.raises(PermanentError, match=f"`{name}:`"):
        gitlab.changes_since('{"since": "2026-11-02T09:00:00+00:00"}', LATER)
    assert rig.site.requests == []


# --- telling -----------------------------------------------------------------------------------


def test_a_milestone_is_told_on_its_oldest_issue_of_the_project(
    rig: ContractRig, site: GitLabStandIn
) -> None:
    site.add_issue("acme/shop", 2, "Elsewhere", 610)
    milestone = next(each for each in rig.reports() if each.subject == "milestone:610")
    connect(rig).report(milestone)
    assert [note["place"] for note in site.notes.values()] == [(PATH, 11)]


def test_a_copied_note_is_left_alone(rig: ContractRig, site: GitLabStandIn) -> None:
    report, gitlab = rig.reports()[0], connect(rig)
    gitlab.report(report)
    (ours,) = site.notes.values()
    somebody = {**ME, "id": 1}
    site.notes = {3000: {**ours, "id": 3000, "author": somebody}, **site.notes}
    gitlab.report(replace(report, state="paid"))
    assert "draft" in site.notes[3000]["body"]
    assert "paid" in site.notes[3001]["body"]


@pytest.mark.parametrize(
    ("subject", "item", "kind"),
    [
        ("release:77:v1.0", None, UnsupportedError),
        ("deployment:5", None, UnsupportedError),
        ("milestone:999999999", None, PermanentError),
        ("milestone:x", None, RejectedError),
        ("issue:1", None, RejectedError),
        ("issue:1", "#1x", RejectedError),
    ],
)
def test_what_has_no_place_says_so(
    rig: ContractRig, subject: str, item: str | None, kind: type[Exception]
) -> None:
    report = replace(rig.reports()[0], subject=subject, item=item)
    with pytest.raises(kind):
        connect(rig).report(report)
    assert rig.notes() == []
