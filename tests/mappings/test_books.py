"""`books:`: who the customer is in the accounting system, and where its lines stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import calendar
from ledger.errors import ConfigurationError
from ledger.events import Event
from ledger.invoices import Coding, PrintedLine, coding_from_json, coding_of
from ledger.printing import ALL_IN_ONE, NumberedLine, print_lines
from ledger.sums import brought_together, coding_of_most
from mappings.book import Book
from mappings.judging import judge, sum_up
from mappings.pricing import Priced
from tests.mappings.conftest import ACME, WORKSPACE

Mistakes = Callable[..., list[str]]
Logged = Callable[..., Event]
SAID = """\
books:
  customer: C-17
  item: Consulting
  account: "0200"
  tax_code: OUTPUT2
  tracking: {Region: North, Team: Web}
"""
OF_THE_RULE = '      books: {account: "493", tracking: {Team: Travel}}\n'
CUSTOMERS = Coding("Consulting", "0200", "OUTPUT2", (("Region", "North"), ("Team", "Web")))
RULES = Coding("Consulting", "493", "OUTPUT2", (("Region", "North"), ("Team", "Travel")))


def text_of(said: str = SAID, of_the_rule: str = "", more: str = "") -> str:
    text = ACME.replace("rates:\n", f"{said}{more}rates:\n", 1)
    return text.replace("unit_price: rate\n", f"unit_price: rate\n{of_the_rule}", 1)


def book_of(said: str = SAID, of_the_rule: str = "", more: str = "", **files: str) -> Book:
    others = {f"{name}.yaml": text for name, text in files.items()}
    text = text_of(said, of_the_rule, more)
    return Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text, **others})


def printed(book: Book, *events: Event) -> tuple[PrintedLine, ...]:
    """Return what some events come to in print, with all sums and agreements."""
    lines = [line for event in events for line in judge(book, event).lines]
    together = brought_together(
        lines,
        lambda _, pool: sum_up(book, "acme", pool),
        book.customers["acme"].agreements.of_version(book.version, "en"),
    )
    return print_lines([NumberedLine(each.id, each.line) for each in together], {})


def test_what_a_file_says_is_there() -> None:
    books = book_of().customers["acme"].books
    assert (books.remote_id, books.may_be_created, books.coding) == ("C-17", False, CUSTOMERS)
    created = book_of("books: {create: yes}\n").customers["acme"].books
    assert (created.remote_id, created.may_be_created, created.coding) == (None, True, Coding())
    assert book_of("").customers["acme"].books.at is None


@pytest.mark.parametrize(
    ("said", "of_the_rule", "coding"),
    [
        ("", "", Coding()),
        (SAID, "", CUSTOMERS),
        (SAID, OF_THE_RULE, RULES),
        ("", '      books: {account: "493"}\n', Coding(account="493")),
    ],
)
def test_a_rules_words_count_before_the_customers_word_by_word(
    logged: Logged, said: str, of_the_rule: str, coding: Coding
) -> None:
    (line,) = printed(book_of(said, of_the_rule), logged())
    assert line.coding == coding
    assert coding_of(coding.key) == coding_from_json(coding.as_json()) == coding


@pytest.mark.parametrize("grouping", [ALL_IN_ONE, ("ACME-7",)])
def test_what_differs_in_the_books_never_shares_a_line(
    logged: Logged, grouping: tuple[str, ...]
) -> None:
    (priced,) = judge(book_of(SAID, OF_THE_RULE), logged()).lines
    priced = replace(priced, grouping=grouping)
    other = replace(priced, coding="")
    lines = [NumberedLine(1, priced), NumberedLine(2, other), NumberedLine(3, priced)]
    found = print_lines(lines, {})
    assert [(line.coding, line.line_items) for line in found] == [(RULES, (1, 3)), (Coding(), (2,))]


def test_rounding_is_made_up_for_where_it_came_about(logged: Logged) -> None:
    (priced,) = judge(book_of(SAID, OF_THE_RULE), logged()).lines
    third = replace(
        priced, quantity=priced.quantity / 4, unit_price=priced.unit_price + 1, grouping=("g",)
    )
    lines = [
        NumberedLine(1, replace(third, amount=3025)),
        NumberedLine(2, replace(third, amount=3024)),
        NumberedLine(3, replace(third, amount=3026, coding="")),
    ]
    by_coding: dict[Coding, int] = {}
    for line in print_lines(lines, {}):
        by_coding[line.coding] = by_coding.get(line.coding, 0) + line.amount
    assert by_coding == {RULES: 6049, Coding(): 3026}


def test_a_fee_stands_where_the_customers_lines_stand(logged: Logged) -> None:
    fee = """\
fees:
  - {fee: Hosting, description: Hosting, unit_price: 50.00, every: month, due: in advance,
     from: 2026-01-01}
"""
    book = book_of(SAID, OF_THE_RULE, fee)
    due = replace(
        logged(),
        kind="fee.due",
        source="calendar",
        endpoint=calendar.NAME,
        fields={"customer": "acme", "fee": "Hosting", "from": "2026-03-01", "to": "2026-03-31"},
    )
    priced = book.price(due)
    assert isinstance(priced, Priced)
    assert coding_of(priced.coding) == CUSTOMERS


def test_what_is_about_several_lines_stands_where_most_of_the_money_does(logged: Logged) -> None:
    more = """\
discounts: [{discount: Loyal, percent: 10 %}]
minimum_fee: {at_least: 5000.00}
"""
    other = """\
  - rule: Travel
    when: {event: expense.logged}
    bill: {description: "{title}", quantity: 1, unit_price: 30.00}
"""
    text = text_of(SAID, OF_THE_RULE, more).replace("rules:\n", f"rules:\n{other}", 1)
    book = Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text})
    found = printed(book, logged(), logged(kind="expense.logged", subject="expense:1"))
    assert {line.description.partition(",")[0]: line.coding for line in found} == {
        "senior engineering": RULES,
        "Login page": CUSTOMERS,
        "Loyal": RULES,
        "Up to the minimum fee of 5": RULES,
    }


def test_what_is_counted_together_stands_as_the_rules_say_now(logged: Logged) -> None:
    old = ACME.replace("round: up to 15 minutes per entry", "round: up to 1 hour per day")
    old = old.replace("      one_line_per: [item, person]\n", "")
    old = old.replace("{role} engineering, {item} {title}", "Engineering")
    before = Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": old})
    after = Book.load(
        {
            "workspace.yaml": WORKSPACE,
            "acme.yaml": old.replace("rates:\n", f"{SAID}rates:\n", 1),
        }
    )
    first, second = logged(), logged(subject="worklog:2", seconds=1200)
    lines = [*judge(before, first).lines, *judge(after, second).lines]
    for some in (lines, lines[::-1]):
        (due,) = sum_up(after, "acme", some)
        assert (coding_of(due.coding), due.amount) == (CUSTOMERS, 24000)


def test_a_payer_has_books_of_its_own(logged: Logged) -> None:
    split = OF_THE_RULE + "    split: {acme: 50 %, beta: 50 %}\n"
    start, rest = text_of(SAID).split("      one_line_per: [item, person]\n")
    shared = f"{start}      one_line_per: [item, person]\n{split}{rest}"
    beta = ACME.partition("tests:")[0].replace("customer: acme", "customer: beta")
    beta = beta.replace('takes: {project: [ACME, ACME-INT, SITE, "acme/*"]}', "takes: {project: B}")
    beta = beta.replace("rates:\n", 'books: {item: Work, account: "1"}\nrates:\n', 1)
    book = Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": shared, "beta.yaml": beta})
    codings = {line.customer: coding_of(line.coding) for line in judge(book, logged()).lines}
    of_beta = Coding(item="Work", account="493", tracking=(("Team", "Travel"),))
    assert codings == {"acme": RULES, "beta": of_beta}


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("books: C-17", "books: must be a table"),
        ("books: {}", "books: says nothing - write customer:, create: or where lines stand"),
        ("books: {acount: 5}", 'books: unknown word "acount" - did you mean "account"?'),
        ("books: {create: maybe}", 'books, create: "maybe" is not one of: yes, no'),
        ("books: {tracking: North}", "books, tracking: must be a table"),
        ("books: {account: }", "books, account: has no value - write a text"),
        ("books: {tracking: {Region: [A, B]}}", 'tracking "Region": a list cannot stand here'),
    ],
)
def test_every_mistake_is_told_with_what_to_do(mistakes: Mistakes, line: str, mistake: str) -> None:
    (found,) = mistakes("terms: net 30", f"terms: net 30\n{line}")
    assert found.startswith("acme.yaml:8:")
    assert mistake in found


@pytest.mark.parametrize("word", ["customer: C-17", "create: yes"])
def test_who_the_customer_is_there_is_no_matter_of_a_rule(mistakes: Mistakes, word: str) -> None:
    (found,) = mistakes("unit_price: rate", f"unit_price: rate\n      books: {{{word}}}")
    assert f'rule "Engineering hours", bill, books: unknown word "{word.split(":")[0]}"' in found


def test_a_shared_file_may_say_where_lines_stand_but_not_who_a_customer_is() -> None:
    extending = ACME.replace("rates:\n", "extends: usual\nbooks: {item: Own}\nrates:\n", 1)
    usual = "format: 1\nshared: usual\nbooks: {account: '200', item: Work, create: yes}\n"
    files = {"workspace.yaml": WORKSPACE, "acme.yaml": extending, "usual.yaml": usual}
    books = Book.load(files).customers["acme"].books
    assert (books.coding, books.may_be_created) == (Coding("Own", "200"), True)
    files["usual.yaml"] = usual.replace("account:", "customer: C-1, account:")
    with pytest.raises(ConfigurationError, match="is one customer's id") as caught:
        Book.load(files)
    assert caught.value.mistakes[0].startswith("usual.yaml:3:")


@pytest.mark.parametrize(
    ("expected", "passes"),
    [
        ('{account: "493"}', True),
        ('{account: "493", item: Consulting, tracking: {Region: North}}', True),
        ('{account: "200"}', False),
        ("{tracking: {Team: Web}}", False),
    ],
)
def test_a_test_may_say_where_a_line_stands(expected: str, passes: bool) -> None:
    given = "{event: time.logged, project: ACME, person: Ana, seconds: 60, on: 2026-03-04}"
    more = f"  - test: T\n    given: {given}\n    expect: {{books: {expected}}}\n"
    text = text_of(SAID, OF_THE_RULE) + more
    book = Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text})
    result = next(each for each in book.run_tests() if each.name == "T")
    assert result.passed is passes
    assert passes or '"account":"493"' in result.got


CODINGS = st.builds(
    Coding,
    item=st.none() | st.text(min_size=1, max_size=3),
    account=st.none() | st.sampled_from(["200", "493"]),
    tax_code=st.none() | st.just("T"),
    tracking=st.dictionaries(st.sampled_from("ABC"), st.sampled_from("xy")).map(
        lambda found: tuple(sorted(found.items()))
    ),
)


@given(one=CODINGS, two=CODINGS, three=CODINGS)
def test_words_are_laid_over_each_other_in_any_grouping(
    one: Coding, two: Coding, three: Coding
) -> None:
    assert one.over(two.over(three)) == one.over(two).over(three)
    assert one.over(Coding()) == Coding().over(one) == one.over(one) == one
    assert coding_of(one.key) == one
    assert (one.key == two.key) == (one == two)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 5)), min_size=1), st.randoms())
def test_where_most_of_the_money_stands_does_not_depend_on_the_order(
    amounts: list[tuple[str, int]], random: object
) -> None:
    shuffled = list(amounts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert coding_of_most(shuffled) == coding_of_most(amounts)
