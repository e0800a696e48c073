"""Shared files: what customers extend is joined, and every value keeps its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from console.commands.rules import rules
from ledger.errors import ConfigurationError
from mappings import words
from mappings.atoms import TEXT
from mappings.book import Book
from mappings.origins import origins, printed
from mappings.pricing import Priced
from mappings.reading import Items, Mistakes, Node, Table, Text, read
from mappings.shapes import Named, TableOf, Word
from mappings.sharing import joined

Files = dict[str, str]

STANDARD = """\
format: 1
shared: standard-2026
extends: terms
currency: EUR
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {role: junior, from: 2026-01-01, hourly: 80.00}
rules:
  - rule: Engineering hours
    when: {event: time.logged, billable: yes}
    bill: {description: "Engineering, {item}", quantity: hours, unit_price: rate}
vague_texts: work
"""
TERMS = """\
format: 1
shared: terms
send_to: stripe
terms: net 30
invoice: weekly
footer: Thank you.
vague_texts: [stuff]
"""
CUSTOMER = """\
format: 1
customer: beta
name: Beta SA
extends: [standard-2026]
takes: {project: BETA}
terms: net 14
invoice: monthly
rates:
  - {person: Kim, from: 2026-01-01, hourly: 99.00}
rules:
  - rule: Meetings are free
    when: {event: time.logged, labels: meeting}
    bill: nothing
vague_texts: [things]
"""


@pytest.fixture
def shared(files: Files) -> Files:
    """A firm with one customer of its own file alone and one that extends two shared files."""
    return {
        **files,
        "beta.yaml": CUSTOMER,
        "rates/standard.yaml": STANDARD,
        "rates/terms.yaml": TERMS,
    }


def mistakes(files: Files) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Book.load(files)
    return caught.value.mistakes


def test_lists_are_joined_and_single_values_are_the_nearest(shared: Files) -> None:
    beta = Book.load(shared).customers["beta"]
    assert [rule.name for rule in beta.rules] == ["Meetings are free", "Engineering hours"]
    assert [str(rate.price) for rate in beta.rates.listed] == ["99.00", "120.00", "80.00"]
    assert [beta.terms, beta.invoice] == ["net 14", "monthly"]
    assert [beta.currency, beta.send_to, beta.footer] == ["EUR", "stripe", "Thank you."]
    assert beta.vague_texts[-3:] == ("things", "work", "stuff")


def test_a_list_that_says_one_thing_is_the_customers_own(shared: Files) -> None:
    shared["rates/terms.yaml"] += "payment_methods: [bank transfer, card]\norder: [rule, item]\n"
    shared["beta.yaml"] += "payment_methods: card\n"
    beta = Book.load(shared).customers["beta"]
    assert beta.parties.particulars.payment_methods == ("card",)
    assert beta.form.order == ("rule", "item")


def test_what_a_shared_file_says_names_that_file_where_it_prices(
    shared: Files, logged: Any
) -> None:
    outcome = Book.load(shared).price(logged(project="BETA"))
    assert isinstance(outcome, Priced)
    assert outcome.steps[0] == 'rule "Engineering hours" (rates/standard.yaml:9)'
    assert "role senior, from 2026-01-01 (rates/standard.yaml:6)" in outcome.steps[2]


def test_a_customers_own_rate_comes_before_a_shared_one_of_the_same_day(
    shared: Files, logged: Any
) -> None:
    own = shared["beta.yaml"].replace("person: Kim", "role: senior")
    outcome = Book.load({**shared, "beta.yaml": own}).price(logged(project="BETA"))
    assert isinstance(outcome, Priced)
    assert outcome.unit_price == 99


def test_every_file_is_part_of_the_version(shared: Files) -> None:
    changed = shared["rates/terms.yaml"].replace("Thank you.", "Thanks.")
    version = Book.load(shared).version
    assert version != Book.load({**shared, "rates/terms.yaml": changed}).version


def test_a_file_that_is_reached_on_two_ways_counts_once(shared: Files) -> None:
    twice = CUSTOMER.replace("[standard-2026]", "[terms, standard-2026]")
    beta = Book.load({**shared, "beta.yaml": twice}).customers["beta"]
    assert beta.vague_texts[-3:] == ("things", "stuff", "work")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "beta.yaml",
            "[standard-2026]",
            "[standard-2025]",
            'beta.yaml:4:11: extends: no shared file begins with shared: "standard-2025"'
            ' - did you mean "standard-2026"?',
        ),
        (
            "beta.yaml",
            "[standard-2026]",
            "[terms, terms]",
            'beta.yaml:4:18: extends: "terms" stands here twice - keep one of them',
        ),
        (
            "rates/terms.yaml",
            "send_to",
            "extends: standard-2026\nsend_to",
            'rates/terms.yaml:3:10: extends: "standard-2026" extends this file in turn'
            " - take one of the two out",
        ),
        (
            "rates/terms.yaml",
            "send_to",
            "extends: terms\nsend_to",
            "rates/terms.yaml:3:10: extends: a file cannot extend itself - take its name out",
        ),
        (
            "rates/terms.yaml",
            "footer:",
            "name: Beta\nfooter:",
            'rates/terms.yaml:6:1: "name" belongs to one customer - write it in the customer\'s'
            " own file",
        ),
        (
            "rates/terms.yaml",
            "shared: terms",
            "shared: standard-2026",
            'rates/terms.yaml:2:9: shared: "standard-2026" is a file already, rates/standard.yaml'
            " - call them differently",
        ),
        (
            "rates/standard.yaml",
            "rule: Engineering hours",
            "rule: Meetings are free",
            'rates/standard.yaml:9:5: for customer "beta": rule "Meetings are free": has the same'
            " name as the one in beta.yaml:11 - call them differently",
        ),
        (
            "rates/standard.yaml",
            "{role: junior",
            "{person: Bem",
            'rates/standard.yaml:7:14: for customer "beta": rate: no person "Bem" in'
            ' workspace.yaml - did you mean "Ben"?',
        ),
        (
            "rates/terms.yaml",
            "net 30",
            "net thirty",
            'rates/terms.yaml:4:8: terms: "net thirty" is not payment terms: "net 30" or'
            ' "due on receipt"',
        ),
    ],
)
def test_a_mistake_names_the_file_in_which_it_stands_and_the_customer(
    shared: Files, file: str, old: str, new: str, expected: str
) -> None:
    assert old in shared[file]
    found = mistakes({**shared, file: shared[file].replace(old, new, 1)})
    assert expected in found
    assert len({line.split(": ", 2)[0] for line in found}) <= 3, found


def test_a_mistake_that_comes_up_with_every_customer_is_told_once(shared: Files) -> None:
    (found,) = mistakes({**shared, "rates/terms.yaml": TERMS.replace("net 30", "net thirty")})
    assert found.startswith("rates/terms.yaml:4:8: terms: ")


def test_every_file_says_its_own_format(shared: Files) -> None:
    (found,) = mistakes({**shared, "beta.yaml": CUSTOMER.replace("format: 1\n", "")})
    assert found.startswith('beta.yaml:1:1: the word "format" is missing')


def test_tables_of_names_are_joined_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    word = Word(Named(TEXT, TEXT, "phase"), "texts by phase")
    monkeypatch.setattr(words, "SHARED", TableOf({"phases": word}))
    own = as_table("a", {"phases": {"one": "own", "two": "own"}})
    other = as_table("b", {"phases": {"two": "shared", "three": "shared"}})
    expected = {"one": "own", "two": "own", "three": "shared"}
    assert without_places(joined(own, other, Mistakes())) == {"phases": expected}


def test_a_mistake_with_many_customers_is_told_once(shared: Files) -> None:
    broken = STANDARD.replace("{role: junior", "{person: Bem")
    others = {
        f"beta{n}.yaml": CUSTOMER.replace("beta", f"beta{n}").replace("BETA", f"BETA{n}")
        for n in range(5)
    }
    (found,) = mistakes({**shared, **others, "rates/standard.yaml": broken})
    assert 'for customer "beta", "beta0", "beta1" and 3 more: rate: no person "Bem"' in found


def test_a_file_that_cannot_be_read_is_not_also_missed(shared: Files) -> None:
    (found,) = mistakes({**shared, "rates/standard.yaml": "shared: [", "rates/terms.yaml": TERMS})
    assert found.startswith("rates/standard.yaml:")


def test_the_word_that_no_file_says_is_missing_in_the_customers(shared: Files) -> None:
    (found,) = mistakes({**shared, "rates/standard.yaml": STANDARD.replace("currency: EUR\n", "")})
    assert found.startswith('beta.yaml:1:1: the word "currency" is missing')


def test_a_shared_file_may_be_incomplete_and_unused(shared: Files) -> None:
    book = Book.load({**shared, "rates/more.yaml": "format: 1\nshared: more\n"})
    assert [name for name, _ in book.joined()[0].unused()] == ["more"]


@pytest.fixture
def folder(tmp_path: Path, shared: Files) -> Path:
    for name, text in shared.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_subfolders_are_read_but_for_examples(folder: Path, shared: Files) -> None:
    (folder / "examples").mkdir()
    (folder / "examples" / "workspace.yaml").write_text("broken: [")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.yaml").write_text("broken: [")
    assert Book.read_folder(folder).version == Book.load(shared).version


def test_a_firm_is_described_once(folder: Path) -> None:
    (folder / "rates" / "workspace.yaml").write_text((folder / "workspace.yaml").read_text())
    with pytest.raises(ConfigurationError, match=r"rates/workspace\.yaml:1:1: a second workspace"):
        Book.read_folder(folder)


def test_show_prints_each_value_with_its_place(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["show", "beta", str(folder)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "# The contract of beta: what beta.yaml, then rates/standard.yaml, then rates/terms.yaml"
    )
    found = {line.split("  # ")[0].strip(): line.split("# ")[1] for line in lines if "  # " in line}
    assert found["terms: net 14"] == "beta.yaml:6"
    assert found["currency: EUR"] == "rates/standard.yaml:4"
    assert found["footer: Thank you."] == "rates/terms.yaml:6"


def test_show_as_json_names_file_line_and_column(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["show", "beta", str(folder), "--json"])
    shown = json.loads(result.stdout)
    assert shown["extends"] == ["rates/standard.yaml", "rates/terms.yaml"]
    place = {"file": "rates/standard.yaml", "line": 11, "column": 58}
    assert {"path": "rules.2.bill.quantity", "value": "hours"} | place in shown["values"]


def test_show_of_nobody_suggests_who_is_meant(folder: Path) -> None:
    result = CliRunner().invoke(rules, ["show", "beto", str(folder)])
    assert (result.exit_code, result.stderr) == (1, '"beto" has no file - did you mean "beta"?\n')


def without_places(node: Node) -> Any:
    if isinstance(node, Text):
        return node.text
    if isinstance(node, Items):
        return [without_places(item) for item in node.items]
    return {key.text: without_places(value) for key, value in node.entries}


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
VALUES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_show_prints_reads_as_the_same_and_every_origin_is_where_it_says(value: Any) -> None:
    written = json.dumps(value, indent=1, ensure_ascii=False)
    first = read("a.yaml", written, Mistakes())
    assert first is not None
    again = read("b.yaml", "\n".join(printed(first)), Mistakes())
    assert again is not None
    assert without_places(again) == without_places(first) == value
    lines = written.split("\n")
    for origin in origins(first):
        there = lines[origin.at.line - 1][origin.at.column - 1 :]
        assert there.startswith(json.dumps(origin.text, ensure_ascii=False))


RULES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "rules": RULES.map(lambda names: [{"rule": name, "bill": "nothing"} for name in names]),
        "vague_texts": st.lists(st.sampled_from("xyz"), max_size=2),
        "terms": st.sampled_from(["net 14", "net 30"]),
        "memo": st.sampled_from(["m", "n"]),
    },
)


def as_table(file: str, said: Any) -> Table:
    table = read(file, json.dumps(said or {"format": "1"}), Mistakes())
    assert table is not None
    return table


@given(PARTS, PARTS, PARTS)
def test_joining_is_associative_and_loses_no_rule(a: Any, b: Any, c: Any) -> None:
    first, second, third = as_table("a", a), as_table("b", b), as_table("c", c)
    left_mistakes, right_mistakes = Mistakes(), Mistakes()
    left = joined(joined(first, second, left_mistakes), third, left_mistakes)
    right = joined(first, joined(second, third, right_mistakes), right_mistakes)
    assert dict(without_places(left)) == dict(without_places(right))
    names = [rule["rule"] for said in (a, b, c) for rule in said.get("rules", ())]
    kept = [rule["rule"] for rule in without_places(left).get("rules", ())]
    assert kept == list(dict.fromkeys(names))
    # What is not kept is told, every single time.
    assert len(left_mistakes.found) == len(names) - len(kept)
    for word in ("terms", "memo"):
        told = next((said[word] for said in (a, b, c) if word in said), None)
        assert without_places(left).get(word) == told
    texts = [text for said in (a, b, c) for text in said.get("vague_texts", ())]
    assert without_places(left).get("vague_texts", []) == texts
