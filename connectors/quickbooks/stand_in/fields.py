"""Which fields a request may have, and of which type: others are refused (fault 2010).

Held against Intuit's own XSD in `tests/connectors/test_quickbooks_schema.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from .faults import FaultError

TEXT, NUMBER, FLAG = str, (int, Decimal), bool
REF: Final[Mapping[str, Any]] = {"value": TEXT, "name": TEXT}
_HEAD: Final[Mapping[str, Any]] = {
    "Id": TEXT,
    "SyncToken": TEXT,
    "sparse": FLAG,
    "DocNumber": TEXT,
    "TxnDate": TEXT,
    "PrivateNote": TEXT,
    "CustomerRef": REF,
    "CurrencyRef": REF,
    "CustomerMemo": {"value": TEXT},
    "BillEmail": {"Address": TEXT},
    "EmailStatus": ("NotSet", "NeedToSend"),
    "GlobalTaxCalculation": ("TaxExcluded", "TaxInclusive", "NotApplicable"),
    "DueDate": TEXT,
    "TxnTaxDetail": {
        "TotalTax": NUMBER,
        "TaxLine": [
            {
                "Amount": NUMBER,
                "DetailType": ("TaxLineDetail",),
                "TaxLineDetail": {
                    "TaxRateRef": REF,
                    "PercentBased": FLAG,
                    "TaxPercent": NUMBER,
                    "NetAmountTaxable": NUMBER,
                },
            }
        ],
    },
    "CustomField": [
        {"DefinitionId": TEXT, "Name": TEXT, "Type": ("StringType",), "StringValue": TEXT}
    ],
    "Line": [
        {
            "Description": TEXT,
            "Amount": NUMBER,
            "DetailType": ("SalesItemLineDetail",),
            "SalesItemLineDetail": {
                "ItemRef": REF,
                "ClassRef": REF,
                "TaxCodeRef": REF,
                "Qty": NUMBER,
                "UnitPrice": NUMBER,
            },
        }
    ],
}
FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Invoice": _HEAD,
    "Estimate": _HEAD,
    "Customer": {
        "DisplayName": TEXT,
        "CompanyName": TEXT,
        "Notes": TEXT,
        "PrimaryEmailAddr": {"Address": TEXT},
        "PrimaryTaxIdentifier": TEXT,
        "CurrencyRef": REF,
        "BillAddr": {
            **{f"Line{at}": TEXT for at in range(1, 6)},
            "City": TEXT,
            "Country": TEXT,
            "PostalCode": TEXT,
        },
    },
}
LONGEST: Final = {
    "DocNumber": 21,
    "PrivateNote": 4000,
    "Description": 4000,
    "StringValue": 31,
    "DisplayName": 500,
}


def check(entity: str, body: Mapping[str, Any]) -> None:
    """Raise FaultError for a field that is not documented, or of another type."""
    _check(body, FIELDS[entity], entity)


def _check(value: Any, known: Any, path: str) -> None:
    if isinstance(known, list):
        if not isinstance(value, list):
            raise FaultError("2010", f"{path} is no list", path)
        for each in value:
            _check(each, known[0], path)
    elif isinstance(known, Mapping):
        if not isinstance(value, dict):
            raise FaultError("2010", f"{path} is no object", path)
        for name, member in value.items():
            if name not in known:
                raise FaultError("2010", f"Property Name:{name} specified is unsupported", name)
            _check(member, known[name], f"{path}.{name}")
            if len(str(member)) > LONGEST.get(name, 10**6):
                raise FaultError("2050", f"{name} is too long", name)
    elif isinstance(known, tuple) and all(isinstance(each, str) for each in known):
        if value not in known:
            raise FaultError("2010", f"{path} is none of {known}", path)
    elif not isinstance(value, known) or (known is not FLAG and isinstance(value, bool)):
        raise FaultError("2010", f"{path} has the wrong type", path)
