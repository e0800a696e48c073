"""What rules promise and a billing system cannot do is told by `flask rules check`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import fit
from app import create_app
from connectors.connector import Abilities
from connectors.file.connector import FileConnector
from console.commands.rules import rules
from fit import Misfits, misfits
from mappings.book import Book
from tests.journeys.office import Office, open_office
from tests.mappings.conftest import ACME, WORKSPACE

PLAIN = Abilities(
    native_draft=True,
    idempotency_keys=False,
    key_life=timedelta(0),
    most_lines=100,
    quantity_places=2,
    price_places=2,
    carries=frozenset(),
    books=frozenset(("account",)),
)
"""The abilities of a system that can do little."""
EVERY_WORD = """\
memo: Work
footer: Thanks
late_payment: Interest is due.
payment_methods: card
early_payment: 2 % within 10 days
after_push: finalize
books: {customer: C-1, account: "200", tracking: {A: B}}
"""
Able = Callable[[Abilities], None]


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> Able:
    """Return a function that gives the only connector other abilities."""

    def become(abilities: Abilities) -> None:
        plain = type("Plain", (FileConnector,), {"name": "Plain", "abilities": abilities})
        monkeypatch.setattr(fit, "billing_connectors", lambda: {"stripe": plain, "file": plain})

    return become


def said(text: str) -> Misfits:
    return misfits(Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text}))


def test_what_will_be_missing_is_noted_where_it_is_written(able: Able) -> None:
    able(PLAIN)
    found = said(ACME.replace("rates:\n", f"{EVERY_WORD}rates:\n", 1))
    assert found.mistakes == []
    told = [note.split(" - ")[0] for note in found.notes]
    assert told == [
        "acme.yaml:7:8: terms: Plain cannot show when an invoice is due",
        "acme.yaml:8:17: purchase_order: Plain cannot show a purchase order",
        "acme.yaml:12:7: memo: Plain cannot show a memo",
        "acme.yaml:13:9: footer: Plain cannot show a footer",
        "acme.yaml:14:15: late_payment: Plain cannot show a clause about paying late",
        "acme.yaml:15:18: payment_methods: Plain cannot show how an invoice may be paid",
        "acme.yaml:16:16: early_payment: Plain cannot show what may be taken off by who pays early",
        "acme.yaml:17:13: after_push: Plain leaves every invoice as a draft",
        "acme.yaml:18:8: books: Plain has no use for customer, tracking",
    ]
    assert all(" - " in note for note in found.notes)


def test_what_a_system_can_show_may_depend_on_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []

    def able(_: type[FileConnector], settings: Mapping[str, str]) -> Abilities:
        told.append(dict(settings))
        return replace(PLAIN, carries=frozenset(("memo",)))

    plain = type("Plain", (FileConnector,), {"abilities": PLAIN, "able": classmethod(able)})
    monkeypatch.setattr(fit, "billing_connectors", lambda: {"stripe": plain, "file": plain})
    found = said(ACME.replace("rates:\n", f"{EVERY_WORD}rates:\n", 1))
    assert told
    assert all(told)
    assert not any(": memo: " in note for note in found.notes)
    assert any(": footer: " in note for note in found.notes)


@pytest.mark.parametrize("word", ["purchase_order", "memo", "footer", "due_date"])
def test_what_a_system_can_show_is_not_noted(able: Able, word: str) -> None:
    able(replace(PLAIN, carries=frozenset((word,))))
    word = "terms" if word == "due_date" else word
    found = said(ACME.replace("rates:\n", f"{EVERY_WORD}rates:\n", 1))
    assert not any(f": {word}: " in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("hourly: 130.00", "hourly: 130.125", "acme.yaml:14:5: rates: Plain keeps 2 decimal"),
        (
            "quantity: 1, unit_price: 4500.00",
            "quantity: 8, unit_price: 4500.125",
            'acme.yaml:21:5: rule "A phase has a fixed price", bill, unit_price: Plain keeps 2',
        ),
        (
            "quantity: 1, unit_price: 4500.00",
            "quantity: 1.125, unit_price: 4000.00",
            'acme.yaml:21:5: rule "A phase has a fixed price", bill, quantity: Plain keeps 2',
        ),
        (
            "rates:\n",
            "taxes: [{tax: DE19, rate: 19 %}]\ntax: DE19\nrates:\n",
            "acme.yaml:12:8: taxes: Plain cannot take taxes",
        ),
    ],
)
def test_what_will_surely_be_refused_is_a_mistake(
    able: Able, old: str, new: str, mistake: str
) -> None:
    able(PLAIN)
    assert said(ACME).mistakes == []
    text = ACME.replace(old, new, 1)
    (found,) = said(text).mistakes
    assert found.startswith(mistake)
    able(replace(PLAIN, quantity_places=3, price_places=3, taxes=True))
    assert said(text).mistakes == []


@pytest.mark.parametrize(
    ("rounding", "is_noted"),
    [
        ("up to 15 minutes per entry", False),
        ("up to 6 minutes per entry", False),
        ("up to 5 minutes per entry", True),
        ("up to 15 minutes per entry, at least 20 minutes", True),
    ],
)
def test_hours_that_are_finer_than_a_system_keeps_are_noted(
    able: Able, rounding: str, is_noted: bool
) -> None:
    able(PLAIN)
    notes = said(ACME.replace("up to 15 minutes per entry", rounding)).notes
    assert any("hours have 4 - round: up to 15" in note for note in notes) is is_noted


def test_shared_words_are_noted_once_where_they_stand(able: Able) -> None:
    able(PLAIN)
    usual = "format: 1\nshared: usual\nmemo: Work\n"
    acme = ACME.replace("rates:\n", "extends: usual\nrates:\n", 1)
    beta = acme.replace("customer: acme", "customer: beta").partition("tests:")[0]
    files = {"workspace.yaml": WORKSPACE, "acme.yaml": acme, "usual.yaml": usual}
    notes = misfits(Book.load({**files, "beta.yaml": beta})).notes
    assert [note for note in notes if note.startswith("usual.yaml")] == [
        "usual.yaml:3:7: memo: Plain cannot show a memo - it will be missing there: take it out, "
        "or write send_to: another connector"
    ]


def checked(folder: Path, text: str, *options: str) -> tuple[int, str, str]:
    (folder / "workspace.yaml").write_text(WORKSPACE)
    (folder / "acme.yaml").write_text(text)
    result = CliRunner().invoke(rules, ["check", str(folder), *options])
    return result.exit_code, result.stdout, result.stderr


def test_the_check_prints_notes_and_stops_at_mistakes(able: Able, tmp_path: Path) -> None:
    able(PLAIN)
    code, _, errors = checked(tmp_path, ACME)
    assert (code, "note: acme.yaml:8:17: purchase_order: Plain cannot" in errors) == (0, True)
    assert checked(tmp_path, ACME, "--strict")[0] == 1
    wrong = ACME.replace("hourly: 130.00", "hourly: 130.125")
    code, _, errors = checked(tmp_path, wrong)
    assert (code, errors.startswith("acme.yaml:14:5: rates: Plain keeps")) == (1, True)
    code, output, _ = checked(tmp_path, wrong, "--json")
    assert (code, json.loads(output)["mistakes"][0][:16]) == (1, "acme.yaml:14:5: ")


def test_what_will_surely_be_refused_is_not_activated(
    able: Able, tmp_path: Path, database_url: str
) -> None:
    able(PLAIN)
    with open_office(tmp_path, database_url) as office:
        activated = _activated(office, tmp_path, "hourly: 120.125")
        assert (activated[0], "rates: Plain keeps 2" in activated[1]) == (1, True)
        assert _activated(office, tmp_path, "hourly: 120.25")[0] == 0


def _activated(office: Office, folder: Path, rate: str) -> tuple[int, str]:
    for name, text in office.rules.items():
        (folder / name).write_text(text.replace("hourly: 120.00", rate))
    runner = create_app(office.line).test_cli_runner()
    result = runner.invoke(args=["rules", "activate", str(folder)])
    return result.exit_code, result.output
