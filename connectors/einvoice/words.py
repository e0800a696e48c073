"""The words on the printed invoice, and how its language writes days, numbers and amounts.

Other languages than these get the English ones. Names and marks of the languages are Babel's.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext
from typing import Final

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from ledger.invoices import USUAL_LANGUAGE
from ledger.money import Money, exponent

WORDS: Final = {
    "en": {
        "invoice": "Invoice",
        "credit note": "Credit note",
        "draft": "Draft",
        "number": "Number",
        "date": "Date",
        "period": "Period of work",
        "due": "Due",
        "order": "Your order",
        "contract": "Contract",
        "credits": "Credits invoice",
        "tax id": "Your VAT number",
        "attention": "For the attention of",
        "position": "No.",
        "description": "Description",
        "quantity": "Quantity",
        "price": "Price",
        "tax": "VAT",
        "amount": "Amount",
        "net": "Net",
        "on": "on",
        "total": "Total",
        "credit total": "Credit",
        "included": "Prices include VAT.",
        "pay": "Please pay by bank transfer",
        "by": "by",
        "payee": "Payee",
        "reference": "Payment reference",
        "terms": "Payable within {days} days.",
        "at once": "Payable at once.",
        "set off": "This amount is credited to you.",
        "vat id": "VAT number",
        "tax number": "Tax number",
        "registration": "Register",
        "page": "Page",
        "of": "of",
        "continued": "continued",
        "E": "exempt",
        "AE": "reverse charge",
        "K": "intra-community",
        "G": "export",
        "O": "no VAT",
    },
    "de": {
        "invoice": "Rechnung",
        "credit note": "Rechnungskorrektur",
        "draft": "Entwurf",
        "number": "Nummer",
        "date": "Datum",
        "period": "Leistungszeitraum",
        "due": "Fällig am",
        "order": "Ihre Bestellung",
        "contract": "Vertrag",
        "credits": "Korrigiert Rechnung",
        "tax id": "Ihre USt-IdNr.",
        "attention": "Zu Händen",
        "position": "Pos.",
        "description": "Leistung",
        "quantity": "Menge",
        "price": "Preis",
        "tax": "USt",
        "amount": "Betrag",
        "net": "Netto",
        "on": "auf",
        "total": "Gesamtbetrag",
        "credit total": "Gutgeschriebener Betrag",
        "included": "Die Preise enthalten die Umsatzsteuer.",
        "pay": "Bitte überweisen Sie",
        "by": "bis zum",
        "payee": "Empfänger",
        "reference": "Verwendungszweck",
        "terms": "Zahlbar innerhalb von {days} Tagen.",
        "at once": "Sofort zahlbar.",
        "set off": "Dieser Betrag wird Ihnen gutgeschrieben.",
        "vat id": "USt-IdNr.",
        "tax number": "Steuernummer",
        "registration": "Register",
        "page": "Seite",
        "of": "von",
        "continued": "Fortsetzung",
        "E": "steuerfrei",
        "AE": "Reverse Charge",
        "K": "innergemeinschaftlich",
        "G": "Ausfuhr",
        "O": "nicht steuerbar",
    },
    "fr": {
        "invoice": "Facture",
        "credit note": "Avoir",
        "draft": "Brouillon",
        "number": "Numéro",
        "date": "Date",
        "period": "Période",
        "due": "Échéance",
        "order": "Votre commande",
        "contract": "Contrat",
        "credits": "Facture d’origine",
        "tax id": "Votre nº de TVA",
        "attention": "À l’attention de",
        "position": "Nº",
        "description": "Désignation",
        "quantity": "Quantité",
        "price": "Prix",
        "tax": "TVA",
        "amount": "Montant",
        "net": "Total HT",
        "on": "sur",
        "total": "Total TTC",
        "credit total": "Montant crédité",
        "included": "Les prix s’entendent TVA comprise.",
        "pay": "Merci de payer par virement",
        "by": "au plus tard le",
        "payee": "Bénéficiaire",
        "reference": "Référence",
        "terms": "Payable sous {days} jours.",
        "at once": "Payable à réception.",
        "set off": "Ce montant vous est crédité.",
        "vat id": "Nº de TVA",
        "tax number": "Nº fiscal",
        "registration": "Registre",
        "page": "Page",
        "of": "sur",
        "continued": "suite",
        "E": "exonéré",
        "AE": "autoliquidation",
        "K": "intracommunautaire",
        "G": "exportation",
        "O": "hors TVA",
    },
}


class Language:
    """One of the languages in which invoices are printed."""

    def __init__(self, code: str) -> None:
        spoken = code.partition("-")[0].lower()
        self.code = spoken if spoken in WORDS else USUAL_LANGUAGE
        self.words = WORDS[self.code]
        # English without a country is read all over the world: 4 March 2026.
        wanted = code if spoken in WORDS and "-" in code else self.code
        self._locale = Locale.parse("en-001" if wanted == "en" else wanted, sep="-")

    def day(self, on: date) -> str:
        """Return a day with the month's name, which nobody reads the wrong way round.

        >>> Language("de").day(date(2026, 3, 4)), Language("en").day(date(2026, 3, 4))
        ('4. März 2026', '4 March 2026')
        """
        return str(format_date(on, "long", locale=self._locale))

    def number(self, number: Decimal, *, places: int = 0) -> str:
        """Return a number with all its decimals, and at least so many.

        >>> Language("de").number(Decimal("1234.5"), places=2), Language("en").number(Decimal("19"))
        ('1.234,50', '19')
        """
        decimals = f"{number:f}".partition(".")[2].rstrip("0").ljust(places, "0")
        pattern = "#,##0" + (f".{'0' * len(decimals)}" if decimals else "")
        with localcontext(prec=60):
            return str(format_decimal(number, pattern, locale=self._locale))

    def country(self, code: str) -> str:
        """Return the name of a country; its code where it has none in this language.

        >>> Language("fr").country("DE"), Language("de").country("XX")
        ('Allemagne', 'XX')
        """
        return str(self._locale.territories.get(code, code))

    def places(self, currency: str) -> int:
        """Return how many decimals an amount has at least."""
        return exponent(currency)

    def amount(self, money: Money) -> str:
        """Return an amount without its currency.

        >>> Language("fr").amount(Money(123456, "EUR"))
        '1\u202f234,56'
        """
        return self.number(money.decimal(), places=exponent(money.currency))
