"""Azure DevOps' REST API: its credentials, versions and how a refused token looks.

https://learn.microsoft.com/rest/api/azure/devops/ - `connector.py` asks and tells through it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, is_json
from ledger.errors import PermanentError

VERSION: Final = "7.0"
UPDATES_A_PAGE: Final = 200
ITEMS_A_REQUEST: Final = 200
"""The most that Microsoft gives for one request."""
COMMENTS_A_PAGE: Final = 200
FIELDS: Final = (
    "System.TeamProject,System.Title,System.Tags,System.ChangedDate,System.WorkItemType,"
    "System.AreaPath,System.IterationPath,Microsoft.VSTS.Common.Activity"
)
_ADVICE: Final = {
    301: "write the organization's address in workspace.yaml: https://dev.azure.com/<organization>",
    400: "look at the work item: it may be deleted, or its project renamed",
    401: "enter a new `token:` for this endpoint in workspace.yaml: they end after a year at most",
    403: "give the token the scope Work Items (read & write)",
    404: "give the token's account access to the project, or look whether it was renamed",
}


class AzureDevOpsApi(Rest):
    """One account's view of an organization."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        credentials = base64.b64encode(f":{settings['token']}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        super().__init__(http, settings["url"], headers, tool="azure_devops", advice=_ADVICE)

    def account(self) -> Mapping[str, Any]:
        """Return who the token belongs to."""
        with self.reading("the account"):
            told = self.get("/_apis/connectionData", **{"api-version": f"{VERSION}-preview.1"})
            user = told["authenticatedUser"]
            return {"id": user["id"], "name": user.get("providerDisplayName") or user["id"]}

    def query(self, wiql: str, most: int) -> tuple[list[int], str]:
        """Return the ids that a query finds, and the server's own time.

        https://learn.microsoft.com/rest/api/azure/devops/wit/wiql/query-by-wiql
        """
        # Without timePrecision only the date of a moment would count.
        words = {"timePrecision": "true", "$top": most, "api-version": VERSION}
        told = self.ask("/_apis/wit/wiql", {"query": wiql}, **words)
        with self.reading("the query for changes"):
            return [int(each["id"]) for each in told["workItems"]], str(told["asOf"])

    def updates(self, item: int) -> Iterator[Mapping[str, Any]]:
        """Yield all updates of a work item, oldest first.

        https://learn.microsoft.com/rest/api/azure/devops/wit/updates/list
        """
        skip, is_last = 0, False
        while not is_last:
            words = {"$top": UPDATES_A_PAGE, "$skip": skip, "api-version": VERSION}
            told = self.get(f"/_apis/wit/workItems/{item}/updates", **words)
            with self.reading(f"the updates of #{item}"):
                page = list(told["value"])
                yield from page
            skip, is_last = skip + len(page), len(page) < UPDATES_A_PAGE

    def update(self, item: int, number: int) -> Mapping[str, Any]:
        """Return one update of a work item."""
        path = f"/_apis/wit/workItems/{item}/updates/{number}"
        told: Mapping[str, Any] = self.get(path, **{"api-version": VERSION})
        return told

    def revision(self, item: int, rev: int) -> Mapping[str, Any]:
        """Return a work item as it was at a revision."""
        path = f"/_apis/wit/workItems/{item}/revisions/{rev}"
        told: Mapping[str, Any] = self.get(path, **{"api-version": VERSION})
        return told

    def work_items(self, items: list[int]) -> list[Mapping[str, Any]]:
        """Return work items as they stand; one that is not there is left out."""
        words = {
            "ids": ",".join(map(str, items)),
            "fields": FIELDS,
            "errorPolicy": "omit",
            "api-version": VERSION,
        }
        told = self.get("/_apis/wit/workItems", **words)
        with self.reading("work items"):
            return [each for each in told["value"] if each is not None]

    def comments(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield all comments at a path, oldest first.

        https://learn.microsoft.com/rest/api/azure/devops/wit/comments/get-comments
        """
        token: str | None = None
        is_first = True
        while is_first or token:
            words = {"$top": COMMENTS_A_PAGE, "order": "asc", "continuationToken": token}
            told = self.get(path, **words, **{"api-version": f"{VERSION}-preview.3"})
            with self.reading("the comments of a work item"):
                yield from told["comments"]
                token, is_first = told.get("continuationToken"), False

    def _judge(self, answer: Response, where: str, *, is_read: bool) -> None:
        # Azure DevOps answers a token that it does not know with a page to sign in.
        if answer.status == 203 and not is_json(answer):
            raise PermanentError(f"{where}: the token was refused (HTTP 203) - {_ADVICE[401]}")
        super()._judge(answer, where, is_read=is_read)
