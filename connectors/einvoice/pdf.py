"""The invoice on paper: a PDF/A-3 that a client would pay, and the XML inside of it.

`invoice.typ` lays it out. Texts of strangers (titles, names) reach it as JSON, so that they are
values to it and never markup; it can read no file, because its root is an empty folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unicodedata import category

from ledger.errors import RejectedError
from ledger.money import Money, printed

from .terms import NEEDS_NO_REASON, TaxGroup, Terms, clean
from .words import Language

LAYOUT: Final = Path(__file__).with_name("invoice.typ")
STANDARD: Final = "a-3b"
FONT: Final = "Libertinus Serif"
"""Comes with typst, so that an invoice looks the same on every machine."""
_DIRECTIONS: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks that turn the direction of what follows: they would let a title rewrite an amount."""
_LONG: Final = re.compile(r"\S{30}(?=\S)")
_MAY_BREAK: Final = "\u200b"
_NO_GLYPH: Final = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)
_MOST_TRIES: Final = 8


def as_pdf(terms: Terms, *, is_draft: bool, fonts: str = "") -> bytes:
    """Return the printed invoice; raise RejectedError if a letter in it has no font.

    A sign without one, such as an emoji, is left out; it is in the XML. The same invoice is always
    the same file.
    """
    import typst

    content = json.dumps(_content(terms, is_draft=is_draft), ensure_ascii=False)
    made_at = datetime.combine(terms.issued_on, time(), UTC)
    for _ in range(_MOST_TRIES):
        try:
            made: bytes = _compiler(fonts).compile(
                LAYOUT.read_bytes(),
                format="pdf",
                sys_inputs={"data": content},
                pdf_standards=[STANDARD],
                timestamp=made_at,
            )
        except typst.TypstError as error:
            content = _without(_not_shown(error, terms), content)
        else:
            return made
    raise RejectedError(
        f"einvoice: {terms.draft.reference}: too many signs that no font shows - name a folder "
        "with such fonts under fonts:"
    )


def with_xml(pdf: bytes, xml: bytes, *, title: str, author: str, language: str) -> bytes:
    """Return the PDF as Factur-X: the XML attached, and named in its metadata."""
    import facturx

    made: bytes = facturx.generate_from_binary(
        pdf,
        xml,
        flavor="factur-x",
        level="en16931",
        check_xsd=False,
        check_schematron=False,
        pdf_metadata={"title": title, "author": author, "subject": title, "keywords": "Factur-X"},
        lang=language,
        afrelationship="alternative",
        xmp_compression=False,
    )
    return made


@lru_cache(maxsize=4)
def _compiler(fonts: str) -> Any:
    import typst

    _compiler_root = TemporaryDirectory(prefix="billhook-")
    made = typst.Compiler(
        root=_compiler_root.name,
        font_paths=[fonts] if fonts else [],
        ignore_system_fonts=True,
    )
    _roots.append(_compiler_root)
    return made


_roots: list[TemporaryDirectory[str]] = []
"""The empty folders live as long as the process."""


def _not_shown(error: Exception, terms: Terms) -> set[str]:
    """Return the signs that no font shows; raise RejectedError if there are letters among them."""
    missing = set("".join(_NO_GLYPH.findall(f"{error}")))
    letters = sorted(each for each in missing if category(each)[0] in "LN")
    if letters or not missing:
        shown = "".join(letters[:10]) or "something in it"
        raise RejectedError(
            f'einvoice: {terms.draft.reference}: no font here shows "{shown}" - name a folder with '
            "such fonts under fonts:"
        ) from error
    return missing


def _without(signs: set[str], content: str) -> str:
    return content.translate({ord(sign): " " for sign in signs})


def title_of(terms: Terms, *, is_draft: bool) -> str:
    """Return what the paper is called."""
    words = Language(terms.draft.customer.language).words
    kind = words["credit note" if terms.draft.credits else "invoice"]
    draft = f"{words['draft']}: " if is_draft else ""
    return f"{draft}{kind} {terms.draft.reference}"


def payment_words(terms: Terms) -> str:
    """Return the terms of payment in the customer's language (BT-20)."""
    draft = terms.draft
    words = Language(draft.customer.language).words
    if draft.credits:
        return words["set off"]
    days = draft.days_until_due
    first = words["terms"].format(days=days) if days else words["at once"]
    more = (draft.particulars.early_payment, draft.particulars.late_payment)
    return " ".join([first, *(each for each in more if each)])


def _content(terms: Terms, *, is_draft: bool) -> dict[str, Any]:
    draft, seller = terms.draft, terms.seller
    language = Language(draft.customer.language)
    words = language.words
    shown = seller.trading_name or seller.name
    address = [*seller.lines, f"{seller.postal_code} {seller.city}"]
    country = language.country(seller.country)
    sign = -1 if draft.credits else 1
    includes = any(each.net != each.line.amount for each in terms.lines)
    shows_tax = len(terms.groups) > 1
    currency = draft.currency

    def amount(minor: int) -> str:
        return language.amount(Money(minor * sign, currency))

    head = [
        "position",
        "description",
        "quantity",
        "price",
        *(["tax"] if shows_tax else []),
        "amount",
    ]
    taxes = {id(each): _tax_name(each, language) for each in terms.groups.values()}
    lines = [
        [
            str(number),
            each.line.description,
            language.number(Decimal(printed(each.line.quantity)) * sign, places=2),
            language.number(each.line.unit_price, places=language.places(currency)),
            *([taxes[id(each.group)]] if shows_tax else []),
            amount(each.line.amount),
        ]
        for number, each in enumerate(terms.lines, 1)
    ]
    sums = [[words["net"], amount(draft.net.minor)]]
    for group in terms.groups.values():
        name = f"{words['tax']} {taxes[id(group)]} {words['on']} {amount(group.net)}"
        sums.append([name, amount(group.amount)])
    total_word = words["credit total" if draft.credits else "total"]
    content = {
        "title": title_of(terms, is_draft=is_draft),
        "language": language.code,
        "fonts": [FONT, "DejaVu Sans Mono"],
        "is_draft": is_draft,
        "words": words,
        "seller": {
            "name": seller.name,
            "shown": shown,
            "letterhead": [*address, country, *filter(None, (seller.phone, seller.email))],
            "sender": " · ".join([shown, *address]),
        },
        "buyer": _buyer(terms),
        "facts": list(_facts(terms, language)),
        "memo": (draft.memo or "").splitlines(),
        "head": [words[each] for each in head],
        "shows_tax": shows_tax,
        "lines": lines,
        "sums": sums,
        "total": [f"{total_word} {currency}", amount(draft.total.minor)],
        "notes": [
            *([words["included"]] if includes else []),
            *(text for group in terms.groups.values() for text in group.texts),
        ],
        "pay": _pay(terms, language),
        "payment": list(_payment(terms, language)),
        "closing": [payment_words(terms), *filter(None, (draft.footer,))],
        "footer": [
            [seller.name, ", ".join(seller.lines), *address[-1:], country],
            *_footer(terms, words),
        ],
    }
    tidy: dict[str, Any] = _tidy(content)
    return tidy


def _tax_name(group: TaxGroup, language: Language) -> str:
    if group.category in NEEDS_NO_REASON and group.rate is not None:
        return f"{language.number(group.rate)} %"
    return language.words[group.category]


def _buyer(terms: Terms) -> list[str]:
    customer = terms.draft.customer
    address = customer.address
    language = Language(customer.language)
    attention = language.words["attention"]
    return [
        customer.legal_name or customer.name,
        *([f"{attention} {customer.contact}"] if customer.contact else []),
        *(address.lines if address else ()),
        *([" ".join(filter(None, (address.postal_code, address.city)))] if address else []),
        *([language.country(address.country)] if address else []),
    ]


def _facts(terms: Terms, language: Language) -> Iterator[tuple[str, str]]:
    draft, words = terms.draft, language.words
    yield words["number"], draft.reference
    yield words["date"], language.day(terms.issued_on)
    if draft.credits:
        yield words["credits"], draft.credits
    first, last = language.day(draft.period_from), language.day(draft.period_to)
    yield words["period"], first if first == last else f"{first} – {last}"
    if terms.due_on:
        yield words["due"], language.day(terms.due_on)
    said = (
        ("order", draft.purchase_order),
        ("contract", draft.particulars.contract),
        ("tax id", draft.customer.tax_id),
    )
    for name, value in said:
        if value:
            yield words[name], value


def _pay(terms: Terms, language: Language) -> str:
    by = f" {language.words['by']} {language.day(terms.due_on)}" if terms.due_on else ""
    return f"{language.words['pay']}{by}"


def _payment(terms: Terms, language: Language) -> Iterator[tuple[str, str]]:
    seller, words = terms.seller, language.words
    if not seller.iban or terms.draft.credits or terms.draft.total.minor <= 0:
        return
    blocks = [seller.iban[at : at + 4] for at in range(0, len(seller.iban), 4)]
    yield words["payee"], seller.name
    yield "IBAN", " ".join(blocks)
    if seller.bic:
        yield "BIC", seller.bic
    yield words["reference"], terms.draft.reference
    amount = language.amount(terms.draft.total)
    yield words["amount"], f"{amount} {terms.draft.currency}"


def _footer(terms: Terms, words: dict[str, str]) -> Iterator[list[str]]:
    seller = terms.seller
    reach = [seller.contact, seller.phone, seller.email]
    numbers = (
        ("vat id", seller.vat_id),
        ("tax number", seller.tax_number),
        ("registration", seller.registration),
    )
    for column in (reach, [f"{words[name]} {value}" for name, value in numbers if value]):
        if any(column):
            yield [each for each in column if each]


def _tidy(content: Any) -> Any:
    """Return all texts so that they can be printed: no marks of direction, no endless words."""
    if isinstance(content, str):
        text = clean(content).translate(_DIRECTIONS)
        return _LONG.sub(lambda found: found[0] + _MAY_BREAK, text)
    if isinstance(content, dict):
        return {name: _tidy(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_tidy(each) for each in content]
    return content
