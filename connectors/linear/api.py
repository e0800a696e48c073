"""Linear's GraphQL API: its documents, credentials and how its limits look.

https://linear.app/developers/graphql - `connector.py` asks and tells through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, content, is_json, retry_after, seconds_until

API_URL: Final = "https://api.linear.app/graphql"
PAGE: Final = 50
"""Things of one request: with the labels of each, about a third of what one query may cost."""

VIEWER: Final = "query Viewer { viewer { id name } organization { name } }"

FIELDS: Final = {
    "issue": "id identifier number title updatedAt completedAt archivedAt trashed estimate"
    " priorityLabel state { name type } team { key } assignee { id name } project { name }"
    " projectMilestone { name } labels(first: 50) { nodes { name } }",
    "project": "id name updatedAt completedAt archivedAt trashed targetDate status { name type }",
    "cycle": "id name number updatedAt completedAt archivedAt team { key }",
    "team": "id key",
}
"""What is asked for of each kind of thing, as its webhook tells it."""

ATTACHMENTS: Final = """
query Attachments($id: ID!, $after: String) {
  viewer { id }
  issues(first: 1, includeArchived: true, filter: {id: {eq: $id}}) {
    nodes {
      url
      attachments(first: 50, after: $after) {
        nodes { id title subtitle metadata creator { id } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
CREATE: Final = """
mutation Create($input: AttachmentCreateInput!) {
  attachmentCreate(input: $input) { success attachment { id } }
}
"""
UPDATE: Final = """
mutation Update($id: String!, $input: AttachmentUpdateInput!) {
  attachmentUpdate(id: $id, input: $input) { success attachment { id } }
}
"""
_ADVICE: Final = {
    301: "leave `api_url:` out of workspace.yaml, or write the address of a GraphQL API",
    400: "look at the issue in Linear: it may be deleted, or hidden from the token's account",
    401: "enter a new `token:` for this endpoint in workspace.yaml",
    403: "give the token's account access to the team, and the key the right to write",
}


class LinearApi(Rest):
    """One account's view of a workspace."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        token = settings["token"]
        # A personal key stands alone, the token of an OAuth application is a bearer's.
        authorization = token if token.startswith("lin_api_") else f"Bearer {token}"
        super().__init__(
            http,
            settings.get("api_url") or API_URL,
            {"Authorization": authorization},
            tool="linear",
            advice=_ADVICE,
        )

    def page(self, kind: str, since: str, after: str | None) -> tuple[list[Any], str | None]:
        """Return things of a kind that changed since a moment, and where the next page begins.

        https://linear.app/developers/pagination and https://linear.app/developers/filtering
        """
        document = (
            "query Changed($since: DateTimeOrDuration!, $after: String) { things: "
            f"{kind}s(first: {PAGE}, after: $after, includeArchived: true, orderBy: updatedAt,"
            " filter: {updatedAt: {gte: $since}})"
            f" {{ nodes {{ {FIELDS[kind]} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
        told = self.graphql(document, {"since": since, "after": after})
        with self.reading(f"the {kind}s that changed"):
            info = told["things"]["pageInfo"]
            following = str(info["endCursor"]) if info["hasNextPage"] else None
            return list(told["things"]["nodes"]), following

    def by_id(self, kind: str, number: str) -> Mapping[str, Any] | None:
        """Return one thing, None if there is none like it."""
        document = (
            "query Thing($id: ID!) { things: "
            f"{kind}s(first: 1, includeArchived: true, filter: {{id: {{eq: $id}}}})"
            f" {{ nodes {{ {FIELDS[kind]} }} }} }}"
        )
        told = self.graphql(document, {"id": number})
        with self.reading(f"{kind} {number}"):
            nodes: list[Mapping[str, Any]] = told["things"]["nodes"]
            return nodes[0] if nodes else None

    def is_limit(self, answer: Response) -> bool:
        """Return whether a refusal means "too many requests", which Linear says by HTTP 400 too.

        https://linear.app/developers/rate-limiting
        """
        return answer.status == 429 or (answer.status == 400 and b"RATELIMITED" in answer.body)

    def wait(self, answer: Response) -> int | None:
        """Return the seconds to wait: as told, or until the limit that was reached is filled."""
        told = retry_after(answer.headers)
        for limit in ("requests", "complexity") if told is None else ():
            if answer.headers.get(f"x-ratelimit-{limit}-remaining") == "0":
                # The moment is told in milliseconds.
                reset = answer.headers.get(f"x-ratelimit-{limit}-reset", "")
                return seconds_until(answer.headers, reset[:-3])
        return told

    def _judge(self, answer: Response, where: str, *, is_read: bool) -> None:
        # A GraphQL error may come with HTTP 400; its code says more than the status.
        if answer.status == 400 and not self.is_limit(answer) and is_json(answer):
            error = self.refusal(content(answer), where, is_read=is_read)
            if error is not None:
                raise error
        super()._judge(answer, where, is_read=is_read)
