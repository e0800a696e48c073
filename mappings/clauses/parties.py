"""Who pays and what was agreed: names, addresses, purchase order, terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from babel import Locale

from ledger.invoices import USUAL_LANGUAGE, Address, BilledCustomer, Particulars
from ledger.money import to_minor
from ledger.purchase_orders import WARN_AT, PurchaseOrder

from .. import phrases
from ..atoms import DAY, EMAIL, LINES, POSITIVE, TEXT
from ..languages import language
from ..reading import Mistakes
from ..shapes import Filled, ListOf, Phrase, PhraseOr, TableOf, Word, WordOr
from .setting import Setting
from .taxes import percentage

_NO_COUNTRIES: Final = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
"""Codes that stand for groups of countries, or for none."""


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    codes = map(str, Locale("en").territories)
    return frozenset(code for code in codes if len(code) == 2 and code.isalpha()) - _NO_COUNTRIES


def country(text: str) -> str:
    """Return an ISO 3166-1 code of a country; raise ValueError for another text."""
    if text not in _countries():
        raise ValueError(" - two capital letters: DE, FR, GB, US")
    return text


NAME: Final = Phrase("a text", most=140)
ADDRESS: Final = TableOf(
    {
        "lines": Word(ListOf(TEXT), "street and number, one or two lines", required=True),
        "postal_code": Word(Phrase("a postal code", most=20), "the postal code"),
        "city": Word(TEXT, "the city", required=True),
        "country": Word(
            Phrase("a country like DE", country, "^[A-Z]{2}$"),
            "ISO 3166: DE, FR, GB, US",
            required=True,
        ),
    }
)
CONTACT: Final = TableOf(
    {
        "name": Word(NAME, "the person who gets the invoices", required=True),
        "email": Word(EMAIL, "where they go; instead of billing_email:"),
    }
)
AGREED: Final = TableOf(
    {
        "on": Word(DAY, "the day", required=True),
        "by": Word(NAME, "the person who agreed for the customer", required=True),
    }
)
NUMBER: Final = Phrase("a text", most=140)
ORDER: Final = TableOf(
    {
        "number": Word(NUMBER, "the number on every invoice", required=True),
        "budget": Word(POSITIVE, "what may be billed on it, without taxes; more is blocked"),
        "warn_at": Word(
            Phrase("a part like 80 %", percentage, f"^{phrases.NUMBER} ?%$"),
            "the part of the budget from which a person looks at every draft; default 80 %",
        ),
        "until": Word(DAY, "the last day of work that it is for; later work is blocked"),
    }
)
WORDS: Final[Mapping[str, Word]] = {
    "legal_name": Word(TEXT, "the registered name, where it is another one", is_own=True),
    "address": Word(ADDRESS, "the customer's address on the invoice", is_own=True),
    "tax_id": Word(NAME, "the customer's tax number: DE123456789", is_own=True),
    "billing_contact": Word(CONTACT, "the person who gets the invoices", is_own=True),
    "contract": Word(NAME, "the reference of the contract, on every invoice", is_own=True),
    "agreed": Word(
        WordOr({"not yet": "the first draft is blocked"}, AGREED),
        "who agreed to these terms, and when; or: not yet, which blocks the first draft",
        is_own=True,
    ),
    "purchase_order": Word(
        PhraseOr(NUMBER, ORDER),
        "the PO number on every invoice, or a table with its budget",
        is_own=True,
    ),
    "late_payment": Word(LINES, "the clause about paying late, on every invoice"),
    "payment_methods": Word(
        ListOf(NAME), "how invoices may be paid: bank transfer, card, SEPA direct debit, PayPal"
    ),
    "language": Word(
        Phrase("a language like de or pt-BR", language, "^[a-z]{2,3}(-[A-Za-z]{2,4})*$"),
        "the language of dates and numbers: de, fr, pt-BR; default en",
    ),
    "approvers": Word(ListOf(NAME), "who approves every draft: each of them, in this order"),
}


@dataclass(frozen=True, slots=True)
class Parties:
    """Who pays and what was agreed: names, addresses, purchase order, terms."""

    legal_name: str | None = None
    address: Address | None = None
    tax_id: str | None = None
    contact: str | None = None
    contact_email: str | None = None
    language: str = USUAL_LANGUAGE
    particulars: Particulars = field(default_factory=Particulars)
    purchase_order: PurchaseOrder | None = None
    is_agreed: bool | None = None
    """Whether somebody agreed to the terms; None: the file does not say."""
    approvers: tuple[str, ...] = ()

    def customer(self, key: str, name: str, email: str | None) -> BilledCustomer:
        """Return who pays, as it stands on drafts."""
        return BilledCustomer(
            key,
            name,
            email or self.contact_email,
            legal_name=self.legal_name,
            address=self.address,
            tax_id=self.tax_id,
            contact=self.contact,
            language=self.language,
        )


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Parties:
    """Return what a customer's file says of the parties, with every mistake noted."""
    contact: Filled | None = filled.get("billing_contact")
    if contact and "email" in contact.places and "billing_email" in filled.places:
        problem = "stands under billing_email: already - write the address once"
        mistakes.inside("billing_contact").inside("email").add(contact.place("email"), problem)
    approvers = filled.get("approvers", ())
    _check_approvers(approvers, filled, mistakes)
    agreed = filled.get("agreed")
    return Parties(
        legal_name=filled.get("legal_name"),
        address=_address(filled.get("address")),
        tax_id=filled.get("tax_id"),
        contact=contact.get("name") if contact else None,
        contact_email=contact.get("email") if contact else None,
        language=filled.get("language", USUAL_LANGUAGE),
        particulars=Particulars(
            contract=filled.get("contract"),
            agreed=_agreed(agreed),
            late_payment=filled.get("late_payment"),
            payment_methods=filled.get("payment_methods", ()),
        ),
        purchase_order=_order(filled.get("purchase_order"), setting.currency, mistakes),
        is_agreed=None if agreed is None else isinstance(agreed, Filled),
        approvers=approvers,
    )


def _check_approvers(approvers: tuple[str, ...], filled: Filled, mistakes: Mistakes) -> None:
    inside = mistakes.inside("approvers")
    twice = {each.casefold() for each in approvers}
    if len(twice) < len(approvers):
        problem = "names somebody twice - take one out: everybody approves once"
        inside.add(filled.place("approvers"), problem)
    if approvers and filled.get("approval") == "automatic":
        problem = "approval: automatic needs nobody - write approval: by hand, or take these out"
        inside.add(filled.place("approvers"), problem)


def _address(filled: Filled | None) -> Address | None:
    if filled is None or not filled.is_whole:
        return None
    return Address(
        lines=filled["lines"],
        city=filled["city"],
        country=filled["country"],
        postal_code=filled.get("postal_code"),
    )


def _agreed(filled: Any) -> str | None:
    if not isinstance(filled, Filled) or not filled.is_whole:
        return None
    return f"{filled['on']}, {filled['by']}"


def _order(said: Any, currency: str | None, mistakes: Mistakes) -> PurchaseOrder | None:
    if not isinstance(said, Filled):
        return PurchaseOrder(said) if said else None
    inside = mistakes.inside("purchase_order")
    if "warn_at" in said.places and "budget" not in said.places:
        problem = "there is no budget to warn about - write budget:"
        inside.inside("warn_at").add(said.place("warn_at"), problem)
    budget = said.get("budget")
    if budget is not None and currency:
        try:
            budget = to_minor(budget, currency)
        except ValueError as error:
            inside.inside("budget").add(
                said.place("budget"), f"{error} - write an amount that can be paid"
            )
    if not said.is_whole:
        return None
    return PurchaseOrder(said["number"], budget, said.get("warn_at", WARN_AT), said.get("until"))
