"""One company's books: what QuickBooks keeps, and the rules by which it refuses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from . import fields
from .faults import FaultError

SALES: Final = ("Invoice", "Estimate")
MOST_LINES: Final = 750
TAXES: Final[Mapping[str, str]] = {
    "A 19 %": "19",
    "A 0 %": "0",
    "A 1 %": "1",
    "A 5 %": "5",
    "A 8.1 %": "8.1",
    "A 10 %": "10",
    "A 20 %": "20",
    "A 24 %": "24",
    "B 7 %": "7",
    "B 8.1 %": "8.1",
    "RC": "0",
    "EX": "0",
    "DE19": "19",
    "Exempt": "0",
}
"""The company's tax codes: the rate of each, in percent."""
_CENT: Final = Decimal("0.01")
Object = dict[str, Any]


class Book:
    """The state of a company. Transactions of all kinds share one row of ids."""

    def __init__(self, *, counts_itself: bool = False, home: str = "EUR") -> None:
        self.counts_itself, self.home, self.has_currencies = counts_itself, home, True
        self.objects: dict[tuple[str, str], Object] = {}
        self.deleted: list[tuple[str, Object]] = []
        self._last_id, self._last_number = 100, 1000
        for at, name in enumerate(("Consulting", "Travel"), 1):
            of_item = {"FullyQualifiedName": name, "Type": "Service"}
            self.objects["Item", str(at)] = {**_named(at, name), **of_item}
        for at, (name, rate) in enumerate(TAXES.items(), 1):
            rated = {"RateValue": Decimal(rate), "DisplayType": "ReadOnly"}
            self.objects["TaxRate", str(100 + at)] = {**_named(100 + at, f"{name} rate"), **rated}
            rates = {"TaxRateDetail": [{"TaxRateRef": {"value": str(100 + at)}}]}
            code = {**_named(at, name), "Taxable": True, "SalesTaxRateList": rates}
            self.objects["TaxCode", str(at)] = code

    def every(self, entity: str) -> list[Object]:
        """Return all objects of a kind, by id."""
        found = [each for (kind, _), each in self.objects.items() if kind == entity]
        return sorted(found, key=lambda each: int(each["Id"]))

    def get(self, entity: str, there_id: str) -> Object:
        """Return an object; raise FaultError if there is none."""
        try:
            return self.objects[entity, there_id]
        except KeyError:
            raise FaultError("610", "Object Not Found") from None

    def write(self, entity: str, body: Mapping[str, Any]) -> Object:
        """Create an object, or change the one that is named; return it as it is now."""
        fields.check(entity, body)
        there = self._current(entity, body) if "Id" in body else None
        if entity == "Customer":
            return self._customer(body)
        given = {name: value for name, value in body.items() if name not in ("Id", "sparse")}
        if there is not None and body.get("sparse"):
            # What is empty is taken away, what is not named stays.
            given = {**there, **given}
        return self._sale(entity, given, there)

    def delete(self, entity: str, body: Mapping[str, Any]) -> Object:
        """Delete an object; return what is told about it afterwards."""
        there = self._current(entity, body)
        for each in self.objects.values():
            if "LinkedTxn" in each:
                links = [link for link in each["LinkedTxn"] if link["TxnId"] != there["Id"]]
                each["LinkedTxn"] = links
        del self.objects[entity, there["Id"]]
        gone = {"domain": "QBO", "status": "Deleted", "Id": there["Id"]}
        self.deleted.append((entity, {**gone, "MetaData": {"LastUpdatedTime": _now()}}))
        return gone

    def void(self, there: Object) -> None:
        """Void an invoice as a person or a request does: amounts are zero, the note says so.

        What was paid of it stays with the customer, applied to nothing.
        """
        for payment in self.every("Payment"):
            lines = [each for each in payment["Line"] if not _names(each, there["Id"])]
            if len(lines) < len(payment["Line"]):
                payment.update(Line=lines, UnappliedAmt=payment["TotalAmt"])
        there["LinkedTxn"] = [each for each in there["LinkedTxn"] if each["TxnType"] != "Payment"]
        there.update(TotalAmt=Decimal(0), Balance=Decimal(0))
        for line in there["Line"]:
            line["Amount"] = Decimal(0)
            detail = line.get("SalesItemLineDetail", {})
            detail.update({name: Decimal(0) for name in ("Qty", "UnitPrice") if name in detail})
        there["PrivateNote"] = " - ".join(filter(None, ("Voided", there.get("PrivateNote"))))
        self.touch(there)

    def add(self, entity: str, told: Mapping[str, Any]) -> Object:
        """Enter a transaction as a person does in QuickBooks itself."""
        self._last_id += 1
        made = {**copy.deepcopy(dict(told)), **_new(str(self._last_id))}
        self.objects[entity, made["Id"]] = made
        return made

    def touch(self, there: Object) -> None:
        """Note that an object has changed."""
        there["SyncToken"] = str(int(there["SyncToken"]) + 1)
        there["MetaData"] = {**there["MetaData"], "LastUpdatedTime": _now()}

    def _current(self, entity: str, body: Mapping[str, Any]) -> Object:
        there = self.get(entity, str(body.get("Id", "")))
        if "SyncToken" not in body:
            raise FaultError("2020", "Required parameter SyncToken is missing", "SyncToken")
        if body["SyncToken"] != there["SyncToken"]:
            raise FaultError("5010", "You and Ana were working on this at the same time")
        return there

    def _customer(self, body: Mapping[str, Any]) -> Object:
        if not body.get("DisplayName"):
            raise FaultError("2020", "DisplayName is missing", "DisplayName")
        for each in self.every("Customer"):
            if each["DisplayName"].casefold() == body["DisplayName"].casefold():
                raise FaultError("6240", "The name supplied already exists")
        made = self.add("Customer", {"Active": True, "Job": False, "Balance": Decimal(0), **body})
        made.setdefault("CurrencyRef", {"value": self.home})
        if "PrimaryTaxIdentifier" in made:
            made["PrimaryTaxIdentifier"] = "XXXXX" + made["PrimaryTaxIdentifier"][-4:]
        return made

    def _sale(self, entity: str, given: Object, there: Object | None) -> Object:
        """Check an estimate or an invoice by the rules of the books, then keep it."""
        customer = self._referred("Customer", given.get("CustomerRef"), "CustomerRef")
        currency = given.get("CurrencyRef", {}).get("value", customer["CurrencyRef"]["value"])
        if currency != customer["CurrencyRef"]["value"]:
            raise FaultError("6000", "Business Validation Error: another currency")
        lines = [each for each in given.get("Line", []) if each["DetailType"] != _SUBTOTAL]
        if not lines:
            raise FaultError("2020", "Required parameter Line is missing", "Line")
        if len(lines) > MOST_LINES:
            raise FaultError("6000", "Business Validation Error: too many lines")
        for line in lines:
            self._check_line(line)
        total = sum((Decimal(line["Amount"]) for line in lines), Decimal(0))
        taxes = self._taxes(given, lines)
        total += taxes["TotalTax"]
        if total < 0:
            raise FaultError("6000", "Enter a transaction amount that is 0 or greater")
        self._check_fields(given)
        number = self._number(entity, given, there)
        paid = there["TotalAmt"] - there["Balance"] if there and entity == "Invoice" else 0
        kept = {
            **given,
            "CustomerRef": {"value": customer["Id"], "name": customer["DisplayName"]},
            "CurrencyRef": {"value": currency, "name": currency},
            "Line": [*_numbered(lines), _subtotal(total - taxes["TotalTax"])],
            "TxnTaxDetail": taxes,
            "TotalAmt": total,
            "PrintStatus": given.get("PrintStatus", "NeedToPrint"),
            "EmailStatus": given.get("EmailStatus", "NotSet"),
            "LinkedTxn": there["LinkedTxn"] if there else [],
        }
        if number is not None:
            kept["DocNumber"] = number
        kept["CustomField"] = [each for each in kept.get("CustomField", []) if each["StringValue"]]
        for name in ("CustomerMemo", "BillEmail"):
            if name in kept and not any(kept[name].values()):
                del kept[name]
        if entity == "Invoice":
            kept["Balance"] = total - paid
        else:
            kept["TxnStatus"] = there["TxnStatus"] if there else "Pending"
        if there is None:
            return self.add(entity, kept)
        kept.update({name: there[name] for name in ("Id", "SyncToken", "MetaData", "domain")})
        kept["sparse"] = False
        there.clear()
        there.update(copy.deepcopy(kept))
        self.touch(there)
        return there

    def _referred(self, entity: str, reference: Any, name: str) -> Object:
        if not reference:
            raise FaultError("2020", f"Required parameter {name} is missing", name)
        found = self.objects.get((entity, reference["value"]))
        if found is None:
            raise FaultError("2500", f"Invalid Reference Id : {name}", name)
        return found

    def _check_line(self, line: Mapping[str, Any]) -> None:
        if "Amount" not in line:
            raise FaultError("2020", "Required parameter Line.Amount is missing", "Amount")
        detail = line.get("SalesItemLineDetail", {})
        self._referred("Item", detail.get("ItemRef"), "ItemRef")
        if "Qty" in detail and "UnitPrice" in detail:
            worth = Decimal(detail["Qty"]) * Decimal(detail["UnitPrice"])
            if worth.quantize(_CENT, ROUND_HALF_UP) != line["Amount"]:
                raise FaultError("6070", "Amount is not equal to UnitPrice * Qty", "Amount")
        if Decimal(line["Amount"]).quantize(_CENT, ROUND_HALF_UP) != line["Amount"]:
            raise FaultError("6000", "Business Validation Error: more than two decimal places")

    def _taxes(self, given: Mapping[str, Any], lines: list[Object]) -> Object:
        """Return what the taxes come to: as it is supplied, else as QuickBooks calculates it."""
        nets: dict[str, Decimal] = {}
        for line in lines:
            code = line["SalesItemLineDetail"].get("TaxCodeRef")
            if code and code["value"] not in ("TAX", "NON"):
                rates = self._referred("TaxCode", code, "TaxCodeRef")["SalesTaxRateList"]
                rate = rates["TaxRateDetail"][0]["TaxRateRef"]["value"]
                nets[rate] = nets.get(rate, Decimal(0)) + Decimal(line["Amount"])
        if given.get("GlobalTaxCalculation") == "NotApplicable":
            return {"TotalTax": Decimal(0)}
        supplied = given.get("TxnTaxDetail", {}).get("TaxLine")
        if supplied is None:
            return self._calculated(nets)
        told = given["TxnTaxDetail"]
        if sum(Decimal(each["Amount"]) for each in supplied) != told.get("TotalTax"):
            raise FaultError("6000", "Business Validation Error: TotalTax is not its lines' sum")
        named = {
            each["TaxLineDetail"]["TaxRateRef"]["value"]: each["TaxLineDetail"]["NetAmountTaxable"]
            for each in supplied
        }
        if named != nets:
            raise FaultError("6000", "Business Validation Error: taxes and lines do not fit")
        return {"TotalTax": Decimal(told["TotalTax"]), "TaxLine": copy.deepcopy(supplied)}

    def _calculated(self, nets: Mapping[str, Decimal]) -> Object:
        lines = []
        for rate, net in nets.items():
            percent = self.get("TaxRate", rate)["RateValue"]
            amount = (net * percent / 100).quantize(_CENT, ROUND_HALF_UP)
            of_rate = {"TaxRateRef": {"value": rate}, "PercentBased": True}
            counted = {**of_rate, "TaxPercent": percent, "NetAmountTaxable": net}
            line = {"Amount": amount, "DetailType": "TaxLineDetail", "TaxLineDetail": counted}
            lines.append(line)
        whole = sum((Decimal(each["Amount"]) for each in lines), Decimal(0))
        return {"TotalTax": whole, "TaxLine": lines}

    def _check_fields(self, given: Mapping[str, Any]) -> None:
        for each in given.get("CustomField", []):
            if each["DefinitionId"] != "1":
                raise FaultError("2500", "Invalid Reference Id : CustomField", "DefinitionId")

    def _number(self, entity: str, given: Mapping[str, Any], there: Object | None) -> str | None:
        number: str | None = given.get("DocNumber")
        if number is None and there is not None:
            number = there.get("DocNumber")
        if number is None and self.counts_itself:
            self._last_number += 1
            return str(self._last_number)
        taken = [each for each in self.every(entity) if each.get("DocNumber") == number]
        if number and not self.counts_itself and any(each is not there for each in taken):
            raise FaultError("6140", f"Duplicate Document Number : {number}")
        return number


def _named(at: int, name: str) -> Object:
    kept = {"Id": str(at), "SyncToken": "0", "domain": "QBO", "sparse": False}
    return {**kept, "Name": name, "Active": True}


def _names(line: Object, there_id: str) -> bool:
    """Return whether a payment's line is applied to a transaction."""
    return any(each["TxnId"] == there_id for each in line["LinkedTxn"])


_SUBTOTAL: Final = "SubTotalLineDetail"


def _numbered(lines: list[Object]) -> list[Object]:
    return [
        {**line, "Id": str(at), "LineNum": at, "Amount": Decimal(line["Amount"])}
        for at, line in enumerate(lines, 1)
    ]


def _subtotal(total: Decimal) -> Object:
    return {"Amount": total, "DetailType": _SUBTOTAL, "SubTotalLineDetail": {}}


def _new(there_id: str) -> Object:
    now = _now()
    return {
        "Id": there_id,
        "SyncToken": "0",
        "domain": "QBO",
        "sparse": False,
        "MetaData": {"CreateTime": now, "LastUpdatedTime": now},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
