"""Dates, periods and numbers as texts on invoices, in the customer's language.

The names and marks of the languages are Babel's; nothing depends on the machine's own settings.
Called by `texts.py`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_skeleton
from babel.numbers import format_decimal

from ledger.money import Money, exponent, printed

from .periods import Period

ENGLISH: Final = "en"
_KEPT: Final = 4096
"""How many texts are remembered: the entries of a batch share days, prices and periods."""
_MARKS: Final = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))


def language(text: str) -> str:
    """Return the code of a language as we keep it; raise ValueError if it is not known."""
    _locale(text)
    return text


@lru_cache(maxsize=256)
def _locale(code: str) -> Locale:
    if code == ENGLISH:
        # Whose dates nobody reads the wrong way round: 4 March 2026.
        return Locale("en", "001")
    try:
        return Locale.parse(code, sep="-")
    except (ValueError, UnknownLocaleError):
        raise ValueError(" - write the language, and the country where it matters: de-AT") from None


@lru_cache(maxsize=_KEPT)
def day_text(code: str, on: date, form: str = "") -> str:
    """Return a day; `form` is "long" (with the month's name), "short" (without the year) or "".

    >>> day_text("en", date(2026, 3, 4)), day_text("de", date(2026, 3, 4), "long")
    ('2026-03-04', '4. März 2026')
    """
    if form == "short":
        return _plain(str(format_skeleton("MMMd", on, locale=_locale(code))))
    if form == "" and code == ENGLISH:
        return on.isoformat()
    return _plain(format_date(on, form or "medium", locale=_locale(code)))


@lru_cache(maxsize=_KEPT)
def month_text(code: str, on: date, form: str = "") -> str:
    """Return the month of a day, with its year; `form` may be "short".

    >>> month_text("en", date(2026, 3, 4)), month_text("fr", date(2026, 12, 1), "short")
    ('March 2026', 'déc. 2026')
    """
    skeleton = "yMMM" if form else "yMMMM"
    return _plain(str(format_skeleton(skeleton, on, locale=_locale(code))))


def week_text(on: date) -> str:
    """Return the week of a day by ISO 8601, which reads the same in every language.

    >>> week_text(date(2027, 1, 3))
    '2026-W53'
    """
    return f"{on:%G-W%V}"


@lru_cache(maxsize=_KEPT)
def period_text(code: str, period: Period, form: str = "") -> str:
    """Return a billing period by its name, or with `form` "long" by its first and last day.

    >>> october = Period("monthly", date(2026, 10, 1), date(2026, 10, 31))
    >>> period_text("de", october), period_text("en", october, "long")
    ('Oktober 2026', '1–31 Oct 2026')
    """
    if period.start == period.end:
        return day_text(code, period.start, form)
    if not form:
        if period.kind == "monthly":
            return month_text(code, period.start)
        if period.kind == "quarterly":
            return _plain(str(format_skeleton("yQQQ", period.start, locale=_locale(code))))
        if period.kind == "yearly":
            return f"{period.start:%Y}"
    return _plain(format_interval(period.start, period.end, "yMMMMd", locale=_locale(code)))


@lru_cache(maxsize=_KEPT)
def number_text(code: str, number: Decimal) -> str:
    """Return a quantity with at least two decimals, none of them lost.

    >>> number_text("de", Decimal("1234.5")), number_text("en", Decimal("0.8333"))
    ('1.234,50', '0.8333')
    """
    return _marked(code, printed(number))


@lru_cache(maxsize=_KEPT)
def price_text(code: str, price: Decimal, currency: str) -> str:
    """Return a price with its currency's code, and at least the currency's decimals.

    >>> price_text("de", Decimal("1200"), "EUR"), price_text("en", Decimal("0.0125"), "JPY")
    ('1.200,00 EUR', '0.0125 JPY')
    """
    whole, _, decimals = f"{price:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(exponent(currency), "0")
    return f"{_marked(code, f'{whole}.{decimals}'.rstrip('.'))} {currency}"


def money_text(code: str, amount: Money) -> str:
    """Return an amount with its currency's code.

    >>> money_text("de", Money(-120050, "EUR"))
    '-1.200,50 EUR'
    """
    return price_text(code, amount.decimal(), amount.currency)


def percent_text(code: str, share: Decimal) -> str:
    """Return a share as a percentage.

    >>> percent_text("de", Decimal("0.025")), percent_text("en", Decimal("0.05"))
    ('2,5 %', '5 %')
    """
    return f"{_marked(code, f'{share.scaleb(2).normalize():f}')} %"


def _marked(code: str, number: str) -> str:
    """Return a number, written with a point, with the marks of a language and all its decimals."""
    decimals = number.partition(".")[2]
    pattern = "#,##0" + ("." + "0" * len(decimals) if decimals else "")
    with localcontext(prec=60):
        return _plain(format_decimal(Decimal(number), pattern, locale=_locale(code)))


def _plain(text: str) -> str:
    """Return a text with common spaces only, and without marks of direction.

    What is typed into a search box is found then, and no line hides a character.
    """
    return " ".join(text.translate(_MARKS).split())
