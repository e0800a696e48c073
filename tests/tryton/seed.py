"""Fills an empty Tryton with the books of a small firm, over its own API and nothing else.

No code of Tryton's is imported here or anywhere: it is another program, under the GPL.
"""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal

from connectors.tryton.stand_in.person import INVOICE, PARTY, Person
from connectors.tryton.stand_in.site import CURRENCIES, OWN_TERM, PASSWORD, TAXES, USER


def fill(person: Person, years: tuple[int, ...]) -> None:
    """Enter company, chart of accounts, years, taxes, terms, and ways to pay and to write off."""
    currencies = {code: _currency(person, code, digits) for code, digits in CURRENCIES.items()}
    _company(person, currencies["EUR"])
    _chart(person)
    for year in years:
        _year(person, year)
    # Tryton itself comes with terms of 0, 10, 15, 30 and 60 days.
    deltas = [["create", [{"days": OWN_TERM, "weeks": 0, "months": 0}]]]
    line = {"type": "remainder", "relativedeltas": deltas}
    person.make(f"{INVOICE}.payment_term", name=f"{OWN_TERM} days", lines=[["create", [line]]])
    liability = account(person, "2.2.3")
    group = person.make("account.tax.group", name="Sales", code="sales", kind="sale")
    for name, rate in TAXES.items():
        person.make(
            "account.tax",
            name=name,
            description=name,
            group=group,
            type="percentage",
            rate=rate,
            invoice_account=liability,
            credit_note_account=liability,
        )
    cash = account(person, "1.1.1")
    person.make(
        f"{INVOICE}.payment.method",
        name="Bank transfer",
        journal=_journal(person, "cash"),
        credit_account=cash,
        debit_account=cash,
    )
    person.make(
        "account.move.reconcile.write_off",
        name="Bad debt",
        journal=_journal(person, "write-off"),
        credit_account=account(person, "6.1.1"),
        debit_account=account(person, "5.2.3"),
    )


def account(person: Person, code: str) -> int:
    """Return the id of an account by its code."""
    return person.find("account.account", ["closed", "!=", True], ["code", "=", code])[0]


def _journal(person: Person, kind: str) -> int:
    return person.find("account.journal", ["type", "=", kind])[0]


def _currency(person: Person, code: str, digits: int) -> int:
    return person.make(
        "currency.currency",
        name=code,
        code=code,
        symbol=code,
        digits=digits,
        rounding=Decimal(1).scaleb(-digits),
        rates=[["create", [{"date": date(2020, 1, 1), "rate": Decimal(1)}]]],
    )


def _company(person: Person, currency: int) -> None:
    party = person.make(PARTY, name="Studio Nord", addresses=[["create", [{}]]])
    company = person.make("company.company", party=party, currency=currency)
    users = person.find("res.user", ["login", "=", "admin"])
    person.of("res.user", "write", users, {"companies": [["add", [company]]], "company": company})
    person.context = {"company": company}
    _users(person, users[0], company)


def _users(person: Person, admin: int, company: int) -> None:
    """Let the admin into everything, and make the user that Billhook logs in as: it may do less."""
    everything = person.find("res.group")
    person.of("res.user", "write", [admin], {"groups": [["add", everything]]})
    groups = person.find("res.group", ["name", "in", ["Accounting"]])
    person.make(
        "res.user",
        name="Billhook",
        login=USER,
        password=PASSWORD,
        companies=[["add", [company]]],
        company=company,
        groups=[["add", groups]],
    )


def _chart(person: Person) -> None:
    company = person.context["company"]
    template = person.find("account.account.template", ["parent", "=", None])[0]
    chosen = {"account": {"company": company, "account_template": template}}
    person.wizard("account.create_chart", ("create_account", chosen))
    open_ones = ["closed", "!=", True]
    (receivable, *_) = person.find("account.account", open_ones, ["type.receivable", "=", True])
    (payable, *_) = person.find("account.account", open_ones, ["type.payable", "=", True])
    usual = {"account_receivable": receivable, "account_payable": payable}
    properties = {"properties": {"company": company, **usual}}
    person.wizard("account.create_chart", ("create_properties", properties))


def _sequence(person: Person, kind: str, name: str) -> int:
    (of_kind,) = person.find("ir.sequence.type", ["name", "=", kind])
    company = person.context["company"]
    return person.make("ir.sequence.strict", name=name, sequence_type=of_kind, company=company)


def _year(person: Person, year: int) -> None:
    invoices = _sequence(person, "Invoice", f"Invoices {year}")
    credits = _sequence(person, "Invoice", f"Credit notes {year}")
    sequences = {
        "in_invoice_sequence": invoices,
        "in_credit_note_sequence": credits,
        "out_invoice_sequence": invoices,
        "out_credit_note_sequence": credits,
    }
    months = [date(year, month, 1) for month in range(1, 13)] + [date(year + 1, 1, 1)]
    periods = [
        {
            "name": f"{begin:%Y-%m}",
            "start_date": begin,
            "end_date": end - timedelta(days=1),
            "type": "standard",
        }
        for begin, end in itertools.pairwise(months)
    ]
    person.make(
        "account.fiscalyear",
        name=f"{year}",
        start_date=date(year, 1, 1),
        end_date=date(year, 12, 31),
        move_sequence=_sequence(person, "Account Move", f"Moves {year}"),
        invoice_sequences=[["create", [sequences]]],
        periods=[["create", periods]],
    )
