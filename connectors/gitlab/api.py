"""GitLab's REST and GraphQL APIs: addresses, credentials, pages. `connector.py` asks through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from connectors.http import Http
from connectors.rest import Rest, content

URL: Final = "https://gitlab.com"
PAGE: Final = 100
"""The most that GitLab gives for one request. https://docs.gitlab.com/api/rest/#pagination"""

_TIME: Final = """
query($path: ID!, $iid: String!, $after: String) {
  project(fullPath: $path) {
    issue(iid: $iid) {
      totalTimeSpent
      timelogs(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id spentAt timeSpent user { username name } }
      }
    }
  }
}
"""


class GitLabApi(Rest):
    """One account's view of GitLab."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(
            http,
            settings.get("url") or URL,
            {"PRIVATE-TOKEN": settings["token"]},
            tool="gitlab",
            advice={
                301: "the project was renamed, or `url:` in workspace.yaml is not GitLab's address",
                403: "give its account the role Reporter or more in this project, Maintainer for "
                "`hooks:`, and the token the scope `api`",
                404: "give the token's account access to this project, or take it out of "
                "workspace.yaml",
            },
        )

    def page(
        self, path: str, per_page: int = PAGE, page: int = 1, **query: str
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return one page of a list below `/api/v4`, and whether it is the last one."""
        words = {**query, "per_page": per_page, "page": page}
        answer = self.send("GET", f"/api/v4{path}", words)
        with self.reading(path):
            told = [dict(each) for each in content(answer)]
        # The address of the next page is not used: addresses come from settings only.
        return told, 'rel="next"' not in answer.headers.get("link", "")

    def pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list over all its pages."""
        page, is_last = 1, False
        while not is_last:
            told, is_last = self.page(path, PAGE, page, **query)
            yield from told
            page += 1

    def time_of(self, project: str, number: int) -> tuple[int, Mapping[str, Any]] | None:
        """Return an issue's total in seconds and its newest time log; None if it has none.

        https://docs.gitlab.com/api/graphql/reference/#timelog - the order of the logs is nowhere
        promised, so the newest is the one with the greatest id.
        """
        logs: list[Mapping[str, Any]] = []
        after, total, is_last = None, 0, False
        while not is_last:
            variables = {"path": project, "iid": str(number), "after": after}
            told = self.graphql(_TIME, variables, path="/api/graphql")
            with self.reading(f"the time of {project}#{number}"):
                issue = told["project"]["issue"]
                if issue is None:
                    return None
                logs += issue["timelogs"]["nodes"]
                total = int(issue["totalTimeSpent"])
                after = issue["timelogs"]["pageInfo"]["endCursor"]
                is_last = not issue["timelogs"]["pageInfo"]["hasNextPage"]
        with self.reading(f"the time of {project}#{number}"):
            newest = max(logs, key=lambda log: int(log["id"].rpartition("/")[2]), default=None)
        return None if newest is None else (total, newest)


def at(project: str) -> str:
    """Return a project's path in the API: `/projects/acme%2Fweb%2Fportal`."""
    return f"/projects/{quote(project, safe='')}"
