"""What the shared contract tests of project connectors need of GitHub's stand-in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from connectors.connector import Report
from connectors.contract import Named, ProjectRig, Webhook, report_on

from ..connector import GitHubConnector
from .server import ME, TOKEN, GitHubStandIn, shown


class ContractRig(ProjectRig[GitHubStandIn]):
    """What the shared contract test of project connectors needs of this one."""

    connector: ClassVar[type[GitHubConnector]] = GitHubConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "endpoint": "github-agency",
        "repositories": "acme/site",
        "hooks": "acme/site:12345",
    }
    unknown: ClassVar[str] = "issue:99999"

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            _report("issue:2000012", {"number": 12}, item="#12"),
            _report("milestone:1000003", {"number": 3}),
            _report("deployment:51", {"sha": sha_of("deployed"), "environment": "production"}),
            _report("release:61", {"tag": "v2.0", "prerelease": False}),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [comment["body"] for comment in self.site.comments.values()] + [
            status["description"]
            for sent in self.site.statuses.values()
            for status in {each["context"]: each for each in sent}.values()
        ]

    def happen(self) -> list[Named]:
        """Close more issues than a page holds, and miss webhooks about a deployment."""
        site = self.site
        for number in range(100, 135):
            site.change(site.issues["acme/site", number], "closed", "completed")
        told = [("work.completed", f"issue:{2_000_000 + number}") for number in range(101, 135)]
        site.change(site.issues["acme/site", 100], "closed", "not_planned")
        site.change(site.milestones["acme/site", 3], "open")
        site.releases["acme/site"] = [
            {"id": 61, "tag_name": "v2.0", "name": "", "draft": False, "published_at": site.tick()},
            {"id": 62, "tag_name": "v2.1", "name": "", "draft": True, "published_at": None},
        ]
        for number, status in enumerate((502, 200, 0, 503)):
            site.deliver(f"guid-{number}", "deployment_status", _deployment(50 + number), status)
        site.deliver("guid-4", "push", {"ref": "refs/heads/main", "commits": []}, 502)
        # It arrived when it was sent again.
        site.deliver("guid-3", "deployment_status", _deployment(53), 200)
        return [
            *told,
            ("work.reopened", "issue:2000100"),
            ("milestone.reopened", "milestone:1000003"),
            ("release.published", "release:61"),
            ("deployment.succeeded", "deployment:50"),
            ("deployment.succeeded", "deployment:52"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that GitHub sends about our notes."""
        told = {"repository": {"full_name": "acme/site"}, "sender": ME}
        comments = [
            ({"x-github-event": "issue_comment"}, {"action": "created", "comment": each, **told})
            for each in map(shown, self.site.comments.values())
        ]
        statuses = [
            ({"x-github-event": "status"}, {"sha": sha, **status, **told})
            for (_, sha), sent in self.site.statuses.items()
            for status in sent
        ]
        return [*comments, *statuses]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a GitHub with one repository: a milestone of two issues, a release, a deployment."""
    site = GitHubStandIn()
    site.add_repository("acme/site")
    site.add_milestone("acme/site", 3, "Phase 1", "closed")
    site.add_issue("acme/site", 10, "Draw the plan", milestone=3, is_pull_request=True)
    site.add_issue("acme/site", 11, "Build the checkout", milestone=3)
    site.add_issue("acme/site", 12, "Accept vouchers", milestone=3)
    site.add_commit("acme/site", sha_of("deployed"))
    site.add_commit("acme/site", sha_of("released"), tag="v2.0")
    for number in range(100, 135):
        site.add_issue("acme/site", number, f"Task {number}")
    return ContractRig(site)


def _deployment(number: int) -> dict[str, Any]:
    return {
        "action": "created",
        "deployment_status": {
            "state": "success",
            "environment": "production",
            "created_at": "2026-11-02T09:30:00Z",
        },
        "deployment": {"id": number, "environment": "production", "sha": sha_of("deployed")},
        "repository": {"full_name": "acme/site"},
    }


def sha_of(word: str) -> str:
    """Return an invented commit id."""
    return hashlib.sha256(word.encode()).hexdigest()[:40]


def _report(subject: str, fields: dict[str, object], *, item: str | None = None) -> Report:
    return report_on(subject, item, "acme/site", fields)
