"""A book is one immutable version of all files; it knows its tests and the secrets it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import ConfigurationError
from ledger.purchase_orders import PurchaseOrder
from mappings.book import Book

Files = dict[str, str]


def test_the_same_files_are_the_same_version_and_any_change_is_another(files: Files) -> None:
    version = Book.load(files).version
    assert version == Book.load(dict(reversed(files.items()))).version
    assert version != Book.load({**files, "acme.yaml": files["acme.yaml"] + "\n"}).version
    assert len(version) == 64


def test_a_book_cannot_be_changed(book: Book, files: Files) -> None:
    loaded = dict(files)
    version = Book.load(loaded)
    loaded["acme.yaml"] = ""
    assert version.files["acme.yaml"] == files["acme.yaml"]
    with pytest.raises(TypeError):
        book.files["acme.yaml"] = ""  # type: ignore[index]
    with pytest.raises(TypeError):
        del book.customers["acme"]  # type: ignore[attr-defined]


def test_what_a_file_says_is_there(book: Book) -> None:
    acme = book.customers["acme"]
    assert (acme.terms, acme.days_until_due) == ("net 30", 30)
    assert acme.parties.purchase_order == PurchaseOrder("PO-4471")
    assert (acme.approval, acme.after_push, acme.time_zone) == (
        "by hand",
        "leave as draft",
        "Europe/Berlin",
    )
    assert acme.vague_texts == ("consulting services",)
    jira = book.workspace.sources["jira-acme"]
    assert (jira.tool, jira.secrets) == ("jira", ("JIRA_NEW", "JIRA_OLD"))
    assert jira.settings == {"token": "${JIRA_TOKEN}", "write_back": "yes"}
    assert (jira.is_written_back, jira.is_unsigned) == (True, False)
    assert book.workspace.sources["scripts"].is_unsigned
    assert book.workspace.connectors["file"].settings == {"folder": "var/invoices"}


def test_every_secret_is_named_with_its_place(book: Book) -> None:
    assert dict(book.secret_names()) == {
        "JIRA_NEW": "workspace.yaml:5",
        "JIRA_OLD": "workspace.yaml:5",
        "JIRA_TOKEN": "workspace.yaml:5",
        "SCRIPTS_PATH": "workspace.yaml:12",
        "STRIPE_API_KEY": "workspace.yaml:17",
    }


def test_the_tests_in_the_files_pass(book: Book) -> None:
    results = book.run_tests()
    assert [result.passed for result in results] == [True, True]
    assert results[0].expected == 'acme: rule "Engineering hours", quantity 1.00, amount 120.00'
    assert results[1].got.startswith('hold: rule "Engineering hours": unknown person "Zoe"')
    assert results[1].where == "acme.yaml:38"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("quantity: 1.00", "quantity: 0.75"),
        ("amount: 120.00", "amount: 120.01"),
        ("expect: {rule: Engineering hours", "expect: {rule: Internal work is free"),
        ("amount: 120.00", "description: Work"),
        ("amount: 120.00", "unit_price: 119"),
        ("amount: 120.00", "customer: other"),
        ("{rule: Engineering hours, quantity: 1.00, amount: 120.00}", "hold"),
        ("{rule: Engineering hours, quantity: 1.00, amount: 120.00}", "nothing"),
        ("person: Ana, seconds: 3000", "person: Zoe, seconds: 3000"),
    ],
)
def test_a_test_that_expects_something_else_fails_and_says_what_came(
    files: Files, old: str, new: str
) -> None:
    assert old in files["acme.yaml"]
    book = Book.load({**files, "acme.yaml": files["acme.yaml"].replace(old, new)})
    first = book.run_tests()[0]
    assert not first.passed
    assert first.got.startswith(("acme: rule", "hold: rule"))


def test_a_folder_is_read_with_all_its_problems(tmp_path: Path, files: Files) -> None:
    (tmp_path / "workspace.yaml").write_text(files["workspace.yaml"])
    (tmp_path / "acme.yaml").write_text(files["acme.yaml"].replace("monthly", "montly"))
    (tmp_path / "latin.yaml").write_bytes("name: Müller".encode("latin-1"))
    (tmp_path / "long.yaml").write_bytes(b"#" * (256 * 1024 + 1))
    (tmp_path / "notes.txt").write_text("not a rule file")
    with pytest.raises(ConfigurationError) as caught:
        Book.read_folder(tmp_path)
    starts = [mistake.split(" ")[0] for mistake in caught.value.mistakes]
    assert starts == ["latin.yaml:1:1:", "long.yaml:1:1:", "acme.yaml:9:10:"]


def test_a_sound_folder_is_a_book(tmp_path: Path, files: Files) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert Book.read_folder(tmp_path).version == Book.load(files).version


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such folder - set BILLHOOK_RULES"):
        Book.read_folder(tmp_path / "nowhere")
