"""Shares of a contract sum and of one fact: the parts add up, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import LineItem
from ledger.errors import ConfigurationError
from ledger.events import Event
from ledger.money import line_amount
from mappings.book import Book
from mappings.judging import judge
from mappings.pricing import Held, Priced

RULES = """\
  - rule: Relaunch
    when: {event: milestone.completed}
    bill:
      description: "{title}"
      contract_sum: 10000.01
      shares: {"Phase 1*": 30 %, "Phase 2": 40%, "Phase 3*": 30 %}
  - rule: Portal
    when: {event: time.logged}
    bill: {description: "{title}", quantity: hours, unit_price: 100.00}
    split: {acme: 50 %, beta: 30.5 %, gamma: 19.5 %}
"""
Files = dict[str, str]


@pytest.fixture(scope="module")
def sharing(files: Files) -> Files:
    """The files of a firm with three customers, one of whose rules know shares."""
    start, rest = files["acme.yaml"].split("rules:\n")
    assert rest
    other = files["acme.yaml"].partition("tests:")[0].replace("project: [ACME, ", "project: [")
    return {
        **files,
        "acme.yaml": f"{start}rules:\n{RULES}",
        "beta.yaml": other.replace("customer: acme", "customer: beta"),
        "gamma.yaml": other.replace("customer: acme", "customer: gamma").replace(
            "invoice: monthly", "invoice: weekly"
        ),
    }


@pytest.fixture(scope="module")
def sharing_book(sharing: Files) -> Book:
    return Book.load(sharing)


def milestone(title: str | None) -> Event:
    return Event(
        kind="milestone.completed",
        source="github",
        endpoint="github",
        subject="milestone:1",
        version=1,
        occurred_at=datetime(2026, 3, 4, tzinfo=UTC),
        on=date(2026, 3, 4),
        project="ACME",
        title=title,
    )


def test_the_shares_of_a_contract_sum_add_up_to_it(sharing_book: Book) -> None:
    titles = ["Phase 1: design", "PHASE 2", "phase 3"]
    priced = [sharing_book.price(milestone(title)) for title in titles]
    assert [each.amount for each in priced if isinstance(each, Priced)] == [300000, 400001, 300000]
    first = priced[0]
    assert isinstance(first, Priced)
    assert first.quantity == 1
    assert first.steps[1].startswith("30 % of the contract sum 10000.01 (acme.yaml:")


@pytest.mark.parametrize("title", ["Phase 4", "Phase 2b", None])
def test_a_title_that_fits_no_share_is_held(sharing_book: Book, title: str | None) -> None:
    held = sharing_book.price(milestone(title))
    assert isinstance(held, Held)
    assert "fits no share of the contract sum - add it under shares:" in held.reason


def test_a_title_that_fits_two_shares_is_held(sharing: Files) -> None:
    text = sharing["acme.yaml"].replace('"Phase 1*"', '"*design"')
    held = Book.load({**sharing, "acme.yaml": text}).price(milestone("Phase 3: design"))
    assert isinstance(held, Held)
    assert 'fits the shares "*design" and "Phase 3*"' in held.reason


@pytest.mark.parametrize(
    ("shares", "amounts"),
    [
        ('shares: {"Phase 1": 33.3333 %}\n      rest: ["Phase 2", "Phase 3"]', [333333, 666668]),
        ("share: 33.3333 %", [333333, 333333]),
    ],
)
def test_what_shares_leave_is_the_rest(sharing: Files, shares: str, amounts: list[int]) -> None:
    old = 'shares: {"Phase 1*": 30 %, "Phase 2": 40%, "Phase 3*": 30 %}'
    book = Book.load({**sharing, "acme.yaml": sharing["acme.yaml"].replace(old, shares)})
    priced = [book.price(milestone(title)) for title in ("Phase 1", "Phase 3")]
    assert [each.amount for each in priced if isinstance(each, Priced)] == amounts


def test_each_payer_gets_a_line_on_its_own_kind_of_invoice(
    sharing_book: Book, logged: Callable[..., Event]
) -> None:
    verdict = judge(sharing_book, logged(seconds=1000))
    assert (verdict.customer, verdict.payers) == ("acme", ("acme", "beta", "gamma"))
    lines = {line.customer: line for line in verdict.lines}
    assert [(line.amount, line.seconds) for line in verdict.lines] == [
        (1389, 500),
        (847, 305),
        (542, 195),
    ]
    assert lines["beta"].description == "Login page (30.5 %)"
    assert (lines["gamma"].schedule, lines["gamma"].period_to) == ("weekly", date(2026, 3, 8))
    assert (lines["acme"].schedule, lines["acme"].period_to) == ("monthly", date(2026, 3, 31))
    assert lines["beta"].steps[-1].startswith("beta pays 30.5 % of 27.78 EUR (acme.yaml:")
    assert lines["beta"].steps[-1].endswith(": 8.47 EUR, as 0.0847 x 100.00")


def test_a_rule_with_its_own_schedule_has_it_for_all_payers(
    sharing: Files, logged: Callable[..., Event]
) -> None:
    text = sharing["acme.yaml"].replace("    split:", "    invoice: at once\n    split:")
    lines = judge(Book.load({**sharing, "acme.yaml": text}), logged()).lines
    assert {line.schedule for line in lines} == {"at once"}


def whole(seconds: int, amount_of: str) -> LineItem:
    quantity, price = Decimal(seconds).scaleb(-4), Decimal(amount_of)
    return LineItem(
        customer="acme",
        project="ACME",
        item=None,
        person=None,
        on=date(2026, 3, 4),
        description="x" * 500,
        quantity=quantity,
        unit_price=price,
        currency="EUR",
        amount=line_amount(quantity, price, "EUR").minor,
        seconds=seconds,
        rule="Portal",
        mapping_version="v",
        grouping=(),
        schedule="monthly",
        period_from=date(2026, 3, 1),
        period_to=date(2026, 3, 31),
        steps=(),
        event_id=None,
    )


@given(st.integers(0, 100_000), st.decimals("0.01", 10_000, places=2).map(str))
def test_the_parts_of_several_payers_add_up(sharing_book: Book, seconds: int, price: str) -> None:
    line = whole(seconds, price)
    split = sharing_book.customers["acme"].rules[1].split
    assert split is not None
    parts = split.divided(line, sharing_book.customers)
    assert sum(part.amount for part in parts) == line.amount
    assert sum(part.seconds for part in parts) == line.seconds
    for part, payer in zip(parts, split.payers, strict=True):
        assert abs(part.amount - line.amount * payer.percent / 100) < 1
        assert line_amount(part.quantity, part.unit_price, "EUR").minor == part.amount
        assert len(part.description) <= 500
        assert part.description.endswith(f"({payer.percent} %)")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("contract_sum: 10000.01", "memo: x", 'unknown word "memo"'),
        ("contract_sum: 10000.01", "contract_sum: 10000.001", "more decimal places than EUR"),
        ("contract_sum: 10000.01", "quantity: 1", "says a share, but not of what"),
        ("contract_sum: 10000.01", "contract_sum: 1\n      quantity: 1", "leave one of the two"),
        ("contract_sum: 10000.01", "contract_sum: 1\n      share: 30 %", "write one of the two"),
        ("contract_sum: 10000.01", "contract_sum: 1\n      rest: x", "leaves nothing of the"),
        ("40%", "39.5 %", "they come to 99.5 %, not to 100 % - correct them - or say under rest:"),
        ("40%", "45 %", "they come to 105 %, not to 100 % - correct them"),
        ("40%", "40", "is not a percentage like 30 %"),
        ("40%", "0 %", "it is above 0 and at most 100"),
        ('"Phase 2"', '"Phase 10*"', 'a title can fit both "Phase 1*" and "Phase 10*"'),
        ("{acme: 50 %,", "{acme: 40 %,", "the shares come to 90.0 %, not to 100 %"),
        ("gamma:", "gama:", 'no customer "gama" - did you mean "gamma"?'),
        ("gamma:", "Gamma:", "is not a short name of small letters"),
    ],
)
def test_a_mistake_in_shares_is_named(sharing: Files, old: str, new: str, said: str) -> None:
    assert old in sharing["acme.yaml"]
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "acme.yaml": sharing["acme.yaml"].replace(old, new, 1)})
    assert any(said in mistake for mistake in found.value.mistakes), found.value.mistakes
    assert all(mistake.startswith("acme.yaml:") for mistake in found.value.mistakes)


def test_all_payers_have_one_currency(sharing: Files) -> None:
    text = sharing["beta.yaml"].replace("currency: EUR", "currency: USD")
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "beta.yaml": text})
    (mistake,) = found.value.mistakes
    assert "beta pays in USD, and acme in EUR - name only payers of one currency" in mistake
    assert 'rule "Portal", split' in mistake


def test_a_payer_in_a_file_with_mistakes_is_not_reported_as_unknown(sharing: Files) -> None:
    text = sharing["beta.yaml"].replace("currency: EUR", "currency: EURO")
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "beta.yaml": text})
    assert all(mistake.startswith("beta.yaml:") for mistake in found.value.mistakes)


def test_nothing_cannot_be_shared(sharing: Files) -> None:
    bill = 'bill: {description: "{title}", quantity: hours, unit_price: 100.00}'
    text = sharing["acme.yaml"].replace(bill, "bill: nothing")
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "acme.yaml": text})
    assert "nothing to share where nothing is billed" in found.value.mistakes[0]


def test_what_is_counted_together_has_one_payer(sharing: Files) -> None:
    bill = '{description: "{title}", quantity: hours, unit_price: 100.00}'
    assert bill in sharing["acme.yaml"]
    together = (
        "{description: Portal, quantity: hours, unit_price: 100.00, round: up to 1 hour per day}"
    )
    text = sharing["acme.yaml"].replace(bill, together)
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "acme.yaml": text})
    assert "what is counted together has one payer - leave split: out" in found.value.mistakes[0]


def test_hours_with_overtime_have_one_payer(sharing: Files) -> None:
    overtime = "overtime: [{overtime: Long, after: 8 hours per person and day, times: 1.5}]\n"
    text = sharing["acme.yaml"].replace("rules:\n", f"{overtime}rules:\n", 1)
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "acme.yaml": text})
    assert "hours with overtime have one payer - leave split: out" in found.value.mistakes[0]


@pytest.mark.parametrize("word", ["discount: 5 %", "minimum: 5.00", "markup: 5 %"])
def test_what_changes_a_price_does_not_stand_beside_a_contract_sum(
    sharing: Files, word: str
) -> None:
    text = sharing["acme.yaml"]
    text = text.replace("contract_sum: 10000.01\n", f"contract_sum: 10000.01\n      {word}\n")
    with pytest.raises(ConfigurationError) as found:
        Book.load({**sharing, "acme.yaml": text})
    said = word.partition(":")[0]
    assert f"bill, {said}: stands beside contract_sum:, which is" in found.value.mistakes[0]


TAXES = "taxes: [{tax: DE19, rate: 19 %}, {tax: EX, exempt: yes, text: Training.}]\ntax: DE19\n"
FRENCH = """\
taxes:
  - {tax: RC, reverse_charge: yes, text: The customer owes the tax., from: 2026-03-01}
  - {tax: EX, exempt: yes, text: Formation.}
tax: RC
"""


def taxed(files: Files, **taxes: str) -> Book:
    """Return the sharing firm, some of its customers with taxes."""
    changed = {
        f"{key}.yaml": files[f"{key}.yaml"].replace("rates:\n", f"{text}rates:\n", 1)
        for key, text in taxes.items()
    }
    return Book.load({**files, **changed})


@pytest.mark.parametrize(
    ("taxes", "expected"),
    [
        ({"acme": TAXES}, {"acme": "DE19 19 %", "beta": "", "gamma": ""}),
        ({"beta": TAXES}, {"acme": "", "beta": "DE19 19 %", "gamma": ""}),
        (
            {"acme": TAXES, "beta": FRENCH, "gamma": TAXES.replace("19 %", "16 %")},
            {"acme": "DE19 19 %", "beta": "RC reverse charge", "gamma": "DE19 16 %"},
        ),
    ],
)
def test_each_payer_pays_its_own_tax(
    sharing: Files,
    logged: Callable[..., Event],
    taxes: dict[str, str],
    expected: dict[str, str],
) -> None:
    lines = judge(taxed(sharing, **taxes), logged(labels=("portal",))).lines
    assert {line.customer: line.tax for line in lines if line.customer in expected} == {
        line.customer: expected[line.customer] for line in lines
    }
    assert len(lines) > 1


def test_a_part_waits_where_no_tax_of_its_payer_holds(
    sharing: Files, logged: Callable[..., Event]
) -> None:
    book = taxed(sharing, acme=TAXES, beta=FRENCH, gamma=FRENCH)
    found = judge(book, logged(labels=("portal",), on=date(2026, 2, 28)))
    assert found.state == "held"
    assert "no tax RC of " in (found.reason or "")


@pytest.mark.parametrize(
    ("taxes", "mistake"),
    [
        (TAXES + "prices: gross\n", "are not both net or both gross"),
        (TAXES.replace("DE19", "X").replace("tax: X\n", ""), "has taxes, but none for this"),
    ],
)
def test_parts_that_mean_something_else_to_a_payer_are_a_mistake(
    sharing: Files, taxes: str, mistake: str
) -> None:
    if "tax: X" in taxes:
        rule = "rules: [{rule: A, bill: {description: A, quantity: 1, unit_price: 1, tax: X}}]\n"
        sharing = {**sharing, "beta.yaml": sharing["beta.yaml"].split("rules:")[0] + rule}
    with pytest.raises(ConfigurationError, match=mistake):
        taxed(sharing, acme=TAXES, beta=taxes)
