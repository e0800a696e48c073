"""ClickUp's REST API: its token, its pages and how its limits look.

`connector.py` asks and tells through it. https://developer.clickup.com/reference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, retry_after, seconds_until
from ledger.errors import PermanentError

API_URL: Final = "https://api.clickup.com/api/v2"
TASKS_A_PAGE: Final = 100
"""https://developer.clickup.com/reference/getfilteredteamtasks"""
COMMENTS_A_PAGE: Final = 25
"""https://developer.clickup.com/reference/gettaskcomments"""
PEOPLE_AT_ONCE: Final = 100
"""How many people's entries one request asks for, so that its address stays short."""


class ClickUpApi(Rest):
    """One account's view of one Workspace, which the API calls a team."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        token = settings["token"]
        super().__init__(
            http,
            settings.get("api_url") or API_URL,
            # Personal tokens stand there alone, those of OAuth apps after the word.
            {"Authorization": token if token.startswith("pk_") else f"Bearer {token}"},
            tool="clickup",
            advice={
                400: "look at the task in ClickUp, and whether `team:` is the Workspace's number",
                403: "make the token's account an owner or admin: others see only their own time",
            },
        )
        self._team = settings.get("team", "")

    def me(self) -> Mapping[str, Any]:
        """Return the token's own account: its `id` and `username`."""
        with self.reading("the account"):
            user = self.get("/user")["user"]
            return {"id": str(user["id"]), "username": user["username"]}

    def team(self) -> Mapping[str, Any]:
        """Return the Workspace of the settings with its members; raise PermanentError if hidden."""
        number = self._number()
        with self.reading("the Workspaces"):
            for team in self.get("/team")["teams"]:
                if str(team["id"]) == number:
                    return dict(team)
        raise PermanentError(
            f"clickup: the token sees no Workspace {number} - correct `team:` in workspace.yaml or "
            "invite the token's account"
        )

    def people(self) -> list[str]:
        """Return the ids of all members and guests of the Workspace."""
        with self.reading("the members of the Workspace"):
            return [str(int(member["user"]["id"])) for member in self.team()["members"]]

    def tasks(self, *, since: int, page: int) -> tuple[list[Mapping[str, Any]], bool]:
        """Return a page of the tasks changed after a moment (Unix ms), and whether it is the last.

        The newest come first, so that a change in between moves tasks to a later page at most.
        """
        with self.reading("the tasks"):
            answer = self.get(
                f"/team/{self._number()}/task",
                page=page,
                order_by="updated",
                include_closed="true",
                subtasks="true",
                date_updated_gt=since,
            )
            tasks: list[Mapping[str, Any]] = [dict(task) for task in answer["tasks"]]
            return tasks, bool(answer.get("last_page", len(tasks) < TASKS_A_PAGE)) or not tasks

    def time_entries(
        self, people: Sequence[str], *, start: int, end: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the people's time entries that begin between two moments (Unix ms)."""
        for first in range(0, len(people), PEOPLE_AT_ONCE):
            with self.reading("the time entries"):
                answer = self.get(
                    f"/team/{self._number()}/time_entries",
                    start_date=start,
                    end_date=end,
                    assignee=",".join(people[first : first + PEOPLE_AT_ONCE]),
                    include_task_tags="true",
                    include_location_names="true",
                )
                found = [dict(entry) for entry in answer["data"]]
            yield from found

    def time_entry(self, entry: str) -> Mapping[str, Any] | None:
        """Return a time entry; None where the answer is empty."""
        with self.reading(f"time entry {entry}"):
            found = self.get(
                f"/team/{self._number()}/time_entries/{entry}",
                include_task_tags="true",
                include_location_names="true",
            )["data"]
            return dict(found) if found else None

    def comments(self, task: str) -> Iterator[Mapping[str, Any]]:
        """Yield the comments of a task, newest first, over all pages."""
        last: dict[str, object] = {}
        is_last = False
        while not is_last:
            with self.reading(f"the comments of task {task}"):
                page = [dict(one) for one in self.get(f"/task/{task}/comment", **last)["comments"]]
                is_last = len(page) < COMMENTS_A_PAGE
                if not is_last:
                    last = {"start": page[-1]["date"], "start_id": page[-1]["id"]}
            yield from page

    def wait(self, answer: Response) -> int | None:
        """Return the seconds until the limit ends: https://developer.clickup.com/docs/rate-limits"""
        told = retry_after(answer.headers)
        if told is not None:
            return told
        return seconds_until(answer.headers, answer.headers.get("x-ratelimit-reset", ""))

    def _number(self) -> str:
        if not re.fullmatch(r"[0-9]{1,20}", self._team):
            raise PermanentError(
                "clickup: `team:` is not a Workspace's number - take the first number in the "
                "address that ClickUp shows in the browser"
            )
        return self._team
