"""GitHub's REST API: its version, its pages and how its limits look.

`connector.py` asks and tells through it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, content, retry_after, seconds_until

API_URL: Final = "https://api.github.com"
API_VERSION: Final = "2022-11-28"
PAGE: Final = 100
"""The most that GitHub gives for one request."""
_NEXT: Final = re.compile(r'[?&](?:page|cursor)=([A-Za-z0-9_.=-]{1,255})(?:&[^>]*)?>; rel="next"')
"""https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api"""


class GitHubApi(Rest):
    """One account's view of GitHub."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(
            http,
            settings.get("api_url") or API_URL,
            {
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {settings['token']}",
                "X-GitHub-Api-Version": API_VERSION,
            },
            tool="github",
            advice={
                301: "the repository was renamed, or `api_url:` in workspace.yaml is not an API's "
                "address",
                400: "look at the issue on GitHub: it may be locked or deleted, or issues are "
                "switched off",
                403: "give it read and write access to Issues and Commit statuses of this "
                "repository",
                404: "give the token access to this repository",
            },
        )

    def pages(self, path: str, *, of: str | None = None, **query: object) -> Iterator[Any]:
        """Return the entries of a list over all its pages; `of` names the list in the answer."""
        page, is_last = 1, False
        while not is_last:
            answer = self.send("GET", path, {**query, "per_page": PAGE, "page": page})
            with self.reading(path):
                told = content(answer)
                yield from told[of] if of else told
            # The address of the next page is not used: addresses come from settings only.
            page, is_last = page + 1, 'rel="next"' not in answer.headers.get("link", "")

    def page(self, path: str, **query: object) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page of a list and the cursor or number of the next, None if there is none.

        Only that word is taken from the next page's address: addresses come from settings only.
        """
        answer = self.send("GET", path, {"per_page": PAGE, **query})
        with self.reading(path):
            told = [dict(each) for each in content(answer)]
        following = _NEXT.search(answer.headers.get("link", ""))
        return told, following and following[1]

    def is_limit(self, answer: Response) -> bool:
        """Return whether a 403 means "later": GitHub uses it for both of its limits.

        https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
        """
        if answer.status != 403:
            return answer.status == 429
        if "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0":
            return True
        return b"secondary rate limit" in answer.body.lower()

    def wait(self, answer: Response) -> int | None:
        """Return the seconds to wait: as told, or until the limit's reset."""
        told = retry_after(answer.headers)
        if told is not None or answer.headers.get("x-ratelimit-remaining") != "0":
            return told
        return seconds_until(answer.headers, answer.headers.get("x-ratelimit-reset", ""))
