"""`flask sources`: reads a recorded body without database or secret, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from console.commands.sources import sources
from webhooks.registry import sources as every_source

WORKLOG: dict[str, Any] = {
    "timestamp": 1772469000123,
    "webhookEvent": "worklog_created",
    "worklog": {
        "id": "100028",
        "issueId": "10014",
        "started": "2026-03-02T14:00:00.000+0100",
        "timeSpentSeconds": 12000,
        "author": {"accountId": "5b10a", "displayName": "Mia Krystof"},
    },
}


def run(*arguments: str, body: object = None) -> Result:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return CliRunner().invoke(sources, arguments, input=text)


def test_reading_prints_the_events_as_json() -> None:
    result = run("read", "jira", "-", "--json", body=WORKLOG)
    assert result.exit_code == 0
    (event,) = json.loads(result.stdout)
    assert event == {
        "kind": "time.logged",
        "source": "jira",
        "endpoint": "jira",
        "subject": "worklog:100028",
        "occurred_at": "2026-03-02T13:00:00Z",
        "on": "2026-03-02",
        "project": None,
        "item": None,
        "title": None,
        "person": "5b10a",
        "person_name": "Mia Krystof",
        "seconds": 12000,
        "billable": None,
        "labels": [],
        "fields": {"issue_id": "10014"},
    }
    assert result.stderr == ""


def test_a_file_is_read_and_the_endpoint_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text(json.dumps(WORKLOG))
    result = run("read", "jira", str(file), "--endpoint", "jira-acme", "--json")
    assert json.loads(result.stdout)[0]["endpoint"] == "jira-acme"


def test_headers_are_read_whatever_their_case() -> None:
    body = {"action": "created", "comment": {}}
    result = run("read", "github", "-", "--header", "X-GitHub-EVENT: issue_comment", body=body)
    assert result.exit_code == 0
    assert "a comment" in result.stderr


def test_what_is_ignored_is_an_empty_list_and_a_reason() -> None:
    result = run("read", "jira", "-", "--json", body={"webhookEvent": "comment_created"})
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert result.stderr == "jira: ignored: a comment is no work that is billed\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            {
                "timestamp": 1,
                "webhookEvent": "jira:issue_updated",
                "issue": {"id": "1", "key": "A-1"},
                "changelog": {"items": [{"fieldtype": "jira"}]},
            },
            "jira: changelog.items[0].field: is missing",
        ),
        ({"webhookEvent": "worklog_created", "timestamp": 1}, "jira: worklog: is missing"),
        ("{", "jira: body: is not JSON"),
        ("", "jira: body: is not JSON"),
        (b"\xff\xfe", "jira: body: is not UTF-8"),
        ("[" * 100_000, "jira: body: is nested deeper"),
        ('{"webhookEvent": 1e1000000}', "jira: body: has a number"),
        ({"webhookEvent": "jira:issue_unknown"}, 'jira: events of type "jira:issue_unknown"'),
        ({"webhookEvent": "x\n\u001b[31m"}, 'jira: events of type "x\\n\\u001b[31m"'),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_mangled_body_is_one_line_and_exit_code_1(
    body: object, line: str, options: tuple[str, ...]
) -> None:
    result = run("read", "jira", "-", *options, body=body)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_the_table_shows_events_and_facts_without_what_a_terminal_would_obey() -> None:
    body = {
        "timestamp": 1772663400000,
        "webhookEvent": "jira:issue_created",
        "issue": {
            "id": "1",
            "key": "ACME-1",
            "fields": {
                "summary": "a\u001b[2Jb\nc",
                "status": {"statusCategory": {"key": "done"}},
            },
        },
    }
    result = run("read", "jira", "-", body=body)
    head, row, fact = result.stdout.splitlines()
    assert head.split()[:3] == ["kind", "subject", "on"]
    assert row.split()[:3] == ["work.completed", "issue:1", "2026-03-04"]
    assert fact == "remembered of issue:1: ACME, ACME-1, a [2Jb c"


@pytest.mark.parametrize(
    "arguments",
    [
        ("read", "nosuch", "-"),
        ("read", "jira", "/no/such/file"),
        ("read", "jira", "-", "--header", "no colon"),
        ("read", "jira", "-", "--header", ": empty"),
    ],
)
def test_a_wrong_call_says_what_to_write_instead(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, body={})
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_the_list_names_every_tool_and_type() -> None:
    result = run("list")
    assert result.exit_code == 0
    for word in ("generic", "github", "jira", "stripe", "milestone.closed", "worklog_created"):
        assert word in result.stdout


def test_the_list_is_also_json() -> None:
    told = {source["key"]: source for source in json.loads(run("list", "--json").stdout)}
    assert set(told) == set(every_source())
    assert "milestone.closed" in told["github"]["events"]
    assert told["github"]["ignored"]["push"]
    assert told["jira"]["docs_url"].startswith("https://")
