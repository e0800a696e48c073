"""The printed e-invoice: what a client finds on it, and that nobody's text is more than text."""

from __future__ import annotations

import importlib
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pypdf
import pytest

from connectors.einvoice import pdf
from connectors.einvoice.connector import EInvoiceConnector
from connectors.einvoice.seller import seller_of
from connectors.einvoice.stand_in import SETTINGS
from connectors.einvoice.terms import Terms
from connectors.einvoice.validation import as_xml
from connectors.einvoice.words import WORDS
from ledger.errors import RejectedError

from .e_invoices import DRAFT, REVERSE, NoHttp, draft_of, issue, line, terms_of, text_of, xml_of


def test_the_xml_in_the_pdf_is_the_invoice(tmp_path: Path) -> None:
    folder = tmp_path / "invoices"
    issue(EInvoiceConnector({**SETTINGS, "format": "factur-x", "folder": f"{folder}"}, NoHttp()))
    paper = pypdf.PdfReader(folder / "acme-2026-03.pdf")
    assert list(paper.attachments) == ["factur-x.xml"]
    (xml,) = paper.attachments["factur-x.xml"]
    terms = Terms(DRAFT, seller_of(SETTINGS), issued_on=date.fromisoformat(_day(folder)))
    assert xml == as_xml(terms.as_dict(pdf.payment_words(terms)), "factur-x")
    metadata = paper.trailer["/Root"]["/Metadata"].get_data().decode()  # type: ignore[index]
    assert "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in metadata
    assert "<pdfaid:part>3</pdfaid:part>" in metadata


def _day(folder: Path) -> str:
    record = json.loads((folder / "acme-2026-03.json").read_text(encoding="utf-8"))
    return str(record["issued_on"])


HOSTILE = [
    '#read("/etc/passwd")',
    '#import "@preview/a:0.1.0": *',
    r"\u{41} *b* _i_ $x^2$ ] ) } // /* \\",
    "#panic[now] <label> @label = Heading",
    "'\"; {{ 7 * 7 }} ${x} %s </script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_strangers_write_is_text_and_nothing_else(text: str) -> None:
    customer = replace(DRAFT.customer, name=text, legal_name=text, contact=text)
    draft = replace(DRAFT, lines=(line("1", "1.00", text=text),), memo=text, customer=customer)
    printed = text_of(pdf.as_pdf(terms_of(draft), is_draft=False))
    assert printed.count(" ".join(text.split())) >= 3
    assert "root:" not in printed


def test_the_layout_can_read_no_file() -> None:
    typst = importlib.import_module("typst")
    for path in ("/etc/passwd", "../../../../etc/passwd", "/proc/self/environ"):
        with pytest.raises(typst.TypstError):
            pdf._compiler("").compile(f'#read("{path}")'.encode(), format="pdf")


def test_no_title_turns_an_amount_around_or_leaves_its_column() -> None:
    terms = terms_of(draft_of(line("1", "12.34", text=f"\u202e{'x' * 300}\u2066")))
    laid_out = json.dumps(pdf._content(terms, is_draft=False), ensure_ascii=False)
    assert not {"\u202e", "\u2066"} & {*laid_out}
    assert max(len(word) for word in re.split(r"[\s\u200b]", laid_out)) < 100
    assert "12.34" in text_of(pdf.as_pdf(terms, is_draft=False))


def test_a_sign_without_a_font_is_left_out_and_a_letter_without_one_refused() -> None:
    draft = draft_of(line("1", "1.00", text="Party \U0001f389 at noon"))
    assert "Party" in text_of(pdf.as_pdf(terms_of(draft), is_draft=False))
    assert "\U0001f389".encode() in xml_of(draft, "ubl")
    customer = replace(DRAFT.customer, legal_name="日本")
    with pytest.raises(RejectedError, match="fonts:"):
        pdf.as_pdf(terms_of(replace(DRAFT, customer=customer)), is_draft=False)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Invoice acme-2026-03", "1 May 2026", "Total EUR 222.80", "Austria"]),
        ("de-AT", ["Rechnung acme-2026-03", "1. Mai 2026", "Gesamtbetrag EUR 222,80"]),
        ("fr", ["Facture acme-2026-03", "1 mai 2026", "Total TTC EUR 222,80", "Autriche"]),
        ("pt-BR", ["Invoice acme-2026-03", "Total EUR 222.80"]),
    ],
)
def test_a_client_finds_everything_in_his_language(language: str, said: list[str]) -> None:
    draft = replace(DRAFT, customer=replace(DRAFT.customer, language=language))
    printed = text_of(pdf.as_pdf(terms_of(draft), is_draft=False))
    for each in [*said, "PO-4471", "DE02 1203 0000 0000 2020 51", REVERSE, "ATU12345678"]:
        assert each in printed


def test_every_language_has_every_word() -> None:
    assert {language: set(words) for language, words in WORDS.items()} == {
        language: set(WORDS["en"]) for language in WORDS
    }


def test_a_long_invoice_has_its_head_and_its_number_on_every_page() -> None:
    draft = draft_of(*(line("1", "2.00", text=f"Task {number}") for number in range(250)))
    pages = pypdf.PdfReader(io.BytesIO(pdf.as_pdf(terms_of(draft), is_draft=False))).pages
    texts = [page.extract_text() for page in pages]
    assert len(texts) > 4
    for number, text in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in text
        assert "acme-2026-03" in text
    with_lines = [text for text in texts if "Task" in text]
    assert all("Description" in text and "Quantity" in text for text in with_lines)
    assert all(re.search(rf"Task {number}\b", "\n".join(texts)) for number in range(250))


def test_the_same_invoice_is_the_same_file() -> None:
    one, two = (pdf.as_pdf(terms_of(DRAFT), is_draft=False) for _ in range(2))
    assert one == two


def test_nothing_of_it_is_loaded_where_no_e_invoice_is_written() -> None:
    code = (
        "import sys, connectors.registry; "
        "print([name for name in ('facturx', 'lxml', 'saxonche', 'typst') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
