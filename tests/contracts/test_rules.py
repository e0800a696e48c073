"""Every rule file of the repository and every example in the docs passes its own tests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.commands.rules import rules
from ledger.events import KINDS
from mappings import conditions, descriptions, periods, phrases, words
from mappings.book import WORKSPACE, Book
from mappings.clauses import (
    books,
    caps,
    days,
    discounts,
    exchange,
    factors,
    fees,
    forms,
    minimums,
    overtime,
    parties,
    portions,
    prepaid,
    rates,
    taxes,
    tiers,
)
from mappings.notes import notes_of
from mappings.reading import Items, Mistakes, Table, Text, read
from mappings.shapes import TableOf

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "mapping.md"
FOLDERS = sorted({path.parent for path in (ROOT / "mappings" / "rules").rglob(WORKSPACE)})
EXAMPLE_FOLDER = ROOT / "mappings" / "rules" / "examples"
BLOCK = re.compile(r"^```yaml\n(format:.*?)^```", re.DOTALL | re.MULTILINE)
PIECE = re.compile(r"^```yaml\n(?!format:)(.*?)^```", re.DOTALL | re.MULTILINE)
"""A part of a customer's file, as the reference shows it beside its words."""
REST = {
    "format": "1",
    "customer": "piece",
    "name": "Piece",
    "currency": "EUR",
    "send_to": "file",
    "invoice": "monthly",
    "takes": "{project: ACME}",
    "rules": "[{rule: Free, bill: nothing}]",
}
"""What a customer's file needs beside such a part."""


def examples() -> Iterator[tuple[str, str]]:
    """Yield every whole file that stands in a document: where, text."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text() if path.exists() else ""
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            yield f"{path.relative_to(ROOT)}:{line}", found[1]


def is_customers(text: str) -> bool:
    return re.search(r"^customer:", text, re.MULTILINE) is not None


def is_shared(text: str) -> bool:
    return re.search(r"^shared:", text, re.MULTILINE) is not None


def collect(node: Table | Items | Text, used: set[str]) -> None:
    """Add all words that stand somewhere in a node."""
    if isinstance(node, Table):
        for key, value in node.entries:
            used.add(key.text)
            collect(value, used)
    elif isinstance(node, Items):
        for item in node.items:
            collect(item, used)


EXAMPLES = dict(examples())
SPLIT = re.compile(r"^ +split: (.*)$", re.MULTILINE)
PAYER = """\
format: 1
customer: {0}
name: {0}
currency: EUR
send_to: file
invoice: monthly
takes: {{project: only {0}}}
rules: [{{rule: Nothing, bill: nothing}}]
"""
SHARED = {f"shared/{n}.yaml": text for n, text in enumerate(EXAMPLES.values()) if is_shared(text)}
FIRM = next(
    text
    for text in BLOCK.findall(REFERENCE.read_text())
    if not is_customers(text) and not is_shared(text)
)


def fails(book: Book) -> list[str]:
    return [
        f"{result.where}: expected {result.expected} - got {result.got}"
        for result in book.run_tests()
        if not result.passed
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_rule_files_load_and_pass_their_own_tests(folder: Path) -> None:
    book = Book.read_folder(folder)
    assert fails(book) == []
    assert all(customer.tests for customer in book.customers.values())


def test_the_examples_leave_nothing_to_note_and_name_their_schema() -> None:
    assert notes_of(Book.read_folder(EXAMPLE_FOLDER)) == []
    for path in EXAMPLE_FOLDER.rglob("*.yaml"):
        kind = "workspace" if path.name == WORKSPACE else "customer"
        up = "../" * len(path.relative_to(EXAMPLE_FOLDER.parent).parents[1:])
        if path.parent != EXAMPLE_FOLDER:
            kind = "shared"
        first = path.read_text().partition("\n")[0]
        assert first == f"# yaml-language-server: $schema={up}{kind}.schema.json", path
        assert (path.parent / first.partition("$schema=")[2]).is_file()


def test_the_examples_use_every_word_that_a_contract_may_need() -> None:
    used: dict[str, set[str]] = {}

    def note(node: Table | Items | Text, under: str) -> None:
        if isinstance(node, Table):
            for key, value in node.entries:
                used.setdefault(under, set()).add(key.text)
                note(value, key.text)
        elif isinstance(node, Items):
            for item in node.items:
                note(item, under)

    customers = sorted(EXAMPLE_FOLDER.glob("[!w]*.yaml"))
    assert len(customers) == 6
    for path in (*customers, *EXAMPLE_FOLDER.glob("*/*.yaml")):
        table = read(path.name, path.read_text(), Mistakes())
        assert table is not None
        note(table, "")
    elsewhere = {"A customer's file": "", "Prices by quantity": "unit_price", "A tier": "graduated"}
    unused = {
        heading: {*table.words} - used.get(elsewhere.get(heading, heading), set())
        for heading, table in TABLES.items()
        if heading not in ("workspace.yaml", "A source", "A connector", "A person")
    }
    assert {heading: left for heading, left in unused.items() if left} == {
        "fees": {"currency"},
        # The examples write files: who their customers are there is no question.
        "books": {"create", "customer", "item", "tax_code", "tracking"},
        "when": {"endpoint", "item", "on", "person", "role", "seconds"},
    }


def test_the_page_about_the_examples_prints_what_the_program_does(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    assert set(re.findall(r"^\| `([a-z/-]+\.yaml)`", page, re.MULTILINE)) == {
        path.relative_to(EXAMPLE_FOLDER).as_posix()
        for path in EXAMPLE_FOLDER.rglob("*.yaml")
        if path.name != WORKSPACE
    }
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLE_FOLDER, folder)
    retainer = folder / "retainer.yaml"
    retainer.write_text(retainer.read_text().replace("rolls_over: 1 month", "rolls_over: no"))
    failed = CliRunner().invoke(rules, ["test", str(folder)])
    assert failed.exit_code == 1
    assert f"```\n{failed.stderr}```\n" in page


def test_a_fresh_clone_needs_no_secret() -> None:
    assert dict(Book.read_folder(ROOT / "mappings" / "rules").secret_names()) == {}


@pytest.mark.parametrize("where", EXAMPLES)
def test_an_example_in_the_docs_loads_and_passes_its_own_tests(where: str) -> None:
    text = EXAMPLES[where]
    files = {WORKSPACE: FIRM, "customer.yaml": text} if is_customers(text) else {WORKSPACE: text}
    for payer in set(re.findall(r"([a-z0-9-]+): [0-9.]+ %", "".join(re.findall(SPLIT, text)))):
        # Whoever pays a share is a customer too.
        files.setdefault(f"{payer}.yaml", PAYER.format(payer))
        if f"customer: {payer}\n" in text:
            del files[f"{payer}.yaml"]
    if is_shared(text):
        files = {WORKSPACE: FIRM}
    files |= SHARED
    assert fails(Book.load(files)) == []


@pytest.mark.parametrize("piece", PIECE.findall(REFERENCE.read_text()))
def test_a_piece_in_the_reference_loads_in_a_customers_file(piece: str) -> None:
    said = re.findall(r"^([a-z_]+):", piece, re.MULTILINE)
    rest = "".join(f"{word}: {value}\n" for word, value in REST.items() if word not in said)
    assert fails(Book.load({WORKSPACE: FIRM, "piece.yaml": rest + piece})) == []


TABLES = {
    "workspace.yaml": words.WORKSPACE,
    "A source": words.SOURCE,
    "A connector": words.CONNECTOR,
    "A person": words.PERSON,
    "A customer's file": words.CUSTOMER,
    "takes": words.TAKES,
    "taxes": taxes.TAX,
    "address": parties.ADDRESS,
    "books": books.BOOKS,
    "billing_contact": parties.CONTACT,
    "agreed": parties.AGREED,
    "purchase_order": parties.ORDER,
    "rates": rates.RATE,
    "factors": factors.FACTOR,
    "exchange_rates": exchange.EXCHANGE_RATE,
    "fees": fees.FEE,
    "seats": fees.SEATS,
    "prices": fees.PRICE,
    "rules": words.RULE,
    "when": conditions.WHEN,
    "bill": words.BILL,
    "Prices by quantity": tiers.TIERS,
    "A tier": tiers.TIER,
    "package": tiers.PACKAGE,
    "overtime": overtime.OVERTIME,
    "tests": words.TEST,
    "given": words.GIVEN,
    "expect": words.EXPECT,
    "scope": forms.SCOPE,
    "invoices": words.INVOICE,
    "lines": words.LINE,
    "caps": caps.CAP,
    "prepaid": prepaid.PREPAID,
    "discounts": discounts.DISCOUNT,
    "minimum_fee": minimums.MINIMUM_FEE,
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_reference_explains_every_word_as_the_program_does(heading: str) -> None:
    section = _section(heading)
    table: TableOf = TABLES[heading]
    rows = {
        f"| `{name}` | {'yes' if word.required else ''} | {word.help} |"
        for name, word in table.words.items()
    }
    written = {line for line in section.splitlines() if line.startswith("| `")}
    assert written == rows


def test_the_reference_lists_every_choice() -> None:
    text = REFERENCE.read_text()
    choices = [
        *descriptions.WORDS,
        *descriptions.INVOICE_WORDS,
        *forms.ORDER.choices,
        *forms.LATE.choices,
        *periods.SCHEDULES,
        *phrases.PRICEABLE,
        *phrases.WEEKDAYS,
        *words.ONE_LINE_PER.choices,
        *("net", "gross", "not yet"),
        *portions.WINDOWS,
        *caps.OVER,
        *prepaid.EVERY,
        *discounts.ON,
        *days.COUNT_DAYS,
        *("leave as draft", "finalize", "send", "by hand", "automatic", "hold", "nothing"),
    ]
    assert [choice for choice in choices if f"`{choice}`" not in text] == []
    assert set(phrases.PRICEABLE) < set(KINDS)


def test_the_reference_has_a_whole_example_that_uses_most_words() -> None:
    used: set[str] = set()
    for text in BLOCK.findall(REFERENCE.read_text()):
        table = read("example.yaml", text, Mistakes())
        assert table is not None
        collect(table, used)
    known = {name for table in TABLES.values() for name in table.words}
    assert known - used <= {
        *("user", "url", "unsigned", "path_token", "time_zone", "footer", "volume", "create"),
    }


def _section(heading: str) -> str:
    found = re.search(
        rf"^#+ `?{re.escape(heading)}`?\n(.*?)(?=^#|\Z)",
        REFERENCE.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert found, f"docs/mapping.md has no section {heading}"
    return found[1]
