"""Rule files are read as text, with positions, and what is dangerous is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ConfigurationError
from mappings.book import Book
from mappings.reading import Mistakes, Table, Text, read, suggestion


def mistakes_in(text: str) -> list[str]:
    mistakes = Mistakes()
    read("a.yaml", text, mistakes)
    return mistakes.lines()


@pytest.mark.parametrize("spelling", ["no", "012", "12:30", "120.00", "1e3", "0x1f", "2026-01-01"])
def test_a_value_keeps_its_spelling(spelling: str) -> None:
    table = read("a.yaml", f"word: {spelling}\n", Mistakes())
    assert isinstance(table, Table)
    ((_, value),) = table.entries
    assert isinstance(value, Text)
    assert value.text == spelling


def test_positions_count_lines_and_columns_from_one_in_letters_not_bytes() -> None:
    table = read("a.yaml", "first: 1\nüber: {b: ärger, c: d}\n", Mistakes())
    assert isinstance(table, Table)
    inner = table.entries[1][1]
    assert isinstance(inner, Table)
    key, value = inner.entries[1]
    assert (key.at.line, key.at.column, value.at.column) == (2, 18, 21)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", '3:1: "a" stands here twice, first in line 1'),
        ("a: &x 1\n", "1:4: a YAML anchor"),
        ("a: *x\n", '1:4: a YAML alias ("*x")'),
        ("a: *\n", "1:5: a value that starts with * or &"),
        ("a: !!python/object:os.system x\n", "1:4: a YAML tag"),
        ("a: !!map {b: c}\n", "1:4: a YAML tag"),
        ("a: !!seq [b]\n", "1:4: a YAML tag"),
        ("<<: {a: 1}\n", "1:1: the merge key <<"),
        ("? [a, b]\n: c\n", "1:3: a list or table cannot be a word"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document"),
        ("\ta: 1\n", "1:1: a tab at the start of the line - indent with spaces"),
        ("a:\n\t- b\n", "2:1: a tab at the start of the line - indent with spaces"),
        ("a: b: c\n", "1:5: a second colon"),
        ("a: 'b\n", "a quotation mark is opened and never closed"),
        ("a: @b\n", "1:4: a value may not start like this"),
        ("a: [${B}]\n", "needs quotes"),
        ("a: [1, 2\nb: 3\n", "2:2: cannot be read as YAML"),
        ("a: b\x00\n", "1:5: a character that YAML does not allow"),
        ("a: \ud800\n", "no Unicode text"),
        ("- a\n", '1:1: must be "word: value" lines'),
        ("# nothing\n", "1:1: is empty"),
        ("[" * 1000, "1:22: nested deeper than 20 levels"),
        ("a: [" + "1," * 21_000 + "]", "more than 20000 values"),
        ("#" * (256 * 1024 + 1), "longer than 256 KiB"),
    ],
)
def test_what_is_dangerous_or_broken_is_refused_with_its_place(text: str, line: str) -> None:
    (mistake,) = mistakes_in(text)
    assert mistake.startswith("a.yaml:")
    assert line in mistake
    assert " - " in mistake, "a mistake says what to do"


def test_an_alias_bomb_is_refused_without_growing() -> None:
    bomb = "a: &a [x,x]\n" + "".join(
        f"{new}: &{new} [*{old},*{old},*{old}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert any("alias" in mistake for mistake in mistakes_in(bomb))


def test_a_mistake_shows_no_control_characters() -> None:
    assert all(line.isprintable() for line in mistakes_in('"\\e[31m": 1\n"\\e[31m": 2\n'))


def test_what_is_near_is_suggested_and_else_what_is_known() -> None:
    assert suggestion("unit_prize", ["unit_price", "round"]) == ' - did you mean "unit_price"?'
    assert suggestion("xyz", ["b", "a"]) == " - known here: a, b"


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_never_a_crash(text: str) -> None:
    mistakes = Mistakes()
    table = read("a.yaml", text, mistakes)
    assert table is not None or mistakes.found


YAML_BITS = st.lists(
    st.sampled_from(
        [*"{}[],'*>#\t?~1\n\"", "rules", "rule", "- ", ": ", ":\n  ", "&x ", "!t ", "<<", "---\n"]
    ),
    max_size=40,
).map("".join)


@given(YAML_BITS)
def test_any_yaml_is_a_book_or_named_mistakes_never_a_crash(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Book.load({"workspace.yaml": text, "acme.yaml": text})
    assert all(line.startswith(("workspace.yaml:", "acme.yaml:")) for line in caught.value.mistakes)
