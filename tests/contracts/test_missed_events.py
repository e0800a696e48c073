"""What project connectors promise about what webhooks missed, tried against their stand-ins.

`contract_setup` in `connectors/<tool>/stand_in.py` gives a rig. What is found is read by the tool's
own source, as the worker does it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import Changes, ProjectConnector
from connectors.contract import ProjectRig
from connectors.http import Http, Request, Response
from connectors.registry import project_connectors
from ledger.errors import ConnectorError, OutcomeUnknownError, PermanentError, TransientError
from ledger.events import Event, Found
from webhooks.registry import sources

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""Every stand-in's clock stands here; `happen` goes on from there, a minute for each change."""
LATER = NOW + timedelta(hours=1)
"""After all that `happen` did."""


Rig = ProjectRig[Any]


def declared(what: str) -> list[Any]:
    return [key for key, made in sorted(project_connectors().items()) if getattr(made, what)]


def rig_of(key: str, folder: Path) -> Rig:
    rig: Rig = import_module(f"connectors.{key}.stand_in").contract_setup(folder)
    return rig


def connect(rig: Rig, http: Http | None = None) -> ProjectConnector:
    return rig.connector(rig.settings, http or rig.http())


def read(connector: ProjectConnector, found: Sequence[Found]) -> list[Event]:
    source = sources()[connector.key]
    deliveries = [each.delivery("here", LATER) for each in found]
    return [event for each in deliveries for event in source.normalize(each).events]


def named(events: Sequence[Event]) -> set[tuple[str, str]]:
    return {(event.kind, event.subject) for event in events}


def all_since(
    connector: ProjectConnector, cursor: str | None, *, most: int = 50
) -> tuple[list[Found], str, int]:
    found: list[Found] = []
    for pages in range(1, most + 1):
        changes = connector.changes_since(cursor, LATER)
        assert isinstance(changes, Changes)
        found += changes.found
        assert changes.is_all or changes.cursor != cursor, "a page that leads to itself"
        cursor = changes.cursor
        if changes.is_all:
            return found, cursor, pages
    raise AssertionError(f"no end after {most} pages")


class Failing:
    """A port that fails at one request."""

    def __init__(self, http: Http, at: int, error: ConnectorError) -> None:
        self._http, self._left, self._error = http, at, error

    def send(self, request: Request) -> Response:
        self._left -= 1
        if self._left == 0:
            raise self._error
        return self._http.send(request)


@pytest.mark.parametrize("key", declared("polls"))
def test_the_first_poll_begins_now_and_tells_nothing_of_the_past(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    changes = connect(rig).changes_since(None, NOW)
    assert list(changes.found) == []
    assert changes.is_all
    assert changes.cursor


@pytest.mark.parametrize("key", declared("polls"))
def test_what_happened_since_is_found_over_all_pages(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    cursor = connect(rig).changes_since(None, NOW).cursor
    expected = rig.happen()
    assert expected
    connector = connect(rig)
    found, _, _ = all_since(connector, cursor)
    assert set(expected) <= named(read(connector, found))


@pytest.mark.parametrize("key", declared("polls"))
def test_polling_sends_nothing_that_changes_the_tool(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.happen()
    before = copy.deepcopy(rig.site.state())
    all_since(connect(rig), cursor)
    assert rig.site.state() == before


@pytest.mark.parametrize("key", declared("polls"))
def test_asking_again_tells_at_most_the_same_bytes(key: str, tmp_path: Path) -> None:
    """The overlap of two polls costs nothing, because equal bodies are known already."""
    rig = rig_of(key, tmp_path)
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.happen()
    first, reached, _ = all_since(connect(rig), cursor)
    again, _, _ = all_since(connect(rig), reached)
    known = {(each.delivery("here", LATER).body) for each in first}
    assert {each.delivery("here", LATER).body for each in again} <= known


@pytest.mark.parametrize("key", declared("polls"))
def test_an_interrupted_poll_resumes_where_it_was(key: str, tmp_path: Path) -> None:
    at, is_finished = 0, False
    while not is_finished:
        at += 1
        rig = rig_of(key, tmp_path / str(at))
        cursor = connect(rig).changes_since(None, NOW).cursor
        expected = rig.happen()
        broken = connect(rig, Failing(rig.http(), at, TransientError("cannot connect")))
        found: list[Found] = []
        is_finished = True
        is_all = False
        while not is_all:
            try:
                changes = broken.changes_since(cursor, LATER)
            except TransientError:
                # What was told before the failure is stored with its cursor.
                is_finished = False
                broken = connect(rig)
                continue
            found += changes.found
            cursor, is_all = changes.cursor, changes.is_all
        assert set(expected) <= named(read(connect(rig), found)), f"request {at}"
    assert at > 1, "the poll was never interrupted"


@pytest.mark.parametrize("key", declared("polls"))
@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ("401", PermanentError),
        ("403", PermanentError),
        ("429", TransientError),
        ("500", TransientError),
        ("503", TransientError),
        ("html", TransientError),
        ("drop_reply", TransientError),
    ],
)
def test_a_poll_that_fails_is_one_of_our_errors(
    key: str, do: str, kind: type[ConnectorError], tmp_path: Path
) -> None:
    rig = rig_of(key, tmp_path)
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.happen()
    rig.order_fault(do)
    with pytest.raises(kind) as caught:
        all_since(connect(rig), cursor)
    assert rig.settings["token"] not in str(caught.value)
    if do == "429":
        assert isinstance(caught.value, TransientError)
        assert caught.value.retry_after == 7


@pytest.mark.parametrize("key", declared("polls"))
def test_an_odd_cursor_is_no_crash(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    for cursor in ("", "odd", "{}", "-1", "[1, 2]"):
        try:
            connect(rig).changes_since(cursor, LATER)
        except ConnectorError:
            continue


@pytest.mark.parametrize("key", declared("lists_entries"))
def test_every_entry_of_the_period_is_listed_to_the_second(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    connector = connect(rig)
    found = list(connector.entries(*rig.entry_period))
    events = read(connector, found)
    assert {event.subject: event.seconds for event in events} == rig.entries
    assert len(events) == len(rig.entries), "an entry was listed twice"
    first, last = rig.entry_period
    assert all(first <= event.on <= last for event in events)
    assert {event.kind for event in events} <= {"time.logged", "time.total"}


@pytest.mark.parametrize("key", declared("lists_entries"))
def test_an_entry_listed_reads_as_the_one_that_was_polled(key: str, tmp_path: Path) -> None:
    """Else the certificate would find differences where there are none."""
    rig = rig_of(key, tmp_path)
    connector = connect(rig)
    if not connector.polls:
        return
    cursor = connector.changes_since(None, NOW).cursor
    rig.happen()
    polled = read(connector, all_since(connector, cursor)[0])
    listed = {
        event.subject: event
        for event in read(connector, list(connector.entries(date(2020, 1, 1), date(2030, 1, 1))))
    }
    both = [each for each in polled if each.kind == "time.logged" and each.subject in listed]
    assert both, "happen changes no entry that is still there"
    newest = {each.subject: each for each in sorted(both, key=lambda each: each.version)}
    for event in newest.values():
        other = listed[event.subject]
        assert (event.seconds, event.on, event.person, event.billable, event.project) == (
            other.seconds,
            other.on,
            other.person,
            other.billable,
            other.project,
        )


@pytest.mark.parametrize("key", sorted(project_connectors()))
def test_what_a_delivery_only_named_is_looked_up(key: str, tmp_path: Path) -> None:
    rig = rig_of(key, tmp_path)
    connector = connect(rig)
    for about, expected in rig.look_ups.items():
        assert named(read(connector, connector.look_up(about))) == set(expected), about
    for strange in ("nothing-like-it:1", "task:../../me", "", "task:", "task:é"):
        assert list(connector.look_up(strange)) == []


@pytest.mark.parametrize("key", sorted(project_connectors()))
def test_many_things_are_told_as_one_by_one_and_in_no_more_requests(
    key: str, tmp_path: Path
) -> None:
    rig = rig_of(key, tmp_path)
    abouts = rig.facts
    one_by_one = {about: connect(rig).enrich(about) for about in abouts}
    assert all(one_by_one.values())
    asked = len(rig.site.requests)
    assert dict(connect(rig).enrich_all([*abouts, "nothing-like-it:1"])) == {
        **one_by_one,
        "nothing-like-it:1": None,
    }
    assert len(rig.site.requests) - asked <= asked


@pytest.mark.parametrize("key", declared("tells"))
def test_a_note_of_ours_comes_back_as_nothing_new(key: str, tmp_path: Path) -> None:
    """The tool's own webhook about our note must bill nothing, change nothing, loop never."""
    rig = rig_of(key, tmp_path)
    source = sources()[key]
    before: dict[str, Event] = {}
    for headers, body in rig.before_notes():
        found = Found(body=body, headers=headers).delivery("here", NOW)
        before |= {event.subject: event for event in source.normalize(found).events}
    connector = connect(rig)
    for report in rig.reports():
        connector.report(report)
    for headers, body in rig.echoes():
        told = source.normalize(Found(body=body, headers=headers).delivery("here", LATER))
        assert told.asks == () or all(about.partition(":")[0] != "invoice" for about in told.asks)
        for event in told.events:
            known = before[event.subject]
            same = (
                *("kind", "on", "project", "item", "title", "person", "seconds"),
                *("billable", "labels", "fields"),
            )
            for name in same:
                assert getattr(event, name) == getattr(known, name), name


def test_an_outcome_unknown_never_leaves_a_poll(tmp_path: Path) -> None:
    """Asking changes nothing, so a lost answer is only a matter of asking again."""
    for key in declared("polls"):
        rig = rig_of(key, tmp_path / key)
        cursor = connect(rig).changes_since(None, NOW).cursor
        rig.happen()
        broken = connect(rig, Failing(rig.http(), 1, OutcomeUnknownError("the reply was lost")))
        with pytest.raises(TransientError):
            broken.changes_since(cursor, LATER)
