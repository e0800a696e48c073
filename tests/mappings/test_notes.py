"""`flask rules check` notes what files may say and hardly mean, and nothing that is meant."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from console.commands.rules import rules
from mappings import notes as looking
from mappings.book import Book
from mappings.notes import notes_of

Files = dict[str, str]
FIRM = """\
format: 1
name: Studio
time_zone: UTC
connectors: {file: {system: file}}
people:
  - {person: Ana, role: senior, accounts: {jira: ana}}
  - {person: Ben, role: junior, accounts: {jira: ben}}
"""
START = """\
format: 1
customer: acme
name: Acme
currency: EUR
send_to: file
invoice: monthly
takes: {project: [ACME, "acme/*"]}
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {role: junior, from: 2026-01-01, hourly: 80.00}
rules:
"""
HOURS = "bill: {description: '{item}', quantity: hours, unit_price: rate}"
FIXED = "bill: {description: '{item}', quantity: 1, unit_price: 50}"


@pytest.fixture
def noted() -> Callable[..., list[str]]:
    """Return a function that gives the notes on rules, without those on missing tests."""

    def load(text: str, start: str = START) -> list[str]:
        book = Book.load({"workspace.yaml": FIRM, "acme.yaml": start + text})
        return [note for note in notes_of(book) if "no test tries it" not in note]

    return load


Noted = Callable[..., list[str]]


def rule(name: str, when: str, bill: str = FIXED) -> str:
    return f"  - rule: {name}\n    when: {when}\n    {bill}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{event: time.logged}", "{event: time.logged, labels: x}"),
        ("{event: 'time.*'}", "{event: time.total}"),
        ("{labels: [x, 'y*']}", "{labels: yes}"),
        ("{project: ACME}", "{project: acme, title: 'A*'}"),
        ("{project: ['acme*']}", "{title: 'A*'}"),
        ("{seconds: at least 900}", "{seconds: between 900 and 1000}"),
        ("{billable: yes}", "{billable: yes, event: time.logged}"),
        ("{on: {from: 2026-01-01}}", "{on: {from: 2026-02-01, to: 2026-03-01}}"),
        ("{fields.x: at least 3}", "{fields.x: more than 3}"),
    ],
)
def test_a_rule_that_an_earlier_one_hides_is_noted(noted: Noted, first: str, second: str) -> None:
    (note,) = noted(rule("One", first) + rule("Two", second))
    assert note == (
        'acme.yaml:15:5: rule "Two": is never used: rule "One" in line 12 fits first'
        " - put it above that one, or take it out"
    )


def test_a_rule_for_projects_of_somebody_else_is_noted(noted: Noted) -> None:
    (note,) = noted(rule("One", "{project: [BETA, 'beta/*']}"))
    assert note.startswith(
        'acme.yaml:12:5: rule "One": fits no project that takes: gives to this customer - '
    )


def test_rules_that_overlap_are_noted_with_an_event_for_a_test(noted: Noted) -> None:
    other = FIXED.replace("50", "60")
    first, second = "{labels: urgent, title: 'Fix*'}", "{labels: night, event: work.completed}"
    (note,) = noted(rule("One", first) + rule("Two", second, other))
    assert note.startswith('acme.yaml:15:5: rule "Two": overlaps with rule "One" in line 12, ')
    given = note.partition("used for ")[2].partition(" - ")[0]
    assert given == (
        "{event: work.completed, project: ACME, title: Fixx, labels: [urgent, night],"
        " on: 2026-01-01}"
    )
    # Once a test says which one is meant, there is nothing to note.
    test = f"tests:\n  - {{test: Urgent first, given: {given}, expect: {{rule: One}}}}\n"
    assert noted(rule("One", first) + rule("Two", second, other) + test) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{event: time.logged}", "{event: work.completed}"),
        ("{project: ACME}", "{project: 'acme/*'}"),
        ("{billable: yes}", "{billable: no}"),
        ("{seconds: less than 900}", "{seconds: at least 900}"),
        ("{on: {to: 2026-01-01}}", "{on: {from: 2026-01-02}}"),
        ("{labels: urgent, event: time.logged}", "{event: time.logged}"),
        ("{title: 'a*b'}", "{title: 'b*'}"),
        ("{item: [A-1, A-2]}", "{item: A-3}"),
        ("{role: junior}", "{person: Ana}"),
    ],
)
def test_rules_that_never_meet_or_stand_in_good_order_are_not_noted(
    noted: Noted, first: str, second: str
) -> None:
    assert noted(rule("One", first) + rule("Two", second, FIXED.replace("50", "60"))) == []


def test_rules_that_bill_alike_or_not_at_all_may_overlap(noted: Noted) -> None:
    two = rule("Two", "{title: b}")
    assert noted(rule("One", "{labels: a}") + two) == []
    assert noted(rule("One", "{labels: a}", "bill: nothing") + two) == []


def test_a_person_without_a_rate_is_noted_with_the_day(noted: Noted) -> None:
    ours = START.replace("{role: junior, from: 2026-01-01", "{role: junior, from: 2026-04-01")
    (note,) = noted(rule("Hours", "{event: time.logged}", HOURS), ours)
    assert note == (
        'acme.yaml:12:5: rule "Hours": an hour of Ben on 2026-01-01 would wait: no rate for Ben'
        " (junior) holds on 2026-01-01 - add one under rates:"
    )


@pytest.mark.parametrize(
    "when",
    ["{event: time.logged, role: senior}", "{event: time.logged, person: Ana}"],
)
def test_who_never_comes_under_a_rule_needs_no_rate(noted: Noted, when: str) -> None:
    ours = START.replace("  - {role: junior, from: 2026-01-01, hourly: 80.00}\n", "")
    assert noted(rule("Hours", when, HOURS), ours) == []


def test_who_is_caught_by_an_earlier_rule_needs_no_rate(noted: Noted) -> None:
    ours = START.replace("  - {role: junior, from: 2026-01-01, hourly: 80.00}\n", "")
    free = rule("Juniors are free", "{role: junior}", "bill: nothing")
    assert noted(free + rule("Hours", "{event: time.logged}", HOURS), ours) == []


def test_a_rule_without_a_test_is_noted_and_one_that_holds_counts_as_tried() -> None:
    tests = (
        "tests:\n"
        "  - test: A stranger waits\n"
        "    given: {event: time.logged, project: ACME, person: Zoe, seconds: 60, on: 2026-01-02}\n"
        "    expect: hold\n"
    )
    two = rule("Hours", "{event: time.logged}", HOURS) + rule("Done", "{event: work.completed}")
    book = Book.load({"workspace.yaml": FIRM, "acme.yaml": START + two + tests})
    assert notes_of(book) == ['acme.yaml:15:5: rule "Done": no test tries it - add one to tests:']


def test_a_test_that_waits_for_another_reason_than_it_seems_is_noted(noted: Noted) -> None:
    test = (
        "tests:\n"
        "  - test: A stranger waits\n"
        "    given: {event: time.logged, project: ACNE, person: Zoe, seconds: 60, on: 2026-01-02}\n"
        "    expect: hold\n"
    )
    (note,) = noted(rule("Hours", "{event: time.logged}", HOURS) + test)
    start = 'acme.yaml:16:5: test "A stranger waits": its event is nobody\'s: no customer takes'
    assert note.startswith(f'{start} project "ACNE"')
    assert note.endswith(" - name a project of takes: under given:")


def test_a_test_that_leaves_open_which_rule_it_means_is_noted(noted: Noted) -> None:
    text = rule("Night", "{labels: night}", FIXED.replace("50", "90")) + rule("Day", "{title: '*'}")
    test = (
        "tests:\n"
        "  - {test: T, given: {event: work.completed, project: ACME, title: A, item: I,\n"
        "     labels: night, on: 2026-01-02}, expect: {amount: 90}}\n"
    )
    (note,) = noted(text + test)
    assert note == (
        'acme.yaml:19:5: test "T": rule "Night" bills it, and rule "Day" in line 15 fits as well'
        " - say under expect: which rule is meant"
    )
    assert noted(text + test.replace("{amount", "{rule: Night, amount")) == []
    # What is printed comes of all rules together, so a test of it names none.
    assert noted(text + test.replace("{amount", "{total")) == []


def test_notes_on_shared_rules_name_the_customer_and_their_own_file() -> None:
    shared = "format: 1\nshared: all\nrules:\n" + rule("Two", "{labels: x, title: A}")
    unused = "format: 1\nshared: old\n"
    acme = START.replace("takes:", "extends: all\ntakes:") + rule("One", "{labels: x}")
    files = {"workspace.yaml": FIRM, "acme.yaml": acme, "r/all.yaml": shared, "r/old.yaml": unused}
    assert notes_of(Book.load(files)) == [
        'acme.yaml:13:5: rule "One": no test tries it - add one to tests:',
        'r/all.yaml:4:5: for customer "acme": rule "Two": is never used: rule "One" in'
        " acme.yaml:13 fits first - put it above that one, or take it out",
        'r/all.yaml:4:5: rule "Two": no test tries it - add one to tests:',
        'r/old.yaml:1:1: shared: no customer extends "old" - name it under extends:, or delete'
        " the file",
    ]


def test_many_rules_of_many_projects_are_hardly_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def count(narrow: object, wide: object) -> bool:
        compared.append(1)
        return False

    monkeypatch.setattr(looking, "lies_within", count)
    many = "".join(rule(f"R{n}", f"{{project: acme/{n}}}") for n in range(400))
    Book.load(files := {"workspace.yaml": FIRM, "acme.yaml": START + many})
    notes_of(Book.load(files))
    assert len(compared) == 0


def test_what_is_not_compared_is_told(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_PAIRS", 2)
    text = "".join(rule(f"R{n}", f"{{labels: a{n}}}") for n in range(4))
    assert any("more than 2 pairs of rules" in note for note in noted(text))


def test_notes_are_in_json_and_fail_only_when_strict(tmp_path: object, files: Files) -> None:
    folder = str(tmp_path)
    for name, text in files.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)
    sound = CliRunner().invoke(rules, ["check", folder, "--json"])
    assert sound.exit_code == 0
    assert any("no test tries it" in note for note in json.loads(sound.stdout)["notes"])
    assert CliRunner().invoke(rules, ["check", folder, "--strict"]).exit_code == 1
