"""What is Azure DevOps' own: hours to the second, who worked, and states by name or by date."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import FOUND, Delivery, Reading
from ledger.money import seconds_of
from webhooks.azure_devops.workitems import identity
from webhooks.registry import sources

AZURE = sources()["azure_devops"]
NOW = datetime(2026, 11, 9, tzinfo=UTC)
PAYLOADS = Path(__file__).parents[2] / "webhooks" / "azure_devops" / "payloads"
HOURS = "Microsoft.VSTS.Scheduling.CompletedWork"


def body_of(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())["body"]


def read(body: Any, found: str | None = None) -> Reading:
    headers = {FOUND: found} if found else {}
    return AZURE.normalize(Delivery(headers, json.dumps(body).encode(), NOW, "azure_devops"))


def with_hours(old: Any, new: Any) -> Any:
    body = body_of("workitem.updated")
    body["resource"]["fields"][HOURS] = {"oldValue": old, "newValue": new}
    return body


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [
        ("0.25", 900),
        ("0.1", 360),
        ("7.7", 27720),
        ("0.3333", 1200),
        ("0.66666666666666663", 2400),
        ("0.0001", 0),
        ("0.00013888888888889", 1),
        ("12345.5", 44443800),
    ],
)
def test_hours_become_whole_seconds_half_up(hours: str, seconds: int) -> None:
    assert seconds_of(Decimal(hours)) == seconds


@pytest.mark.parametrize("hours", [-1, 500_001, "many", True, "1e5"])
def test_hours_that_cannot_be_are_refused_by_name(hours: Any) -> None:
    with pytest.raises(PayloadError, match=r"CompletedWork\.newValue"):
        read(with_hours(2, hours))


def test_a_total_that_did_not_change_says_nothing() -> None:
    assert read(with_hours(5, 5.0)).events == ()


def test_the_first_revision_told_may_be_the_one_before_the_change() -> None:
    body = body_of("workitem.updated")
    full = body["resource"]["revision"]["fields"]
    full[HOURS], full["System.ChangedDate"] = 2.0, "2026-11-01T09:00:00Z"
    (event,) = read(body).events
    assert (event.seconds, event.version) == (19_800, 1_793_629_205_930)
    assert event.fields["completed_work"] == Decimal("5.5")


def test_what_a_change_removed_is_gone_although_the_revision_told_still_has_it() -> None:
    body = body_of("workitem.updated-closed")
    body["resource"]["fields"]["System.AssignedTo"] = {"oldValue": "Raj <raj@agency.example>"}
    completed = read(body).events[-1]
    assert (completed.kind, completed.person) == ("work.completed", None)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, (None, None)),
        ("", (None, None)),
        ("Ana Silva", (None, "Ana Silva")),
        ("Ana Silva <ana@agency.example>", ("ana@agency.example", "Ana Silva")),
        ("Ana Silva <AGENCY\\ana>", ("AGENCY\\ana", "Ana Silva")),
        ({"uniqueName": "a@b.example", "displayName": "A", "id": "7"}, ("a@b.example", "A")),
        ({"id": "7", "displayName": ""}, ("7", None)),
        ({"uniqueName": 7}, (None, None)),
        (["Ana"], (None, None)),
    ],
)
def test_identities_are_texts_or_objects(
    value: object, told: tuple[str | None, str | None]
) -> None:
    assert identity(value) == told


@pytest.mark.parametrize(
    ("told", "found"),
    [("workitem.updated", "found-update"), ("workitem.updated-closed", "found-update-closed")],
)
def test_what_is_found_is_equal_to_what_the_webhook_told(told: str, found: str) -> None:
    webhook = [event.digest() for event in read(body_of(told)).events]
    assert [event.digest() for event in read(body_of(found), "update").events] == webhook


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("Active", "Closed", "work.completed"),
        ("In Progress", "DONE ", "work.completed"),
        ("Doing", "Completed", "work.completed"),
        ("Closed", "Done", None),
        ("Done", "To Do", "work.reopened"),
        ("Done", "Removed", "work.reopened"),
        ("Active", "Resolved", None),
        (None, "Closed", "work.completed"),
    ],
)
def test_a_change_of_state_is_judged_by_both_names(
    before: str | None, after: str, kind: str | None
) -> None:
    body = body_of("workitem.updated")
    change = {"newValue": after} if before is None else {"oldValue": before, "newValue": after}
    body["resource"]["fields"] = {"System.State": change}
    assert [event.kind for event in read(body).events] == ([kind] if kind else [])


def test_a_deletion_is_newer_than_the_last_change_and_older_than_the_restoration() -> None:
    last, deleted, restored = (
        read(body_of(name)).events
        for name in ("workitem.updated-closed", "workitem.deleted", "workitem.restored")
    )
    versions = [each[0].version for each in (last, deleted, restored)]
    assert versions == sorted(set(versions))
    assert [each[0].seconds for each in (last, deleted, restored)] == [21_600, 0, 19_800]


def test_found_updates_have_no_delivery_id() -> None:
    """Updates are numbered anew in each work item."""
    found = Delivery({FOUND: "update"}, b'{"id": 4}', NOW, "azure_devops")
    assert AZURE.delivery_id(found) is None


def test_one_deployment_is_one_subject_under_both_names_of_its_event() -> None:
    name = "deployment-completed-event"
    (first,) = read(body_of(f"ms.vss-release.{name}")).events
    (second,) = read(body_of(f"ms.azure-devops-release.{name}")).events
    assert first == second


def test_an_event_may_be_named_by_its_id_instead_of_its_type() -> None:
    body = {"eventId": "manualintervention.pending", "resource": {}}
    assert read(body).ignored
