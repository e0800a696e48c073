"""Every mistake in a rule file is reported, where it stands and with what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ConfigurationError
from mappings.book import Book
from tests.examples import examples

Change = Callable[..., list[str]]
Files = dict[str, str]


def test_a_sound_file_has_no_mistakes(mistakes: Change) -> None:
    assert mistakes("Acme GmbH", "Acme & Söhne AG") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "unit_price: 4500.00",
            "unit_prize: 4500.00",
            'acme.yaml:23:67: rule "A phase has a fixed price", bill: unknown word "unit_prize"'
            ' - did you mean "unit_price"?',
        ),
        (
            "invoice: monthly",
            "invoice: montly",
            'acme.yaml:9:10: invoice: "montly" is not one of: at once, weekly, every two weeks,'
            ' monthly, quarterly, yearly - did you mean "monthly"?',
        ),
        ("customer: acme", "customer: ACME", '"ACME" is not a short name of small letters'),
        ("customer: acme\n", "", 'acme.yaml:1:1: the word "customer" is missing'),
        ("format: 1", "format: 2", '"2" is not one of: 1'),
        ("currency: EUR", "currency: EURO", "three capital letters"),
        ("currency: EUR", "currency: XXX", "ISO 4217"),
        ("name: Acme GmbH", "name:", "name: has no value - write a text, or leave the word out"),
        ("PO-4471", "null", "purchase_order: null is no value here"),
        ("ap@acme.example", "acme", "is not an e-mail address"),
        ("net 30", "30 days", 'is not payment terms: "net 30" or "due on receipt"'),
        ("by hand", "autmatic", 'did you mean "automatic"?'),
        ("send_to: stripe", "send_to: strip", 'no connector "strip" in workspace.yaml'),
        ("send_to: stripe", "time_zone: Mars/One\nsend_to: stripe", "is not a time zone like"),
        ('takes: {project: [ACME, ACME-INT, SITE, "acme/*"]}', "takes: {}", "takes nothing"),
        ('[ACME, ACME-INT, SITE, "acme/*"]', "[]", "takes, project: the list is empty"),
        ("hourly: 80.00", "hourly: 80,00", 'unknown word "00" - write decimals with a point'),
        (
            "name: Acme GmbH",
            "agreed: {on: 2026-01-01, by: Jane, who signs}",
            'agreed: unknown word "who signs" - put the whole text in quotes if this belongs to it',
        ),
        ("hourly: 80.00", 'hourly: "1,080.00"', "write it with a decimal point and no other marks"),
        ("hourly: 80.00", "hourly: 1e999", '"1e999" is not a number like'),
        ("hourly: 80.00", "hourly: NaN", '"NaN" is not a number like'),
        ("hourly: 80.00", "hourly: ٨٠", "is not a number like"),
        ("hourly: 80.00", "hourly: 0.00", "above zero"),
        ("hourly: 80.00", "hourly: 080", "is not a number like"),
        ("from: 2026-06-01", "from: 2026-02-30", "the calendar does not have it"),
        ("from: 2026-06-01", "from: 20260601", "is not a day like 2026-01-31"),
        ("{person: Ben, from", "{person: Bem, from", 'no person "Bem" in workspace.yaml - did you'),
        ("2026-07-01", "2026-01-01", "senior has a rate from 2026-01-01 in line 13 already"),
        ("bill: nothing", "bill: nuthing", '"nuthing" is not one of: nothing'),
        ("bill: nothing", "bill: [nothing]", "must be a table"),
        ("rule: Engineering hours", "rule: Internal work is free", "has the same name as the one"),
        ("event: time.logged, project: [", "event: time.loged, project: [", '"time.logged"?'),
        ("event: milestone.completed", "event: milestone.reopened", "taken back without any rule"),
        (
            "event: time.logged, project: [",
            "event: [time.logged, work.completed], project: [",
            "quantity: hours, but a work.completed has none",
        ),
        ("event: time.logged, project: [", "event: '*', project: [", "quantity: hours, but a"),
        ("billable: yes", "billable: true", '"true" is not one of: yes, no'),
        ("billable: yes", "seconds: 15 minutes", "is not a comparison like"),
        ("billable: yes", "seconds: between 9 and 3", "the smaller number comes first"),
        (
            "billable: yes",
            "person: Anna",
            'no person "Anna" in workspace.yaml - did you mean "Ana"',
        ),
        (
            "billable: yes",
            "on: {from: 2026-02-01, to: 2026-01-01}",
            "from: is later than to: - swap them",
        ),
        ("billable: yes", "on: {}", "on: has no day"),
        ("billable: yes", 'fields.points: "at least 1,5"', "is not a comparison"),
        ("billable: yes", "fields.: x", 'unknown word "fields."'),
        ("quantity: hours", "quantity: hour", 'is not a number above zero, or the word "hours"'),
        ("quantity: hours", "quantity: 1", "only hours are rounded"),
        ("quantity: 1,", "quantity: 0,", "above zero"),
        ("unit_price: 4500.00", "unit_price: rate", "a rate is the price of an hour"),
        ("unit_price: 4500.00", "unit_price: 0.005", "more decimal places than EUR allows"),
        ("up to 15 minutes per entry", "up to 15 min", "is not a rounding like"),
        ("up to 15 minutes per entry", "up to 48 hours per entry", "more than a day"),
        ("[item, person]", "[item, persona]", '"persona" is not one of'),
        (
            "{role} engineering",
            "{rolle} engineering",
            'unknown word "{rolle}" - did you mean "role"',
        ),
        ('"{title}, completed {date}"', "{title}", "a table cannot stand here"),
        ("when_no_rule_fits: hold", "when_no_rule_fits: drop", '"drop" is not one of: hold'),
        ("expect: hold", "expect: held", 'did you mean "hold"?'),
        ("expect: hold", "expect: {}", "expects nothing in particular"),
        ("amount: 120.00", "amount: 120.001", "more decimal places than EUR allows"),
        (
            "expect: {rule: Engineering hours",
            "expect: {rule: Enginering hours",
            'this file has no rule "Enginering hours" - did you mean "Engineering hours"?',
        ),
        ("seconds: 3000", "seconds: 50 minutes", "is not a whole number of seconds"),
        ("person: Ana, seconds", "persn: Ana, seconds", 'did you mean "person"?'),
    ],
)
def test_a_mistake_in_a_customers_file_is_named(
    mistakes: Change, old: str, new: str, expected: str
) -> None:
    found = mistakes(old, new)
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("time_zone: Europe/Berlin", "time_zone: Europe/Berlni", 'did you mean "Europe/Berlin"?'),
        ("time_zone: Europe/Berlin\n", "", 'the word "time_zone" is missing'),
        ("jira-acme:", "Jira_Acme:", '"Jira_Acme" is not a short name'),
        ("tool: jira\n", "url: x\n", 'source "jira-acme": the word "tool" is missing'),
        (
            "secret:\n      - ${JIRA_NEW}\n      - ${JIRA_OLD}\n",
            "user: x\n",
            'source "jira-acme": has no secret',
        ),
        (
            "${JIRA_OLD}",
            "${JIRA_OLD}" + "".join(f"\n      - ${{JIRA_OLD_{n}}}" for n in range(20)),
            "more than 20 secrets",
        ),
        ("path_token: ${SCRIPTS_PATH}", "write_back: no", "is unsigned - add path_token"),
        ("write_back: yes", "write_bak: yes", 'did you mean "write_back"?'),
        ("system: stripe, ", "", 'connector "stripe": the word "system" is missing'),
        ("folder: var/invoices", 'folder: "${folder}"', "has capital letters, digits and _ only"),
        ("person: Ben", "person: Ana", 'person "Ana": stands here twice'),
        ("jira: 5d30d", "jira: 5b10a", 'jira account "5b10a" belongs to "Ana" already'),
    ],
)
def test_a_mistake_in_the_workspace_is_named(
    mistakes: Change, old: str, new: str, expected: str
) -> None:
    found = mistakes(old, new, "workspace.yaml")
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("old", "word"),
    [
        ("${JIRA_NEW}", "secret"),
        ("${JIRA_TOKEN}", "token"),
        ("${STRIPE_API_KEY}", "api_key"),
    ],
)
def test_a_written_secret_is_a_mistake_and_is_not_repeated(
    mistakes: Change, old: str, word: str
) -> None:
    (found,) = mistakes(old, "hunter2hunter2", "workspace.yaml")
    assert f"{word}: this value is not a name like ${{" in found
    assert "hunter2" not in found


def test_all_mistakes_of_all_files_are_reported_together(files: Files) -> None:
    acme = (
        files["acme.yaml"].replace("monthly", "montly").replace("unit_price: rate", "unit_price: r")
    )
    with pytest.raises(ConfigurationError) as caught:
        Book.load(
            {
                "workspace.yaml": files["workspace.yaml"].replace("Europe/Berlin", "Nowhere"),
                "acme.yaml": acme,
                "beta.yaml": "a: [",
            }
        )
    places = [mistake.split(": ")[0] for mistake in caught.value.mistakes]
    assert places == ["acme.yaml:9:10", "acme.yaml:31:19", "beta.yaml:2:1", "workspace.yaml:3:12"]


def test_a_misspelled_word_is_not_also_reported_as_missing(mistakes: Change) -> None:
    assert len(mistakes("unit_price: 4500.00", "unit_prize: 4500.00")) == 1


def test_a_customer_has_one_file(files: Files) -> None:
    with pytest.raises(ConfigurationError, match=r"b\.yaml:2:11.*has a file already, acme\.yaml"):
        Book.load({**files, "b.yaml": files["acme.yaml"]})


def test_without_a_workspace_the_message_says_which_file_is_missing(files: Files) -> None:
    with pytest.raises(ConfigurationError, match=r"workspace\.yaml:1:1: this file is missing"):
        Book.load({"acme.yaml": files["acme.yaml"]})


def test_without_connectors_there_is_nothing_to_hold_send_to_against(files: Files) -> None:
    firm = "format: 1\nname: S\ntime_zone: UTC\npeople: [{person: Ben}]\n"
    assert Book.load({**files, "workspace.yaml": firm}).customers["acme"].send_to == "stripe"


ODD_PIECES = st.text(max_size=5) | st.sampled_from(
    ["", "[]", "{}", "~", "x: y", "- a", "${", "{x}", "\n", " ", "0", "''", "[[", "yes"]
)


@settings(max_examples=examples(300), deadline=None)
@given(data=st.data())
def test_a_file_with_any_piece_replaced_is_a_book_or_named_mistakes(
    files: Files, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    text = files[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    other = data.draw(ODD_PIECES)
    try:
        book = Book.load({**files, name: text[:start] + other + text[end:]})
    except ConfigurationError as error:
        found = error.mistakes
    else:
        found = []
        book.run_tests()
    assert all(line.count(":") >= 3 and line.isprintable() for line in found)
