"""Texts of line items are filled in once, on one line, whatever a stranger wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.descriptions import MOST, WORDS, parse

TEMPLATE = parse("{role} engineering, {item} {title}")


def test_a_value_is_not_filled_in_again() -> None:
    text = parse("{title} by {person}").filled_in({"title": "{person} {rate}", "person": "Ana"})
    assert text == "{person} {rate} by Ana"


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{role} engineering, {item} {title}", {"item": "A-1"}, "engineering, A-1"),
        ("{role} engineering, {item} {title}", {"title": "Fix"}, "engineering, Fix"),
        ("{role} engineering, {item} {title}", {"role": "senior"}, "senior engineering"),
        ("{title}, completed {date}", {"date": "2026-03-04"}, "completed 2026-03-04"),
        ("{item}{title}, done", {"item": "A-1"}, "A-1, done"),
        ("{title}", {"title": "ends with a dash -"}, "ends with a dash -"),
        ("Support.", {}, "Support."),
        ("{title}", {}, ""),
    ],
)
def test_a_word_without_a_value_goes_with_its_separator(
    template: str, values: dict[str, str], text: str
) -> None:
    assert parse(template).filled_in(values) == text


def test_a_strangers_text_can_neither_break_the_line_nor_turn_it_around() -> None:
    title = "one\r\ntwo\tthree\x00\x1b[31m\u202eruof\u2028five"
    assert parse("{title}").filled_in({"title": title}) == "one two three [31m ruof five"


def test_a_long_text_is_cut_and_says_so() -> None:
    text = parse("{title}").filled_in({"title": "x" * 10_000})
    assert len(text) == MOST
    assert text.endswith("...")


@pytest.mark.parametrize(
    "template", ["{rolle}", "{", "}", "{{title}}", "{title", "{}", "{title.x}"]
)
def test_what_is_no_word_in_braces_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"unknown word|needs its"):
        parse(template)


@given(st.dictionaries(st.sampled_from(sorted(WORDS)), st.text(max_size=700)))
def test_any_values_give_one_clean_line(values: dict[str, str]) -> None:
    text = TEMPLATE.filled_in(values)
    assert len(text) <= MOST
    assert text == text.strip()
    assert text.replace("\u200c", "").replace("\u200d", "").isprintable()
