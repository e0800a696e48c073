"""What every project connector promises, tried against its stand-in.

A new connector brings `stand_in.py` with `contract_setup(folder)` and no test code of this kind.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import ProjectConnector, Report
from connectors.contract import ProjectRig
from connectors.http import Http, Request, Response
from connectors.registry import project_connectors
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)

EVERYWHERE: dict[str, type[ConnectorError]] = {
    "301": PermanentError,
    "400": RejectedError,
    "401": PermanentError,
    "403": PermanentError,
    "404": PermanentError,
    "409": TransientError,
    "410": RejectedError,
    "422": RejectedError,
    "429": TransientError,
}
"""What a status means, whether something was asked or written."""
READING: dict[str, type[ConnectorError]] = {
    "500": TransientError,
    "502": TransientError,
    "503": TransientError,
    "html": TransientError,
    "drop_reply": TransientError,
}
WRITING: dict[str, type[ConnectorError]] = dict.fromkeys(
    ("500", "500_after", "503", "html", "html_after", "drop_request", "drop_reply"),
    OutcomeUnknownError,
)


Rig = ProjectRig[Any]


class Crash(BaseException):
    """The process dies here."""


class Interrupted:
    """A port that fails at one request, before or after it was carried out."""

    def __init__(self, http: Http, *, at: int, is_carried_out: bool, kills: bool) -> None:
        self._http = http
        self._left = at
        self._is_carried_out = is_carried_out
        self._error = Crash() if kills else OutcomeUnknownError("the connection broke")

    def send(self, request: Request) -> Response:
        self._left -= 1
        if self._left == 0 and not self._is_carried_out:
            raise self._error
        answer = self._http.send(request)
        if self._left == 0:
            raise self._error
        return answer


@pytest.fixture(params=sorted(project_connectors()))
def make_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Rig]:
    """Make fresh stand-ins of one registered connector."""
    setup = import_module(f"connectors.{request.param}.stand_in").contract_setup
    return lambda: setup(tmp_path)


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()


def connect(rig: Rig, http: Http | None = None) -> ProjectConnector:
    return rig.connector(rig.settings, http or rig.http())


def writes(rig: Rig, since: int = 0) -> list[str]:
    return [line for line in rig.site.requests[since:] if not line.startswith("GET ")]


def secrets(rig: Rig) -> list[str]:
    token = rig.settings["token"]
    pair = f"{rig.settings.get('user', '')}:{token}"
    return [token, base64.b64encode(pair.encode()).decode()]


def told_in_full(error: BaseException) -> Iterator[str]:
    seen: BaseException | None = error
    while seen is not None:
        yield f"{seen} {seen!r} {seen.args}"
        seen = seen.__cause__ or seen.__context__
    yield "".join(traceback.format_exception(error))


def test_building_a_connector_sends_nothing(rig: Rig) -> None:
    connect(rig)
    assert rig.site.requests == []


def test_the_check_names_the_account_and_changes_nothing(rig: Rig) -> None:
    assert connect(rig).check()
    assert rig.site.requests
    assert writes(rig) == []


def test_a_wrong_token_is_a_matter_for_a_person(rig: Rig) -> None:
    connector = rig.connector({**rig.settings, "token": "not-the-token-at-all"}, rig.http())
    with pytest.raises(PermanentError, match="token"):
        connector.check()
    for report in rig.reports():
        with pytest.raises(PermanentError, match="token"):
            connector.report(report)
    assert rig.notes() == []


def test_asking_about_an_unknown_thing_gives_nothing(rig: Rig) -> None:
    connector = connect(rig)
    assert connector.enrich(rig.unknown) is None
    assert connector.enrich("something-never-heard-of:1") is None
    assert connector.enrich("issue:../../myself") is None
    assert connector.enrich("") is None


def test_a_tool_that_is_told_nothing_says_so(rig: Rig) -> None:
    connector = connect(rig)
    told = Report("entry:1", "#1", "acme/site", {}, "acme-2026-10", "draft")
    if connector.tells is None:
        with pytest.raises(UnsupportedError, match="look at the invoice in Billhook"):
            connector.report(told)
    assert rig.site.requests == []
    assert bool(rig.reports()) == (connector.tells is not None)


def test_a_report_stands_there_once_with_reference_and_state(make_rig: Callable[[], Rig]) -> None:
    for number, report in enumerate(make_rig().reports()):
        rig = make_rig()
        assert connect(rig).report(rig.reports()[number])
        (note,) = rig.notes()
        assert report.invoice in note
        assert report.state in note


def test_repeating_a_report_writes_nothing(make_rig: Callable[[], Rig]) -> None:
    for number in range(len(make_rig().reports())):
        rig = make_rig()
        report = rig.reports()[number]
        first = connect(rig).report(report)
        sent = len(rig.site.requests)
        assert connect(rig).report(report) == first
        assert writes(rig, sent) == [], report.subject
        assert len(rig.notes()) == 1


def test_a_new_state_changes_the_note_in_place(make_rig: Callable[[], Rig]) -> None:
    for number in range(len(make_rig().reports())):
        rig = make_rig()
        report = rig.reports()[number]
        connector = connect(rig)
        first = connector.report(report)
        assert connector.report(replace(report, state="partially paid")) == first
        (note,) = rig.notes()
        assert "partially paid" in note
        assert "draft" not in note


def test_the_reports_of_one_tool_do_not_disturb_each_other(rig: Rig) -> None:
    connector = connect(rig)
    for report in rig.reports():
        connector.report(report)
    assert len(rig.notes()) == len(rig.reports())


def test_two_invoices_for_the_same_work_have_a_note_each(make_rig: Callable[[], Rig]) -> None:
    for number in range(len(make_rig().reports())):
        rig = make_rig()
        october = rig.reports()[number]
        # The second reference is how the first one begins: they must not be taken for each other.
        for invoice in ("acme-2026-10", "acme-2026-1"):
            report = replace(october, invoice=invoice, marker=f"billhook:{invoice}")
            connect(rig).report(report)
        assert len(rig.notes()) == 2, october.subject


@pytest.mark.parametrize("kills", [False, True], ids=["lost connection", "killed process"])
@pytest.mark.parametrize("is_carried_out", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_change", [False, True], ids=["new note", "changed note"])
def test_whatever_request_breaks_a_repeat_leaves_one_note_with_the_present_state(
    make_rig: Callable[[], Rig], is_change: bool, is_carried_out: bool, kills: bool
) -> None:
    for number in range(len(make_rig().reports())):
        at, is_finished = 0, False
        while not is_finished:
            at += 1
            rig = make_rig()
            report = rig.reports()[number]
            if is_change:
                connect(rig).report(report)
                report = replace(report, state="paid")
            port = Interrupted(rig.http(), at=at, is_carried_out=is_carried_out, kills=kills)
            try:
                connect(rig, port).report(report)
                is_finished = True
            except (ConnectorError, Crash):
                connect(rig).report(report)
            (note,) = rig.notes()
            assert report.state in note
            sent = len(rig.site.requests)
            connect(rig).report(report)
            assert writes(rig, sent) == []
        assert at > 2, "the report was never interrupted"


@pytest.mark.parametrize(("do", "kind"), [*EVERYWHERE.items(), *READING.items()])
def test_what_goes_wrong_while_asking_becomes_one_of_our_errors(
    rig: Rig, do: str, kind: type[ConnectorError]
) -> None:
    rig.order_fault(do)
    with pytest.raises(kind) as caught:
        connect(rig).check()
    assert not any(secret in text for text in told_in_full(caught.value) for secret in secrets(rig))


@pytest.mark.parametrize(("do", "kind"), [*EVERYWHERE.items(), *WRITING.items()])
def test_what_goes_wrong_while_writing_becomes_one_of_our_errors(
    make_rig: Callable[[], Rig], do: str, kind: type[ConnectorError]
) -> None:
    for number in range(len(make_rig().reports())):
        rig = make_rig()
        rig.order_fault(do, method="POST")
        with pytest.raises(kind) as caught:
            connect(rig).report(rig.reports()[number])
        texts = list(told_in_full(caught.value))
        assert not any(secret in text for text in texts for secret in secrets(rig))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_advice_how_long_to_wait_is_passed_on(rig: Rig, method: str) -> None:
    rig.order_fault("429", method=method)
    if not rig.reports():
        if method == "GET":
            with pytest.raises(TransientError) as caught:
                connect(rig).check()
            assert caught.value.retry_after == 7
        return
    with pytest.raises(TransientError) as caught:
        connect(rig).report(rig.reports()[0])
    assert caught.value.retry_after == 7


def test_an_answer_of_another_shape_is_no_crash(rig: Rig) -> None:
    class Odd:
        def send(self, request: Request) -> Response:
            return Response(200, {}, b'["unexpected"]')

    connector = connect(rig, Odd())
    with pytest.raises(ConnectorError):
        connector.check()
    for report in rig.reports():
        with pytest.raises(ConnectorError):
            connector.report(report)


def test_a_request_that_was_never_sent_stays_transient(rig: Rig) -> None:
    class Unreachable:
        def send(self, request: Request) -> Response:
            raise TransientError("cannot connect")

    with pytest.raises(TransientError):
        connect(rig, Unreachable()).check()
    for report in rig.reports():
        with pytest.raises(TransientError):
            connect(rig, Unreachable()).report(report)


def test_hostile_names_never_reach_another_path(rig: Rig) -> None:
    """Keys and repositories come from deliveries; they must not choose what is written to."""
    for report in rig.reports():
        for hostile in ("../../myself", "acme/../../user", "..", "a/b?c=d", "x#y", "é/é", ""):
            wrong = replace(report, item=hostile, project=hostile)
            with pytest.raises(ConnectorError):
                connect(rig).report(wrong)
    assert rig.site.requests == []
