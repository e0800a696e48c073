"""What invoices look like: groups, texts in the customer's language, scope, contradictions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import Event
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money
from mappings.book import Book
from mappings.descriptions import INVOICE_WORDS, WORDS, fill_in_lines
from mappings.languages import day_text, money_text, number_text, period_text
from mappings.periods import SCHEDULES, period_of
from mappings.pricing import Held, Outcome, Priced
from mappings.texts import worded
from tests.mappings.conftest import ACME, Files

Load = Callable[[str], Book]
Change = Callable[..., list[str]]
MakeEvent = Callable[..., Event]


def bill_with(bill: str) -> str:
    return f"  - rule: Hours\n    when: {{event: time.logged}}\n    bill: {{{bill}}}\n"


def text_of(words: str, more: str = "") -> str:
    return bill_with(f'description: "{words}", quantity: hours, unit_price: rate{more}')


def in_language(book: Book, code: str, **form: Any) -> Book:
    """Return the book with its customer's texts in another language."""
    customer = book.customers["acme"]
    changed = replace(customer, form=replace(customer.form, language=code, **form))
    return Book(book.files, book.workspace, [changed])


def priced(outcome: Outcome) -> Priced:
    assert isinstance(outcome, Priced), outcome
    return outcome


@pytest.mark.parametrize(
    ("word", "english", "german"),
    [
        ("date", "2026-03-04", "04.03.2026"),
        ("date:long", "4 March 2026", "4. März 2026"),
        ("date:short", "4 Mar", "4. März"),
        ("week", "2026-W10", "2026-W10"),
        ("month", "March 2026", "März 2026"),
        ("month:short", "Mar 2026", "März 2026"),
        ("period", "March 2026", "März 2026"),
        ("period:long", "1–31 Mar 2026", "1.–31. März 2026"),
        ("hours", "0.8333", "0,8333"),
        ("quantity", "0.8333", "0,8333"),
        ("unit_price", "120.00 EUR", "120,00 EUR"),
        ("amount", "100.00 EUR", "100,00 EUR"),
        ("customer", "Acme GmbH", "Acme GmbH"),
        ("purchase_order", "PO-4471", "PO-4471"),
        ("contract", "C-12", "C-12"),
        ("activity", "Design", "Design"),
        ("labels", "ux, web", "ux, web"),
        ("rule", "Hours", "Hours"),
    ],
)
def test_a_word_is_written_in_the_customers_language(
    with_rules: Load, logged: MakeEvent, word: str, english: str, german: str
) -> None:
    book = with_rules(text_of(f"{{{word}}}"))
    event = logged(labels=("ux", "web"), fields={"activity": "Design"})
    texts = [
        priced(in_language(book, code, contract="C-12").price(event)).description
        for code in ("en", "de")
    ]
    assert texts == [english, german]


def test_every_word_has_a_value_or_a_fact_behind_it(with_rules: Load, logged: MakeEvent) -> None:
    tested = {"title", "item", "project", "person", "role", "scope"}
    text = " ".join(f"{{{word}}}" for word in WORDS if word not in {"scope", "contract"})
    line = priced(with_rules(text_of(text)).price(logged()))
    assert "{" not in line.description
    assert tested < set(WORDS)


@pytest.mark.parametrize(
    ("key", "changes", "group"),
    [
        ("item", {}, "ACME-7"),
        ("person", {}, "Ana"),
        ("role", {}, "senior"),
        ("activity", {"fields": {"activity": "Design", "task": "Other"}}, "Design"),
        ("activity", {"fields": {"task": "Review"}}, "Review"),
        ("day", {}, "2026-03-04"),
        ("week", {"on": date(2027, 1, 3)}, "2026-W53"),
        ("month", {}, "2026-03"),
        ("project", {}, "ACME"),
        ("label", {"labels": ("web", "ux")}, "ux, web"),
        ("title", {}, "Login page"),
        ("rule", {}, "Hours"),
        ("all", {}, "all in one"),
    ],
)
@pytest.mark.parametrize("code", ["en", "de"])
def test_entries_are_grouped_alike_in_every_language(
    with_rules: Load, logged: MakeEvent, key: str, changes: Any, group: str, code: str
) -> None:
    book = with_rules(text_of("Support", f", one_line_per: {key}"))
    assert priced(in_language(book, code).price(logged(**changes))).group == (group,)


SCOPED = ACME.replace(
    "rates:\n",
    """\
scope:
  - {text: "Security audit, Phase 2", when: {project: ACME, labels: audit}}
  - {text: Work of Ana, when: {person: Ana}}
rates:
""",
)
SCOPED = SCOPED.replace("{role} engineering, {item} {title}", "{scope}: {item}")
SCOPED = SCOPED.replace("[item, person]", "[scope, item]")


def test_the_first_scope_that_fits_gives_the_text(files: Files, logged: MakeEvent) -> None:
    book = Book.load({**files, "acme.yaml": SCOPED})
    audit = priced(book.price(logged(labels=("audit",))))
    assert audit.description == "Security audit, Phase 2: ACME-7"
    assert priced(book.price(logged())).description == "Work of Ana: ACME-7"


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("5c20b", 'rule "Engineering hours": no scope fits - add what was agreed under scope:'),
        ("nobody", '(scope "Work of Ana" asks for it)'),
    ],
)
def test_work_outside_of_every_scope_waits_for_a_person(
    files: Files, logged: MakeEvent, person: str, reason: str
) -> None:
    scoped = SCOPED.replace("unit_price: rate", "unit_price: 90")
    book = Book.load({**files, "acme.yaml": scoped})
    held = book.price(logged(person=person, endpoint="jira-acme"))
    assert isinstance(held, Held)
    assert reason in held.reason


def test_the_scope_decides_the_line_also_where_the_text_is_silent(
    files: Files, logged: MakeEvent
) -> None:
    silent = SCOPED.replace("{scope}: {item}", "Work").replace("[scope, item]", "scope")
    book = Book.load({**files, "acme.yaml": silent})
    assert priced(book.price(logged())).group == ("Work of Ana",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[item, person]", "person", "{item} differs between the entries of one line - add item"),
        ("[item, person]", "all", "add role instead of one_line_per:"),
        ("[item, person]", "[all, item]", "all puts everything on one line"),
        ("{role} engineering, {item} {title}", "{hours} h", "{hours} is another one for each"),
        ("{role} engineering, {item} {title}", "{amount}", "the line shows its own quantity"),
        ("{role} engineering, {item} {title}", "{date}", "add day to one_line_per:"),
        ("{role} engineering, {item} {title}", "{date:long}", "add day to one_line_per:"),
        ("{role} engineering, {item} {title}", "{week}", "add week to one_line_per:"),
        ("{role} engineering, {item} {title}", "{labels}", "add label to one_line_per:"),
        ("{role} engineering, {item} {title}", "{activity}", "add activity to one_line_per:"),
        ("{role} engineering, {item} {title}", "{factor}", "add factor to one_line_per:"),
        ("{role} engineering, {item} {title}", "{scope}", "{scope} needs scope:"),
        ("[item, person]", "[item, person, scope]", "one_line_per: {scope} needs scope:"),
        ("{role} engineering, {item} {title}", "{fields.x}", 'unknown word "{fields.x}"'),
        ("{role} engineering, {item} {title}", "{date:lang}", 'did you mean "date:long"?'),
        ("rates:\n", "order: [day, day]\nrates:\n", "order: day stands twice"),
        ("rates:\n", "order: size\nrates:\n", '"size" is not one of: project, day'),
        ("rates:\n", "language: xx\nrates:\n", '"xx" is not a language like de or pt-BR'),
        ("rates:\n", "language: de_DE\nrates:\n", "write the language, and the country"),
        ("rates:\n", "late: never\nrates:\n", "is not one of: next invoice, own invoice, hold"),
        ("rates:\n", 'memo: "{totl}"\nrates:\n', 'unknown word "{totl}" - did you mean "total"?'),
        ("rates:\n", 'footer: "{item}"\nrates:\n', 'unknown word "{item}"'),
        ("rates:\n", "scope: [{when: {project: A}}]\nrates:\n", 'the word "text" is missing'),
        (
            "rates:\n",
            "scope: [{text: A}, {text: B}]\nrates:\n",
            'scope "B": is never reached: the one in line 12 fits every event',
        ),
        (
            "rates:\n",
            "scope: [{text: A, when: {person: Ann}}]\nrates:\n",
            'scope "A", when, person: no person "Ann" in workspace.yaml',
        ),
    ],
)
def test_a_contradiction_is_named(mistakes: Change, old: str, new: str, expected: str) -> None:
    found = mistakes(old, new)
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("words", "keys", "schedule"),
    [
        ("{item} {title}", "item", "monthly"),
        ("{role} {person}", "person", "monthly"),
        ("{month} {month:short} {period} {period:long}", "rule", "monthly"),
        ("{date} {date:long} {week} {month}", "day", "yearly"),
        ("{week}", "all", "weekly"),
        ("{date} {week} {month}", "all", "at once"),
        ("{project} {rule} {unit_price} {customer} {purchase_order}", "all", "yearly"),
        ("{hours} {amount} {quantity} {item}", None, "monthly"),
    ],
)
def test_a_text_that_fits_its_line_is_no_mistake(
    with_rules: Load, words: str, keys: str | None, schedule: str
) -> None:
    grouped = f", one_line_per: {keys}" if keys else ""
    assert with_rules(text_of(words, grouped) + f"    invoice: {schedule}\n")


@pytest.mark.parametrize("schedule", ["every two weeks", "quarterly", "yearly"])
def test_the_month_needs_a_group_where_a_period_has_several(files: Files, schedule: str) -> None:
    yearly = ACME.replace("invoice: monthly", f"invoice: {schedule}")
    yearly = yearly.replace("{role} engineering, {item} {title}", "{month}")
    with pytest.raises(Exception, match=r"\{month\} differs"):
        Book.load({**files, "acme.yaml": yearly})
    grouped = yearly.replace("[item, person]", "[item, month]")
    assert Book.load({**files, "acme.yaml": grouped})


DRAFT = InvoiceDraft(
    reference="acme-2026-Q1",
    customer=BilledCustomer("acme", "Acme GmbH"),
    currency="EUR",
    lines=(PrintedLine("Work", Decimal("1.00"), Decimal("1234.50"), 123450),),
    period_from=date(2026, 1, 1),
    period_to=date(2026, 3, 31),
    days_until_due=30,
    purchase_order="PO-1",
    memo="{period} for {customer}\n\n  kept as it is:  {total}",
    footer="{number}, PO {purchase_order}, {days} days, {contract}",
)


def test_memo_and_footer_are_filled_in_line_by_line(book: Book) -> None:
    form = replace(book.customers["acme"].form, language="de")
    told = worded(DRAFT, "quarterly", form)
    assert told.memo == "Q1 2026 for Acme GmbH\n\nkept as it is:  1.234,50 EUR"
    assert told.footer == "acme-2026-Q1, PO PO-1, 30 days"
    plain = replace(DRAFT, memo="  as it is ", footer=None)
    assert worded(plain, "quarterly", form) == plain


@given(st.text(st.characters(exclude_characters="{}")))
def test_a_memo_without_words_stays_as_it_is(text: str) -> None:
    assert fill_in_lines(text, dict.fromkeys(INVOICE_WORDS, "x")) == text


@given(st.decimals(-(10**12), 10**12, places=6), st.integers(-(10**15), 10**15))
def test_no_digit_of_a_number_is_lost_in_any_language(number: Decimal, minor: int) -> None:
    for code in ("en", "de", "fr", "de-CH", "ja"):
        digits, places = _digits(number_text(code, number))
        assert Decimal(digits).scaleb(-places) == abs(number)
        shown = money_text(code, Money(minor, "EUR"))
        assert int("".join(each for each in shown if each.isdigit())) == abs(minor)


def _digits(text: str) -> tuple[int, int]:
    """Return the digits of a number with decimals, and how many of them are decimals."""
    decimals = re.split(r"[^0-9]", text)[-1]
    return int("".join(each for each in text if each.isdigit())), len(decimals)


@pytest.mark.parametrize("code", ["en", "de", "fr", "pt-BR", "ja", "ar", "fa", "th"])
def test_a_text_of_any_language_is_one_plain_line(code: str) -> None:
    texts = [day_text(code, date(2026, 3, 4), form) for form in ("", "long", "short")]
    for schedule in SCHEDULES:
        period = period_of(schedule, date(2026, 12, 30))
        texts += [period_text(code, period, form) for form in ("", "long")]
    for text in texts:
        assert text
        assert text.replace("\u200c", "").isprintable()
