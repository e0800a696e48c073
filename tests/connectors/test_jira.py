"""Jira: what is asked, and how the one note is kept. Worklogs: `test_jira_worklogs.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import Report
from connectors.http import OutgoingHttp, Request
from connectors.jira import stand_in
from connectors.jira.connector import LONGEST_PROPERTY, JiraConnector
from connectors.jira.note import WIKI
from connectors.jira.stand_in import ContractRig, JiraStandIn, contract_setup
from connectors.note import marker
from connectors.stand_in import InProcess, serve
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Delivery
from webhooks.registry import sources

STARTED = "2026-03-04T23:30:00.000-0500"
QUOTE = {"accountId": "712020:customer", "displayName": "Somebody else"}


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> JiraStandIn:
    return rig.site


@pytest.fixture
def jira(rig: ContractRig) -> JiraConnector:
    return JiraConnector(rig.settings, rig.http())


@pytest.fixture
def report(rig: ContractRig) -> Report:
    return rig.reports()[0]


@pytest.fixture
def served(site: JiraStandIn) -> Iterator[str]:
    with serve(site) as url:
        yield url


def with_comment(site: JiraStandIn, text: str, author: dict[str, str] | None = None) -> int:
    """Add a comment as somebody in Jira's own pages would; return its id."""
    number = 10001 + len(site.comments)
    site.comments[number] = {
        "id": str(number),
        "issue": 10014,
        "author": author or QUOTE,
        "body": text,
    }
    return number


def told_by_webhook(body: dict[str, Any]) -> Any:
    delivery = Delivery({}, json.dumps(body).encode(), datetime.now(UTC), "jira-agency")
    return sources()["jira"].normalize(delivery)


# --- asking ------------------------------------------------------------------------------------


def test_an_issue_reads_the_same_whether_it_was_asked_for_or_told(
    jira: JiraConnector, site: JiraStandIn
) -> None:
    site.add_issue(
        10015,
        "ACME-8",
        "Pay by invoice",
        labels=["shop", "billable"],
        fixVersions=[{"id": "1", "name": "2.0"}],
        customfield_10001="Gold",
        customfield_10002={"value": "Support", "id": "3"},
        customfield_10003=[{"name": "Sprint 4"}, {"value": "Sprint 5"}, None],
        customfield_10004=12.5,
        customfield_10005=True,
        customfield_10006=None,
        customfield_10007=[],
        customfield_10008="x" * 256,
        customfield_10009={"child": {"value": "nested"}},
        customfield_10010=[["a", "b"]],
        customfield_10011="",
    )
    asked = jira.enrich("issue:10015")
    body = {
        "webhookEvent": "jira:issue_created",
        "timestamp": site.now(),
        "issue": site.issues[10015],
    }
    told = next(fact for fact in told_by_webhook(body).facts if fact.about == "issue:10015")
    assert asked is not None
    assert replace(asked, version=0) == replace(told, version=0)
    assert asked.fields["customfield_10002"] == "Support"


def test_a_number_in_a_custom_field_is_exact(jira: JiraConnector, site: JiraStandIn) -> None:
    site.add_issue(10015, "ACME-8", "Pay", customfield_10004=0.1)
    fact = jira.enrich("issue:10015")
    assert fact is not None
    assert fact.fields["customfield_10004"] == Decimal("0.1")
    assert isinstance(fact.fields["customfield_10004"], Decimal)


def test_the_version_of_an_issue_is_its_time_of_change(
    jira: JiraConnector, site: JiraStandIn
) -> None:
    site.add_issue(10015, "ACME-8", "Pay", updated="2026-03-04T10:00:00.652+0530")
    fact = jira.enrich("issue:10015")
    assert fact is not None
    assert fact.version == 1772598600652


def test_projects_and_boards_lead_to_the_project_key(jira: JiraConnector) -> None:
    project, board = jira.enrich("project:10000"), jira.enrich("board:1")
    assert project is not None
    assert board is not None
    assert (project.project, project.title) == ("ACME", "Acme shop")
    assert board.project == "ACME"


def test_a_board_of_a_person_has_no_project(jira: JiraConnector, site: JiraStandIn) -> None:
    site.add_board(2, "Mine", None)
    assert jira.enrich("board:2") is None


# --- telling -----------------------------------------------------------------------------------


def test_the_property_names_comment_invoice_and_state(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    jira.report(report)
    assert site.properties[10014, "billhook"] == {
        marker(report): {
            "comment_id": "10001",
            "invoice": "acme-2026-10",
            "state": "draft",
            "url": "https://billhook.agency.example/invoices/acme-2026-10",
        }
    }


def test_customers_of_a_service_project_do_not_see_the_note(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    hidden = [{"key": "sd.public.comment", "value": {"internal": True}}]
    jira.report(report)
    assert site.comments[10001]["properties"] == hidden
    site.comments[10001]["properties"] = []
    jira.report(replace(report, state="paid"))
    assert site.comments[10001]["properties"] == hidden


def test_a_quoted_note_is_left_alone(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    quote = with_comment(site, f"What does this mean? {WIKI.text(report)}")
    jira.report(report)
    assert site.comments[quote]["body"].startswith("What does this mean?")
    assert len(site.comments) == 2


def test_a_property_that_names_somebody_elses_comment_is_not_believed(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    quote = with_comment(site, WIKI.text(report))
    site.properties[10014, "billhook"] = {marker(report): {"comment_id": str(quote)}}
    jira.report(replace(report, state="paid"))
    assert "draft" in site.comments[quote]["body"]
    assert "paid" in site.comments[quote + 1]["body"]


@pytest.mark.parametrize("content", [None, [], "text", {"other": 1}, {"comment_id": "../../x"}])
def test_a_property_written_by_somebody_else_does_no_harm(
    jira: JiraConnector, site: JiraStandIn, report: Report, content: object
) -> None:
    jira.report(report)
    name = marker(report)
    for spoiled in (content, {name: content}):
        site.properties[10014, "billhook"] = spoiled
        jira.report(report)
        assert len(site.comments) == 1
        assert site.properties[10014, "billhook"][name]["comment_id"] == "10001"


def test_a_deleted_note_is_written_again(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    jira.report(report)
    del site.comments[10001]
    with_comment(site, "Thanks!")
    with_comment(site, "Done.")
    jira.report(report)
    assert [text for text in (c["body"] for c in site.comments.values()) if "acme" in text]
    assert site.properties[10014, "billhook"][marker(report)]["comment_id"] == "10003"


def test_a_note_behind_hundreds_of_comments_is_found_without_the_property(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    for number in range(250):
        with_comment(site, f"Comment {number}")
    jira.report(report)
    for number in range(150):
        with_comment(site, f"Comment {number}")
    site.properties.clear()
    jira.report(replace(report, state="paid"))
    assert len(site.comments) == 401
    assert "paid" in site.comments[10251]["body"]


def test_clouds_own_way_of_writing_wiki_text_causes_no_change(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    jira.report(report)
    written = site.comments[10001]["body"]
    site.comments[10001]["body"] = written.replace("\n", "\r\n\r\n").replace("-", "\\-") + " "
    sent = len(site.requests)
    jira.report(report)
    assert all(line.startswith("GET ") for line in site.requests[sent:])


def test_the_property_stays_within_jiras_limit(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    old = {f"billhook/old-{number}": {"comment_id": "1", "x": "é" * 90} for number in range(300)}
    site.properties[10014, "billhook"] = old
    jira.report(report)
    kept = site.properties[10014, "billhook"]
    assert len(json.dumps(kept)) <= LONGEST_PROPERTY
    assert marker(report) in kept
    assert "billhook/old-299" in kept
    assert "billhook/old-0" not in kept


def test_versions_and_sprints_are_told_nothing(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    for subject in ("version:10000", "sprint:4"):
        with pytest.raises(UnsupportedError, match=subject):
            jira.report(replace(report, subject=subject, item=None))
    assert site.requests == []


def test_an_unknown_issue_says_which_one_and_what_to_do(
    jira: JiraConnector, report: Report
) -> None:
    with pytest.raises(PermanentError, match=r"ACME-99/comment.* - give the account access"):
        jira.report(replace(report, item="ACME-99"))


def test_an_item_that_is_no_key_is_refused_before_any_request(
    jira: JiraConnector, site: JiraStandIn, report: Report
) -> None:
    with pytest.raises(RejectedError):
        jira.report(replace(report, item="ACME-7/../ACME-8"))
    assert site.requests == []


@pytest.mark.parametrize("mark", list("{}[]*_+^~!|#?\\"))
def test_nothing_in_a_note_is_read_as_markup(report: Report, mark: str) -> None:
    text = WIKI.text(replace(report, invoice=f"{mark}acme{mark}", state=f"{mark}paid", url=None))
    assert f"\\{mark}acme\\{mark}" in text
    assert text.replace(f"\\{mark}", "").count(mark) == 0


def test_a_hyphen_inside_a_reference_is_left_as_it_is(report: Report) -> None:
    assert "acme-2026-10" in WIKI.text(report)
    assert "\\-\\-" in WIKI.text(replace(report, invoice="acme--10"))


def test_a_note_stays_on_its_lines_whatever_the_reference_holds(report: Report) -> None:
    text = WIKI.text(replace(report, invoice="acme\nh1. Big", state="paid\r\n----"))
    assert len(text.splitlines()) == len(WIKI.text(report).splitlines())


# --- the session -------------------------------------------------------------------------------


def test_cloud_gets_basic_and_data_center_bearer_authentication(rig: ContractRig) -> None:
    data_center = {name: value for name, value in rig.settings.items() if name != "user"}
    assert JiraConnector(rig.settings, rig.http()).check() == "Billhook"
    assert JiraConnector(data_center, rig.http()).check() == "Billhook"


def test_a_netrc_file_does_not_replace_the_token(
    rig: ContractRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine agency.example login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert JiraConnector(rig.settings, rig.http()).check() == "Billhook"


def test_an_address_with_a_path_and_a_slash_is_kept(rig: ContractRig) -> None:
    asked: list[str] = []

    class Watching(InProcess):
        def send(self, request: Request) -> Any:
            asked.append(request.url)
            return super().send(replace(request, url=request.url.replace("/jira/", "/")))

    settings = {**rig.settings, "url": "https://agency.example/jira/"}
    JiraConnector(settings, Watching(rig.site)).check()
    assert asked == ["https://agency.example/jira/rest/api/2/myself"]


def test_it_works_over_a_real_connection(rig: ContractRig, served: str, report: Report) -> None:
    http = OutgoingHttp(allow_private=True)
    connector = JiraConnector({**rig.settings, "url": served}, http)
    assert connector.check() == "Billhook"
    rig.order_fault("drop_reply", method="POST")
    with pytest.raises(Exception, match=r"broke|no answer"):
        connector.report(report)
    connector.report(replace(report, state="paid"))
    (text,) = rig.notes()
    assert "paid" in text


# --- the stand-in is honest --------------------------------------------------------------------


def ask(site: JiraStandIn, method: str, path: str, content: object = None, **headers: str) -> int:
    body = None if content is None else json.dumps(content).encode()
    request = Request(method, f"https://agency.example{path}", headers, body)
    return InProcess(site).send(request).status


def test_the_stand_in_refuses_what_is_not_documented(site: JiraStandIn) -> None:
    token = {"Authorization": f"Bearer {stand_in.TOKEN}"}
    comment = "/rest/api/2/issue/ACME-7/comment"
    assert ask(site, "GET", "/rest/api/2/myself") == 401
    assert ask(site, "GET", "/rest/api/2/nothing", **token) == 404
    assert ask(site, "DELETE", "/rest/api/2/myself", **token) == 405
    assert ask(site, "POST", comment, {"body": "x", "text": "y"}, **token) == 400
    assert ask(site, "POST", comment, {"body": " "}, **token) == 400
    assert ask(site, "GET", f"{comment}?limit=3", **token) == 400
    assert ask(site, "PUT", f"{comment}/1", {"body": "x"}, **token) == 404
    assert site.comments == {}


def test_the_stand_in_takes_orders(site: JiraStandIn) -> None:
    issue = {"number": 20, "key": "ACME-9", "summary": "Ship", "fields": {"labels": ["a"]}}
    worklog = {"number": 5, "issue": 20, "seconds": 60, "started": STARTED}
    assert ask(site, "POST", "/_control/issues", issue) == 201
    assert ask(site, "POST", "/_control/worklogs", worklog) == 201
    assert ask(site, "DELETE", "/_control/worklogs/5") == 200
    assert ask(site, "POST", "/_control/faults", {"next": [{"do": "429"}]}) == 201
    assert ask(site, "GET", "/_control/state") == 200
    assert ask(site, "GET", "/rest/api/2/myself") == 429
    assert site.issues[20]["fields"]["labels"] == ["a"]
    assert list(site.deleted) == [5]
