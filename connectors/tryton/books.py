"""What stands in a company's books in Tryton, found by the words that people know it by.

Each look-up finds just one record or raises one of our errors; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from connectors.customers import CustomerThere
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money, exponent
from ledger.taxes import TaxTotal, tax_of

from .api import Api, Clause, Json, reading
from .documents import InvoiceTax, LineCoding
from .reading import OURS, PARTY_FIELDS, compact, customer_there

_MANY: Final = 2
_TAX: Final = ("name", "type", "rate", "invoice_account", "credit_note_account")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the settings say where a line's coding says nothing."""

    company: str | None = None
    journal: str | None = None
    account: str | None = None
    item: str | None = None
    tax_code: str | None = None
    payment_term: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The ids of Tryton's records that a draft is written with."""

    currency: int
    payment_term: int | None
    codings: tuple[LineCoding, ...]
    taxes: tuple[InvoiceTax, ...]


class Books:
    """One company's books as our user sees them."""

    def __init__(self, api: Api, defaults: Defaults) -> None:
        self._api = api
        self._defaults = defaults
        self._known: dict[str, int] = {}
        self._products: dict[str, Json] = {}

    @cached_property
    def company(self) -> int:
        """Return the company's id; raise PermanentError unless our user may work in it.

        Tryton shows nothing of other companies, without a word. So this comes before whatever
        proves that something is not there.
        """
        told = self._api.ask("model.res.user.get_preferences", True, {})
        name = self._defaults.company
        with reading("the user's companies"):
            allowed, chosen = told["companies"], told.get("company")
        if name is not None:
            found = self._ids("company.company", [["party.name", "=", name]], {})
            found = [each for each in found if each in allowed]
            chosen = found[0] if len(found) == 1 else None
        if chosen is None or chosen not in allowed:
            asked = f'is in no company "{name}"' if name else "has no company chosen in Tryton"
            raise PermanentError(
                f"tryton: the user {asked} - write `company:` under this connector in "
                "workspace.yaml as Tryton names it, and let the user into that company"
            )
        return int(chosen)

    @property
    def context(self) -> dict[str, Any]:
        """Return the context of each request."""
        return {"company": self.company}

    def described(self) -> str:
        """Return the company's name and currency, after all settings have been looked up."""
        defaults = self._defaults
        if defaults.account:
            self._account(defaults.account, "settings")
        if defaults.item:
            self._product(defaults.item, "settings")
        if defaults.tax_code:
            self._tax_named(defaults.tax_code, "settings")
        if defaults.payment_term:
            self._term_named(defaults.payment_term, "settings")
        self.journal("settings")
        fields = ["party.name", "currency.code"]
        domain = [["id", "=", self.company]]
        (found,) = self._records("company.company", domain, fields)
        with reading("the company"):
            return f"{found['party.']['name']}, {found['currency.']['code']}"

    def journal(self, where: str) -> int | None:
        """Return the id of the journal that the settings name; None if they name none."""
        code = self._defaults.journal
        if code is None:
            return None
        domain = [["code", "=", code], ["type", "=", "revenue"]]
        return self._only("account.journal", domain, f"revenue journal with the code {code}", where)

    def written(self, draft: InvoiceDraft) -> Written:
        """Return the records that a draft is written with; raise RejectedError if one lacks."""
        where = draft.reference
        return Written(
            self._currency(draft),
            self._term(draft),
            tuple(self._coding(line, where) for line in draft.lines),
            tuple(
                self._invoice_tax(draft, each, self._tax(draft, each))
                for each in draft.taxes
                if each.amount
            ),
        )

    def candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        """Return the parties that may be meant: exact but for upper case and spaces in numbers."""
        if customer.remote_id is not None:
            if not (customer.remote_id.isascii() and customer.remote_id.isdigit()):
                return []
            domain: list[Any] = [["id", "=", int(customer.remote_id)]]
        else:
            domain = ["OR", *_may_be(customer)]
        with reading("parties"):
            return [
                customer_there(each, customer)
                for each in self._records("party.party", domain, PARTY_FIELDS)
            ]

    def terms(self) -> dict[int, str]:
        """Return each payment term as our header says it: "30 days", else its name."""
        return {
            each: f"{days} days" if days is not None else name for each, name, days in self._terms
        }

    def _currency(self, draft: InvoiceDraft) -> int:
        code = draft.currency
        fields = ["rounding"]
        found = self._records("currency.currency", [["code", "=", code]], fields)
        told = f"tryton: {draft.reference}: "
        if len(found) != 1:
            raise UnsupportedError(
                f"{told}there is no currency {code} - add it in Tryton under Currency, Currencies"
            )
        with reading("the currency"):
            if found[0]["rounding"] != Decimal(1).scaleb(-exponent(code)):
                raise UnsupportedError(
                    f"{told}Tryton rounds {code} to {found[0]['rounding']} - make its rounding "
                    f"factor {Money(1, code).decimal():f} in Tryton, under Currency, Currencies"
                )
            return int(found[0]["id"])

    def _term(self, draft: InvoiceDraft) -> int | None:
        days, usual = draft.days_until_due, self._defaults.payment_term
        if days is None:
            return None if usual is None else self._term_named(usual, draft.reference)
        # Where several terms come to as many days, each of them is right.
        found = [each for each, name, of in self._terms if of == days]
        if not found:
            raise RejectedError(
                f"tryton: {draft.reference}: there is no payment term of {days} days - add one in "
                "Tryton, with one line for the remainder, or change due: in the rule file"
            )
        return found[0]

    def _term_named(self, name: str, where: str) -> int:
        model = "account.invoice.payment_term"
        return self._only(model, [["name", "=", name]], f'payment term "{name}"', where)

    @cached_property
    def _terms(self) -> list[tuple[int, str, int | None]]:
        """Return id and name of each payment term, and its days if it is nothing but days."""
        deltas = [f"lines.relativedeltas.{name}" for name in (*_DELTA, "weeks", "days")]
        fields = ["name", "lines.type", *deltas]
        found = self._records("account.invoice.payment_term", [], fields)
        with reading("the payment terms"):
            return [(each["id"], each["name"], _days(each["lines."])) for each in found]

    def _coding(self, line: PrintedLine, where: str) -> LineCoding:
        coding = line.coding
        item, account = coding.item or self._defaults.item, coding.account or self._defaults.account
        product = self._product(item, where) if item else None
        if account is not None:
            booked = self._account(account, where)
        elif product is not None and product["account_revenue_used"] is not None:
            booked = product["account_revenue_used"]
        else:
            raise RejectedError(
                f'tryton: {where}: "{line.description}" has no revenue account - write account: '
                "under this connector in workspace.yaml, or under books: in the rule file"
            )
        return LineCoding(
            account=booked,
            product=product["id"] if product else None,
            unit=product["default_uom"] if product else None,
            tax=self._tax_without_amount(line, where),
        )

    def _account(self, code: str, where: str) -> int:
        # Tryton's own domain of an invoice line; `closed` is empty, not false, where it is open.
        domain: list[Clause] = [["code", "=", code], ["closed", "!=", True], ["type", "!=", None]]
        domain.append(["company", "=", self.company])
        return self._only("account.account", domain, f"open account with the code {code}", where)

    def _product(self, code: str, where: str) -> Json:
        if code not in self._products:
            fields = ["default_uom", "account_revenue_used"]
            found = self._records("product.product", [["code", "=", code]], fields)
            if len(found) != 1:
                raise _not_one(len(found), f"product with the code {code}", where)
            self._products[code] = found[0]
        return self._products[code]

    def _tax_without_amount(self, line: PrintedLine, where: str) -> int | None:
        """Return the tax of a line of which nothing is taken, where its books: name one."""
        if not line.tax or tax_of(line.tax).rate or line.coding.tax_code is None:
            return None
        found = self._tax_named(line.coding.tax_code, where)
        self._must_have_rate(found, Decimal(0), where)
        return int(found["id"])

    def _tax(self, draft: InvoiceDraft, due: TaxTotal) -> Json:
        """Return Tryton's tax for one of ours: by its name, else by its rate."""
        where, rate = draft.reference, due.tax.rate
        named = {line.coding.tax_code for line in draft.lines if line.tax == due.tax.key}
        if len(named) > 1:
            raise RejectedError(
                f"tryton: {where}: lines with the tax {due.tax.key} name several tax codes - "
                "write one tax_code: under books: for all of them, or give them taxes of their own"
            )
        if code := named.pop():
            found = self._tax_named(code, where)
            self._must_have_rate(found, rate, where)
            return found
        fitting = [each for each in self._taxes if _has_rate(each, rate)]
        usual = [each for each in fitting if each["name"] == self._defaults.tax_code]
        fitting = usual or fitting
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(str(each["name"]) for each in fitting[:5])
        problem = f"several sales taxes have {rate} % ({names})" if fitting else "has no sales tax"
        problem = problem if fitting else f"there is no sales tax of {rate} %"
        raise RejectedError(
            f"tryton: {where}: {problem} - write the name of the right one as tax_code: under "
            "books: in the rule file"
        )

    def _must_have_rate(self, tax: Json, rate: Decimal, where: str) -> None:
        if not _has_rate(tax, rate):
            raise RejectedError(
                f"tryton: {where}: the tax {tax['name']} is not of {rate} % there - correct "
                "tax_code: under books:, or the tax in the rules"
            )

    def _tax_named(self, name: str, where: str) -> Json:
        found = [each for each in self._taxes if each["name"] == name]
        if len(found) != 1:
            raise _not_one(len(found), f'sales tax "{name}"', where)
        return found[0]

    @cached_property
    def _taxes(self) -> list[dict[str, Any]]:
        """Return the company's taxes on sales that stand for themselves."""
        kinds: list[Any] = [["group", "=", None], ["group.kind", "in", ["sale", "both"]]]
        domain: list[Any] = [["parent", "=", None], ["company", "=", self.company]]
        return self._records("account.tax", [*domain, ["OR", *kinds]], _TAX)

    def _invoice_tax(self, draft: InvoiceDraft, due: TaxTotal, tax: Json) -> InvoiceTax:
        with reading("the tax"):
            return InvoiceTax(
                tax=tax["id"],
                account=tax["invoice_account" if due.net >= 0 else "credit_note_account"],
                description=f"{due.words.name} {due.tax.rate.normalize():f} %",
                base=Money(due.net, draft.currency).decimal(),
                amount=Money(due.amount, draft.currency).decimal(),
            )

    def _only(self, model: str, domain: Sequence[Clause], what: str, where: str) -> int:
        if what not in self._known:
            found = self._ids(model, domain, self.context)
            if len(found) != 1:
                raise _not_one(len(found), what, where)
            self._known[what] = found[0]
        return self._known[what]

    def _ids(self, model: str, domain: Sequence[Clause], context: Json) -> list[int]:
        found = self._api.ask(f"model.{model}.search", list(domain), 0, _MANY, None, context)
        with reading(model):
            return [int(each) for each in found]

    def _records(
        self, model: str, domain: Sequence[Clause | str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        return list(self._api.records(model, domain, fields, self.context))


_DELTA: Final = ("months", "day", "month", "weekday")


def _days(lines: Sequence[Mapping[str, Any]]) -> int | None:
    """Return after how many days all is due at once; None if the term is of another kind."""
    if len(lines) != 1 or lines[0]["type"] != "remainder":
        return None
    deltas = lines[0]["relativedeltas."]
    if any(delta[name] for delta in deltas for name in _DELTA):
        return None
    return sum(7 * int(delta["weeks"]) + int(delta["days"]) for delta in deltas)


def _may_be(customer: BilledCustomer) -> Iterator[Clause]:
    """Yield what a party may be known by, as Tryton's search writes it."""
    yield ["identifiers.code", "=", f"{OURS}{customer.key}"]
    if number := compact(customer.tax_id):
        written = {customer.tax_id, number, f"{number[:2]} {number[2:]}"}
        yield ["identifiers.code", "in", sorted(filter(None, written))]
        yield ["identifiers.code_compact", "in", sorted(filter(None, written))]
    if customer.email:
        yield ["contact_mechanisms.value", "ilike", _literal(customer.email)]
    for name in {customer.name, customer.legal_name}:
        if name:
            yield ["name", "ilike", _literal(name)]


def _literal(text: str) -> str:
    r"""Return a text as a pattern that fits itself alone, in upper or lower case.

    >>> print(_literal("50%_off"))
    50\%\_off
    """
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text


def _has_rate(tax: Json, percent: Decimal) -> bool:
    return bool(tax["type"] == "percentage" and tax["rate"] * 100 == percent)


def _not_one(found: int, what: str, where: str) -> RejectedError:
    problem = "there is no" if found == 0 else "there is more than one"
    return RejectedError(
        f"tryton: {where}: {problem} {what} - correct it under this connector in workspace.yaml, "
        "under books: in the rule file, or in Tryton"
    )
