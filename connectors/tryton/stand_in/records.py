"""The stand-in's records: which fields they have, how they are written, searched and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

PLAIN: Final = ("", "")
Record = dict[str, Any]


class UserError(Exception):
    """What Tryton answers with `["UserError", [message, description, domain]]`."""


class ConcurrencyError(Exception):
    """A record is not as the context's `_timestamp` says."""


def _plain(*names: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(names, PLAIN)


INVOICE: Final = "account.invoice"
LINE: Final = f"{INVOICE}.line"
TAX: Final = f"{INVOICE}.tax"
TERM: Final = f"{INVOICE}.payment_term"
MOVE_LINE: Final = "account.move.line"
# Each field leads to another model, alone or by the field there that leads back, or is plain.
FIELDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "company.company": {
        "party": ("party.party", ""),
        "currency": ("currency.currency", ""),
        **_plain("cancel_invoice_out"),
    },
    "currency.currency": _plain("code", "digits", "rounding"),
    "country.country": _plain("code"),
    "party.party": {
        **_plain("name", "active"),
        "addresses": ("party.address", "party"),
        "identifiers": ("party.identifier", "party"),
        "contact_mechanisms": ("party.contact_mechanism", "party"),
    },
    "party.address": {
        **_plain("street_unstructured", "postal_code", "city", "country"),
        "party": ("party.party", ""),
    },
    "party.identifier": {**_plain("code", "code_compact"), "party": ("party.party", "")},
    "party.contact_mechanism": {**_plain("type", "value"), "party": ("party.party", "")},
    "account.account": _plain("code", "closed", "type", "company"),
    "account.journal": _plain("code", "type"),
    "account.tax.group": _plain("kind"),
    "account.tax": {
        **_plain("name", "type", "rate", "parent", "company"),
        **_plain("invoice_account", "credit_note_account"),
        "group": ("account.tax.group", ""),
    },
    "product.product": _plain("code", "default_uom", "account_revenue_used"),
    TERM: {**_plain("name"), "lines": (f"{TERM}.line", "payment")},
    f"{TERM}.line": {**_plain("type"), "relativedeltas": (f"{TERM}.line.delta", "line")},
    f"{TERM}.line.delta": _plain("days", "weeks", "months", "day", "month", "weekday"),
    f"{INVOICE}.payment.method": _plain("name"),
    "account.move.reconcile.write_off": _plain("name"),
    "account.move": {**_plain("origin"), "journal": ("account.journal", "")},
    MOVE_LINE: {
        **_plain("debit", "credit", "amount_second_currency", "second_currency"),
        **_plain("maturity_date"),
        "move": ("account.move", ""),
    },
    INVOICE: {
        **_plain("type", "number", "reference", "state", "description", "comment"),
        **_plain("invoice_address", "account", "journal", "party_tax_identifier", "invoice_date"),
        **_plain("total_amount", "amount_to_pay"),
        "company": ("company.company", ""),
        "party": ("party.party", ""),
        "currency": ("currency.currency", ""),
        "payment_term": (TERM, ""),
        "lines": (LINE, "invoice"),
        "taxes": (TAX, "invoice"),
        "lines_to_pay": (MOVE_LINE, "lines_to_pay"),
        "payment_lines": (MOVE_LINE, "payment_lines"),
        "reconciliation_lines": (MOVE_LINE, "reconciliation_lines"),
        "cancel_move": ("account.move", ""),
    },
    LINE: {
        **_plain("type", "sequence", "currency", "description", "quantity", "unit_price"),
        **_plain("account", "product", "unit", "taxes", "amount", "invoice"),
    },
    TAX: _plain(
        *("manual", "sequence", "tax", "account", "description", "base", "amount", "invoice")
    ),
}
STAMPS: Final = ("id", "create_date", "write_date", "create_uid", "_timestamp", "active")
BEGIN: Final = datetime(2026, 11, 2, 9)  # noqa: DTZ001 - Tryton's moments have no zone.


@dataclass
class Store:
    """All records, by model and id; its clock goes on by a second with each change."""

    computed: Mapping[tuple[str, str], Callable[[Record], Any]]

    def __post_init__(self) -> None:
        self.tables: dict[str, dict[int, Record]] = {model: {} for model in FIELDS}
        self.now = BEGIN

    def make(self, model: str, values: Mapping[str, Any]) -> int:
        """Create a record, and those that belong to it."""
        number = max(self.tables[model], default=0) + 1
        self.now += timedelta(seconds=1)
        begun = {"id": number, "create_date": self.now, "create_uid": 1, "active": True}
        own: Record = {name: [] if back else None for name, (_, back) in FIELDS[model].items()}
        self.tables[model][number] = {**own, **begun, "write_date": None}
        self.write(model, number, values, is_new=True)
        return number

    def write(
        self, model: str, number: int, values: Mapping[str, Any], *, is_new: bool = False
    ) -> None:
        """Write values into a record; of many others `["create", ...]` and the like."""
        record = self.tables[model][number]
        for name, value in values.items():
            if name not in FIELDS[model] and name != "active":
                raise KeyError(name)
            other, back = FIELDS[model].get(name, PLAIN)
            if not back:
                record[name] = value
                continue
            for action, *given in value:
                if action == "create":
                    record[name] += [self.make(other, each) for each in given[0]]
                elif action == "delete":
                    record[name] = [each for each in record[name] if each not in given[0]]
                    for each in given[0]:
                        self.tables[other].pop(each)
                else:
                    raise KeyError(action)
        self.now += timedelta(seconds=1)
        if not is_new:
            record["write_date"] = self.now

    def must_be_as_seen(self, seen: Mapping[str, str]) -> None:
        """Raise ConcurrencyError if a record has changed since; `seen` is `_timestamp`."""
        for key, stamp in seen.items():
            model, _, number = key.partition(",")
            record = self.tables[model].get(int(number))
            if record is not None and self.value(model, record, "_timestamp") != stamp:
                raise ConcurrencyError

    def search(self, model: str, domain: list[Any]) -> list[Record]:
        """Return the records that fit, in the order in which they were made."""
        asks_for_inactive = "'active'" in repr(domain)
        return [
            record
            for record in self.tables[model].values()
            if (record["active"] or asks_for_inactive) and self._fits(model, record, domain)
        ]

    def _fits(self, model: str, record: Record, domain: list[Any]) -> bool:
        if domain and isinstance(domain[0], str) and domain[0] not in ("OR", "AND"):
            path, operator, wanted = domain
            values = list(self._values(model, record, path.split(".")))
            return _holds(values, operator, wanted)
        parts = domain[1:] if domain and isinstance(domain[0], str) else domain
        fits = [self._fits(model, record, part) for part in parts]
        return any(fits) if domain and domain[0] == "OR" else all(fits)

    def _values(self, model: str, record: Record, path: list[str]) -> Iterable[Any]:
        value = self.value(model, record, path[0])
        if len(path) == 1:
            yield value
            return
        other = FIELDS[model][path[0]][0]
        for number in value if isinstance(value, list) else [value]:
            if number is not None:
                yield from self._values(other, self.tables[other][number], path[1:])

    def value(self, model: str, record: Record, name: str) -> Any:
        """Return the value of a field; raise KeyError for one that there is not."""
        if (model, name) in self.computed:
            return self.computed[model, name](record)
        if name == "_timestamp":
            return f"{(record['write_date'] or record['create_date']).timestamp()}"
        if name not in FIELDS[model] and name not in STAMPS:
            raise KeyError(name)
        return record[name]

    def read(self, model: str, record: Record, fields: list[str]) -> Record:
        """Return fields of a record; `lines.amount` puts the lines under `lines.`."""
        told: Record = {"id": record["id"]}
        deeper: dict[str, list[str]] = {}
        for field in fields:
            name, _, rest = field.partition(".")
            if rest:
                deeper.setdefault(name, []).append(rest)
            else:
                told[name] = self.value(model, record, name)
        for name, rests in deeper.items():
            other = FIELDS[model][name][0]
            value = self.value(model, record, name)
            if isinstance(value, list):
                many = [self.read(other, self.tables[other][each], rests) for each in value]
                told[f"{name}."] = many
            else:
                one = None if value is None else self.read(other, self.tables[other][value], rests)
                told[f"{name}."] = one
        return told


def _holds(values: list[Any], operator: str, wanted: Any) -> bool:
    match operator:
        case "=":
            return wanted in values
        case "!=":
            return wanted not in values
        case "in":
            return any(each in wanted for each in values)
        case ">":
            return any(each is not None and each > wanted for each in values)
        case ">=":
            return any(each is not None and each >= wanted for each in values)
        case "ilike":
            pattern = _pattern(wanted)
            return any(each and pattern.fullmatch(each) for each in values)
    raise KeyError(operator)


def _pattern(like: str) -> re.Pattern[str]:
    """Return what a pattern of SQL means, with a backslash before what is meant literally."""
    parts = re.findall(r"\\.|%|_|[^\\%_]+", like, re.DOTALL)
    words = {"%": ".*", "_": "."}
    meant = "".join(words.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.compile(meant, re.IGNORECASE | re.DOTALL)


def rounded(amount: Decimal, rounding: Decimal) -> Decimal:
    """Return an amount as Tryton rounds it: half to even."""
    return (amount / rounding).quantize(Decimal(1), rounding="ROUND_HALF_EVEN") * rounding
