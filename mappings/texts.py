"""What stands for the words of texts, beyond what an event says: period, scope, numbers, facts.

A word that a rule's text does not name costs nothing. Called by `pricing.py` for each event, and
for memo and footer by `judging.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.events import Event
from ledger.invoices import InvoiceDraft
from ledger.money import Money, hours
from ledger.printing import ALL_IN_ONE

from . import languages
from .clauses.forms import Form
from .contract import Bill, Customer
from .descriptions import fill_in_lines
from .holding import Hold, why_unknown
from .languages import ENGLISH
from .matching import Seen, activity_of, asked, unknown_word
from .periods import Period, period_of
from .reading import quoted


@dataclass(frozen=True, slots=True)
class PricedAt:
    """What an entry was priced at, for words that name it."""

    period: Period
    quantity: Decimal
    unit_price: Decimal
    amount: Money


_Word = Callable[["Texts", Seen, PricedAt], str]


class Texts:
    """The words of one customer's texts."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.code = customer.form.language
        order = customer.parties.purchase_order
        self.order = order.number if order else ""
        self._scopes = [(scope, asked(scope.when)) for scope in customer.form.scopes]
        self._needed = {
            rule.name: _needed(rule.bill, self.code) for rule in customer.rules if rule.bill
        }

    def values(self, rule: str, seen: Seen, priced: PricedAt) -> dict[str, str]:
        """Return what stands for the words that a rule's text or group needs; raise Hold."""
        return {word: look_up(self, seen, priced) for word, look_up in self._needed[rule]}

    def scope(self, seen: Seen) -> str:
        """Return the text of the first scope that fits; raise Hold if none does."""
        for scope, tests in self._scopes:
            unknown = unknown_word(tests, seen)
            if unknown:
                raise Hold(why_unknown(unknown, f"scope {quoted(scope.text)}", seen.event))
            if unknown is not None:
                return scope.text
        raise Hold("no scope fits - add what was agreed under scope:")


_LOOK_UP: Final[Mapping[str, _Word]] = {
    "date": lambda texts, seen, _: languages.day_text(texts.code, seen.event.on),
    "date:long": lambda texts, seen, _: languages.day_text(texts.code, seen.event.on, "long"),
    "date:short": lambda texts, seen, _: languages.day_text(texts.code, seen.event.on, "short"),
    "week": lambda _, seen, __: languages.week_text(seen.event.on),
    "month": lambda texts, seen, _: languages.month_text(texts.code, seen.event.on),
    "month:short": lambda texts, seen, _: languages.month_text(texts.code, seen.event.on, "short"),
    "period": lambda texts, _, priced: languages.period_text(texts.code, priced.period),
    "period:long": lambda texts, _, priced: languages.period_text(
        texts.code, priced.period, "long"
    ),
    "activity": lambda _, seen, __: activity_of(seen.event),
    "scope": lambda texts, seen, _: texts.scope(seen),
    "hours": lambda texts, seen, _: (
        "" if seen.event.seconds is None else _number(texts, hours(seen.event.seconds))
    ),
    "quantity": lambda texts, _, priced: _number(texts, priced.quantity),
    "unit_price": lambda texts, _, priced: languages.price_text(
        texts.code, priced.unit_price, priced.amount.currency
    ),
    "amount": lambda texts, _, priced: languages.money_text(texts.code, priced.amount),
    "customer": lambda texts, _, __: texts.customer.name,
    "purchase_order": lambda texts, _, __: texts.order,
    "contract": lambda texts, _, __: texts.customer.form.contract or "",
}
_GROUPS: Final = ("activity", "scope")
"""Words of `one_line_per:` whose values are looked up here."""
_KEYS: Final[Mapping[str, Callable[[Event], str]]] = {
    "month": lambda event: f"{event.on:%Y-%m}",
    "week": lambda event: languages.week_text(event.on),
    "label": lambda event: ", ".join(sorted(event.labels)),
}
"""Words of `one_line_per:` that are the same in every language."""


def _needed(bill: Bill, code: str) -> tuple[tuple[str, _Word], ...]:
    """Return the words to look up for a bill; an event itself says the others."""
    told = {"date", "month"} if code == ENGLISH else set()
    named = [*bill.description.words, *(key for key in bill.one_line_per if key in _GROUPS)]
    return tuple(
        (word, _LOOK_UP[word])
        for word in dict.fromkeys(named)
        if word in _LOOK_UP and word not in told
    )


def group_of(bill: Bill, values: Mapping[str, str], seen: Seen) -> tuple[str, ...]:
    """Return the values of `one_line_per:`; () without it."""
    if bill.one_line_per == ("all",):
        return ALL_IN_ONE
    return tuple(
        _KEYS[key](seen.event) if key in _KEYS else values[key] for key in bill.one_line_per
    )


def fee_values(code: str, name: str, first: date, last: date) -> dict[str, str]:
    """Return what stands for the words of a fee's text, of the days that are billed."""
    return {
        "fee": name,
        "month": languages.month_text(code, first),
        "month:short": languages.month_text(code, first, "short"),
        "quarter": languages.period_text(code, period_of("quarterly", first)),
        "year": str(first.year),
        "from": languages.day_text(code, first),
        "from:long": languages.day_text(code, first, "long"),
        "to": languages.day_text(code, last),
        "to:long": languages.day_text(code, last, "long"),
    }


def worded(draft: InvoiceDraft, schedule: str, form: Form) -> InvoiceDraft:
    """Return a draft with the words of its memo and footer filled in."""
    if "{" not in (draft.memo or "") + (draft.footer or ""):
        return draft
    code, period = form.language, Period(schedule, draft.period_from, draft.period_to)
    values = {
        "customer": draft.customer.name,
        "period": languages.period_text(code, period),
        "period:long": languages.period_text(code, period, "long"),
        "total": languages.money_text(code, draft.total),
        "number": draft.reference,
        "purchase_order": draft.purchase_order or "",
        "contract": form.contract or "",
        "days": "" if draft.days_until_due is None else str(draft.days_until_due),
    }
    return replace(
        draft,
        memo=draft.memo and fill_in_lines(draft.memo, values),
        footer=draft.footer and fill_in_lines(draft.footer, values),
    )


def _number(texts: Texts, number: Decimal) -> str:
    return languages.number_text(texts.code, number)
