"""GitHub: where a note stands, how it is kept in place, and what a refusal means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.connector import Report
from connectors.github import stand_in
from connectors.github.connector import GitHubConnector
from connectors.github.stand_in import ContractRig, GitHubStandIn, contract_setup, sha_of
from connectors.http import OutgoingHttp, Request, Response
from connectors.note import MARKDOWN
from connectors.stand_in import InProcess, serve
from ledger.errors import PermanentError, RejectedError, TransientError, UnsupportedError
from ledger.events import Found

SOMEBODY = {"login": "customer", "id": 7, "type": "User"}
STATUS = {"date": "Sat, 31 Oct 2026 12:00:00 GMT"}
NOON = 1793448000


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> GitHubStandIn:
    return rig.site


@pytest.fixture
def github(rig: ContractRig) -> GitHubConnector:
    return GitHubConnector(rig.settings, rig.http())


@pytest.fixture
def reports(rig: ContractRig) -> dict[str, Report]:
    return {report.subject.partition(":")[0]: report for report in rig.reports()}


@pytest.fixture
def served(site: GitHubStandIn) -> Iterator[str]:
    with serve(site) as url:
        yield url


def with_comment(site: GitHubStandIn, issue: int, text: str) -> int:
    """Add a comment of somebody else; return its id."""
    number = 3_000_001 + len(site.comments)
    site.comments[number] = {
        "id": number,
        "place": ("acme/site", issue),
        "user": SOMEBODY,
        "body": text,
        "html_url": "https://github.example/x",
    }
    return number


def issues_with_a_note(site: GitHubStandIn) -> list[int]:
    return [c["place"][1] for c in site.comments.values() if c["user"] != SOMEBODY]


# --- milestones --------------------------------------------------------------------------------


def test_a_milestone_is_told_on_its_oldest_issue(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    github.report(reports["milestone"])
    assert issues_with_a_note(site) == [11], "10 is a pull request"


def test_a_note_stays_when_an_older_issue_joins_the_milestone(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    github.report(reports["milestone"])
    site.add_issue("acme/site", 2, "Forgotten", milestone=3)
    github.report(replace(reports["milestone"], state="paid"))
    assert issues_with_a_note(site) == [11]
    assert "**paid**" in next(iter(site.comments.values()))["body"]


def test_a_milestone_without_issues_has_no_place_for_a_note(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    site.add_milestone("acme/site", 4, "Empty")
    site.add_issue("acme/site", 20, "Only a pull request", milestone=4, is_pull_request=True)
    with pytest.raises(UnsupportedError, match="milestone 4 of acme/site"):
        github.report(replace(reports["milestone"], fields={"number": 4}))


def test_a_milestone_of_many_issues_is_read_page_by_page(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    site.add_milestone("acme/site", 5, "Large")
    for number in range(100, 250):
        site.add_issue("acme/site", number, "x", milestone=5, is_pull_request=number < 230)
    github.report(replace(reports["milestone"], fields={"number": 5}))
    assert issues_with_a_note(site) == [230]


# --- issues ------------------------------------------------------------------------------------


def test_a_copied_note_is_left_alone(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    copy = with_comment(site, 12, MARKDOWN.text(reports["issue"]))
    github.report(replace(reports["issue"], state="paid"))
    assert "draft" in site.comments[copy]["body"]
    assert issues_with_a_note(site) == [12]


def test_a_note_behind_hundreds_of_comments_is_found(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    for number in range(150):
        with_comment(site, 12, f"Comment {number}")
    github.report(reports["issue"])
    for number in range(150):
        with_comment(site, 12, f"Comment {number}")
    github.report(replace(reports["issue"], state="paid"))
    assert issues_with_a_note(site) == [12]


def test_a_comment_without_text_or_author_is_passed_over(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    """GitHub shows comments of deleted accounts with no user."""
    ghost = with_comment(site, 12, MARKDOWN.text(reports["issue"]))
    site.comments[ghost]["user"] = None
    site.comments[with_comment(site, 12, "")]["body"] = None
    github.report(reports["issue"])
    assert len(site.comments) == 3


def test_the_issues_number_may_stand_in_the_item_alone(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    github.report(replace(reports["issue"], fields={}, item="#12"))
    assert issues_with_a_note(site) == [12]


def test_an_issue_without_a_number_is_refused(
    github: GitHubConnector, reports: dict[str, Report]
) -> None:
    with pytest.raises(RejectedError, match="number"):
        github.report(replace(reports["issue"], fields={}, item=None))


def test_a_subject_of_another_kind_is_unsupported(
    github: GitHubConnector, reports: dict[str, Report]
) -> None:
    with pytest.raises(UnsupportedError):
        github.report(replace(reports["issue"], subject="discussion:1"))


@pytest.mark.parametrize("hostile", ["@everyone", "#1", "`code`", "<b>", "--> out", "a\n\n# big"])
def test_a_reference_calls_nobody_and_changes_no_layout(
    reports: dict[str, Report], hostile: str
) -> None:
    line, _, footer, hidden = MARKDOWN.text(
        replace(reports["issue"], invoice=hostile, marker=hostile)
    ).split("\n\n")
    assert hidden.count("-->") == 1
    assert line.startswith("Invoice `")
    assert line.endswith("`: **draft**")
    assert line.count("`") == 2
    assert footer.startswith("Kept up to date")


# --- commits -----------------------------------------------------------------------------------


def test_a_commit_never_turns_yellow_or_red_for_an_unpaid_invoice(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    for state in ("draft", "open", "partially paid", "disputed", "void", "paid"):
        github.report(replace(reports["deployment"], state=state))
    sent = site.statuses["acme/site", sha_of("deployed")]
    assert {status["state"] for status in sent} == {"success"}
    assert [status["description"] for status in sent][-1] == "Invoice acme-2026-10: paid"
    assert {status["context"] for status in sent} == {"billhook/acme-2026-10"}


def test_a_release_is_told_on_the_commit_of_its_tag(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    github.report(reports["release"])
    assert len(site.statuses["acme/site", sha_of("released")]) == 1


def test_a_status_is_found_among_many(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report]
) -> None:
    sent = site.statuses["acme/site", sha_of("deployed")]
    github.report(reports["deployment"])
    sent[:0] = [{**sent[0], "context": f"ci/{number}"} for number in range(230)]
    sent[230]["context"] = "Billhook/ACME-2026-10"
    before = len(sent)
    github.report(reports["deployment"])
    assert len(sent) == before


@pytest.mark.parametrize("sha", [None, "", "main", "../../user", "ABC", 7, "0" * 39])
def test_a_deployment_without_a_commit_is_refused(
    github: GitHubConnector, site: GitHubStandIn, reports: dict[str, Report], sha: object
) -> None:
    with pytest.raises(RejectedError, match="commit"):
        github.report(replace(reports["deployment"], fields={"sha": sha}))
    assert site.requests == []


def test_a_tag_cannot_lead_to_another_path(rig: ContractRig, reports: dict[str, Report]) -> None:
    asked: list[str] = []

    class Watching:
        def send(self, request: Request) -> Response:
            asked.append(request.url)
            return Response(404, {}, b"{}")

    with pytest.raises(PermanentError):
        GitHubConnector(rig.settings, Watching()).report(
            replace(reports["release"], fields={"tag": "../../../user"})
        )
    prefix = "https://api.github.com/repos/acme/site/commits/"
    assert asked == [f"{prefix}tags%2F..%2F..%2F..%2Fuser"]


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        (429, {}, b"{}", 60),
        (429, {"retry-after": "30"}, b"{}", 30),
        (403, {"retry-after": "30"}, b"{}", 30),
        (403, {"retry-after": "soon"}, b"{}", 60),
        (403, {"x-ratelimit-remaining": "0"}, b"{}", 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOON + 90)}, b"{}", 90),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOON - 90)}, b"{}", 1),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit"}', 60),
    ],
)
def test_both_rate_limits_say_when_to_come_back(
    rig: ContractRig, status: int, headers: dict[str, str], body: bytes, wait: int
) -> None:
    class Limited:
        def send(self, request: Request) -> Response:
            return Response(status, {**STATUS, **headers}, body)

    with pytest.raises(TransientError) as caught:
        GitHubConnector(rig.settings, Limited()).check()
    assert caught.value.retry_after == wait


def test_a_403_that_is_no_limit_names_the_permissions(rig: ContractRig) -> None:
    class Forbidding:
        def send(self, request: Request) -> Response:
            return Response(403, {"x-ratelimit-remaining": "4999"}, b'{"message": "no"}')

    with pytest.raises(PermanentError, match="Issues and Commit statuses"):
        GitHubConnector(rig.settings, Forbidding()).check()


def test_a_repository_out_of_sight_is_named(
    github: GitHubConnector, reports: dict[str, Report]
) -> None:
    with pytest.raises(PermanentError, match=r"/repos/acme/other.* - give the token access"):
        github.report(replace(reports["issue"], project="acme/other"))


def test_a_renamed_repository_is_not_followed(rig: ContractRig, reports: dict[str, Report]) -> None:
    rig.order_fault("301")
    with pytest.raises(PermanentError, match="renamed"):
        GitHubConnector(rig.settings, rig.http()).report(reports["issue"])
    assert len(rig.site.requests) == 1


# --- the wire ----------------------------------------------------------------------------------


def test_an_own_server_is_reached_under_its_own_address(rig: ContractRig) -> None:
    asked: list[Request] = []

    class Watching(InProcess):
        def send(self, request: Request) -> Response:
            asked.append(request)
            return super().send(replace(request, url=request.url.replace("/api/v3", "")))

    settings = {**rig.settings, "api_url": "https://git.agency.example/api/v3/"}
    GitHubConnector(settings, Watching(rig.site)).check()
    assert asked[0].url == "https://git.agency.example/api/v3/user"
    assert asked[0].headers["X-GitHub-Api-Version"] == "2022-11-28"


def test_it_works_over_a_real_connection(
    rig: ContractRig, served: str, reports: dict[str, Report]
) -> None:
    connector = GitHubConnector(
        {**rig.settings, "api_url": served}, OutgoingHttp(allow_private=True)
    )
    assert connector.check() == "agency-billing"
    rig.order_fault("drop_reply", method="POST")
    with pytest.raises(Exception, match=r"broke|no answer"):
        connector.report(reports["issue"])
    connector.report(replace(reports["issue"], state="paid"))
    (text,) = rig.notes()
    assert "paid" in text


# --- the stand-in is honest --------------------------------------------------------------------


def ask(site: GitHubStandIn, method: str, path: str, content: object = None, **more: str) -> int:
    headers = {
        "User-Agent": "test",
        "Authorization": f"Bearer {stand_in.TOKEN}",
        "X-GitHub-Api-Version": "2022-11-28",
        **more,
    }
    body = None if content is None else json.dumps(content).encode()
    return InProcess(site).send(Request(method, f"https://x.example{path}", headers, body)).status


def test_the_stand_in_refuses_what_is_not_documented(site: GitHubStandIn) -> None:
    comments = "/repos/acme/site/issues/12/comments"
    status = f"/repos/acme/site/statuses/{sha_of('deployed')}"
    assert ask(site, "GET", "/user", Authorization="Bearer other") == 401
    assert ask(site, "GET", "/user", **{"User-Agent": ""}) == 403
    assert ask(site, "GET", "/users/me") == 404
    assert ask(site, "GET", "/repos/acme/other/issues?state=all") == 404
    assert ask(site, "POST", comments, {"body": "x", "title": "y"}) == 400
    assert ask(site, "POST", comments, {"body": ""}) == 422
    assert ask(site, "GET", f"{comments}?limit=3") == 400
    assert ask(site, "POST", status, {"state": "green"}) == 422
    assert ask(site, "POST", status, {"state": "success", "description": "x" * 141}) == 422
    assert ask(site, "PATCH", "/repos/acme/site/issues/comments/1", {"body": "x"}) == 404
    assert site.comments == {}


def test_the_stand_in_takes_orders(site: GitHubStandIn) -> None:
    place = {"repository": "acme/shop"}
    assert ask(site, "POST", "/_control/repositories", {"full_name": "acme/shop"}) == 201
    milestone = {**place, "number": 1, "title": "Phase 1"}
    assert ask(site, "POST", "/_control/milestones", milestone) == 201
    issue = {**place, "number": 2, "title": "Build", "milestone": 1}
    assert ask(site, "POST", "/_control/issues", issue) == 201
    assert ask(site, "POST", "/_control/commits", {**place, "sha": sha_of("x")}) == 201
    assert ask(site, "POST", "/_control/faults", {"next": [{"do": "500"}]}) == 201
    assert ask(site, "GET", "/_control/state") == 200
    assert ask(site, "GET", "/user") == 500
    assert ask(site, "GET", "/repos/acme/shop/milestones/1") == 200


# --- polling -----------------------------------------------------------------------------------


NINE = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def polled(rig: ContractRig, cursor: str, **settings: str) -> tuple[list[Found], int]:
    """Return what a round finds and how many requests it took."""
    github = GitHubConnector({**rig.settings, **settings}, rig.http())
    before, is_all = len(rig.site.requests), False
    found: list[Found] = []
    while not is_all:
        changes = github.changes_since(cursor, NINE + timedelta(hours=1))
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    return found, len(rig.site.requests) - before


def began(rig: ContractRig) -> str:
    return GitHubConnector(rig.settings, rig.http()).changes_since(None, NINE).cursor


def test_many_failed_deliveries_are_fetched_once_each_and_the_oldest_first(
    rig: ContractRig, site: GitHubStandIn
) -> None:
    cursor = began(rig)
    for number in range(50):
        site.deliver(f"guid-{number}", "issues", {"action": "closed", "n": number}, 502)
    found, _ = polled(rig, cursor, repositories="")
    told = [each.headers["x-github-delivery"] for each in found]
    assert list(dict.fromkeys(told)) == [f"guid-{number}" for number in range(50)]
    assert len(told) < 55, "the seconds at which a call ends are fetched again, nothing else"
    assert [each.body["n"] for each in found[:3]] == [0, 1, 2]


def test_a_delivery_that_failed_again_when_it_was_sent_again_is_fetched(
    rig: ContractRig, site: GitHubStandIn
) -> None:
    cursor = began(rig)
    for guid, status in (("a", 502), ("b", 502), ("b", 200), ("a", 503), ("c", 200)):
        site.deliver(guid, "issues", {"action": "closed"}, status)
    found, _ = polled(rig, cursor, repositories="")
    assert [each.headers["x-github-delivery"] for each in found] == ["a"]


def test_what_was_delivered_long_before_is_not_read_again(
    rig: ContractRig, site: GitHubStandIn
) -> None:
    for number in range(60):
        site.deliver(f"guid-{number}", "issues", {"action": "closed"}, 502)
    site.clock = NINE + timedelta(hours=3)
    site.deliver("new", "issues", {"action": "closed"}, 502)
    cursor = GitHubConnector(rig.settings, rig.http()).changes_since(
        None, NINE + timedelta(hours=3)
    )
    found, requests = polled(rig, cursor.cursor, repositories="")
    assert [each.headers["x-github-delivery"] for each in found] == ["new"]
    assert requests == 2, "one page of deliveries and the one that failed"


def test_without_repositories_and_hooks_nothing_is_asked(rig: ContractRig) -> None:
    cursor = began(rig)
    assert polled(rig, cursor, repositories="", hooks="") == ([], 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("repositories", odd) for odd in ("acme", "acme/..", "acme/site/x", "acme/site?x")),
        *(("hooks", odd) for odd in ("acme/site", "..:1", "acme/site:x", "acme/site:1/2")),
    ],
)
def test_an_odd_setting_is_named_before_anything_is_asked(
    rig: ContractRig, name: str, value: str
) -> None:
    with pytest.raises(PermanentError, match=f"`{name}:`"):
        polled(rig, began(rig), **{name: value})
    assert rig.site.requests == []


def test_an_organizations_webhook_is_read_at_the_organization(rig: ContractRig) -> None:
    with pytest.raises(PermanentError):
        polled(rig, began(rig), repositories="", hooks="acme:678")
    assert rig.site.requests == ["GET /orgs/acme/hooks/678/deliveries"]


def test_what_was_closed_before_polling_began_is_not_told(
    rig: ContractRig, site: GitHubStandIn
) -> None:
    """A remark on an old issue must not bill it."""
    site.issues["acme/site", 12]["updated_at"] = site.tick()
    site.milestones["acme/site", 3]["updated_at"] = site.tick()
    assert polled(rig, began(rig), hooks="")[0] == []
