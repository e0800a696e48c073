"""QuickBooks' query language, as far as it is documented: one kind, AND, and a few operators.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from .faults import FaultError

_VALUE: Final = r"'(?:[^'\\]|\\.)*'"
_QUERY: Final = re.compile(
    r"SELECT \* FROM (?P<entity>\w+)(?: WHERE (?P<where>.+?))?(?: ORDERBY (?P<order>\w+))?"
    r"(?: STARTPOSITION (?P<first>\d+))?(?: MAXRESULTS (?P<most>\d+))?",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION: Final = re.compile(
    rf"(?P<field>[\w.]+) (?P<operator>=|>=|<=|>|<|IN) (?P<value>{_VALUE}|\((?:{_VALUE}(?:, ?)?)+\))"
    r"(?: AND )?",
    re.IGNORECASE | re.DOTALL,
)
_SALE: Final = (
    *("Id", "DocNumber", "CustomerRef", "TxnDate", "TotalAmt"),
    *("MetaData.CreateTime", "MetaData.LastUpdatedTime"),
)
FILTERABLE: Final = {
    "Invoice": (*_SALE, "Balance", "DueDate"),
    "Estimate": _SALE,
    "CreditMemo": _SALE,
    "Payment": _SALE,
    "Customer": ("Id", "DisplayName", "CompanyName", "Active", *_SALE[-2:]),
    "TaxCode": ("Id", "Name", "Active"),
    "TaxRate": ("Id", "Name", "Active"),
    "Item": ("Id", "Name", "FullyQualifiedName", "Active"),
}
"""Of each kind the fields that may be asked for; a private note may not."""
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda there, asked: there == asked,
    ">=": lambda there, asked: there is not None and there >= asked,
    "<=": lambda there, asked: there is not None and there <= asked,
    ">": lambda there, asked: there is not None and there > asked,
    "<": lambda there, asked: there is not None and there < asked,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One question, read."""

    entity: str
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    first: int
    most: int

    def fits(self, each: Mapping[str, Any]) -> bool:
        """Return whether an object fits all conditions."""
        return all(_fits(each, *condition) for condition in self.conditions)


def read(text: str) -> Query:
    """Return a query; raise FaultError for what the language does not have."""
    found = _QUERY.fullmatch(text)
    if found is None or found["entity"] not in FILTERABLE:
        raise FaultError("4000", "QueryParserError")
    conditions, at, where = [], 0, found["where"] or ""
    while at < len(where):
        condition = _CONDITION.match(where, at)
        if condition is None:
            raise FaultError("4000", "QueryParserError")
        if condition["field"] not in FILTERABLE[found["entity"]]:
            raise FaultError("4001", f"property '{condition['field']}' is not queryable")
        values = tuple(
            re.sub(r"\\(.)", r"\1", each[1:-1]) for each in re.findall(_VALUE, condition["value"])
        )
        conditions.append((condition["field"], condition["operator"].upper(), values))
        at = condition.end()
    most = int(found["most"] or 100)
    if most > 1000:
        raise FaultError("4001", "maxresults is too large")
    return Query(found["entity"], tuple(conditions), int(found["first"] or 1), most)


def _fits(each: Mapping[str, Any], field: str, operator: str, values: tuple[str, ...]) -> bool:
    there: Any = each
    for name in field.split("."):
        there = (there or {}).get(name)
    if isinstance(there, Mapping):
        there = there.get("value")
    if operator == "IN":
        return there in values
    asked: Any = values[0]
    if field.startswith("MetaData."):
        there, asked = datetime.fromisoformat(there), datetime.fromisoformat(asked)
    # Numbers and names are compared without regard to case there.
    if isinstance(there, str):
        there, asked = there.casefold(), asked.casefold()
    return _COMPARED[operator](there, asked)
