"""Our taxes as QuickBooks' tax codes and rates: found by name, held to the same rate. Pure.

QuickBooks takes what each tax comes to in `TxnTaxDetail`, instead of calculating it.
https://developer.intuit.com/app/developer/qbo/docs/develop/tutorials/manage-sales-tax-for-non-us-locales
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.taxes import nets as nets_of
from ledger.errors import RejectedError
from ledger.invoices import InvoiceDraft
from ledger.money import Money

from .api import Json, number

AMOUNT_PLACES = 2
"""Decimal places to which QuickBooks rounds an amount, in every currency."""


@dataclass(frozen=True, slots=True)
class TaxCode:
    """A tax code there, and its only rate on sales."""

    id: str
    rate: str
    """The id of the rate."""


def nets(draft: InvoiceDraft) -> list[int]:
    """Return each line's amount without the tax that is in it, so that they sum to our net.

    Raise UnsupportedError for a tax that QuickBooks cannot keep.
    """
    return nets_of("quickbooks", "QuickBooks", draft, places=AMOUNT_PLACES)


def codes_of(
    draft: InvoiceDraft, codes: Iterable[Json], rates: Iterable[Json]
) -> dict[str, TaxCode]:
    """Return the tax code there for each of the draft's taxes, by `Tax.key`.

    It is the one that `books:` names, else the one that is called as our tax, with or without its
    rate. Raise RejectedError if there is none, or if it takes another rate than ours.
    """
    every = [each for each in codes if each.get("Active", True)]
    value = {str(each["Id"]): number(each.get("RateValue", 0)) for each in rates}
    found = {}
    for total in draft.taxes:
        tax = total.tax
        coded = {line.coding.tax_code for line in draft.lines if line.tax == tax.key} - {None}
        names = sorted(map(str, coded)) or [tax.key.removesuffix(" included"), tax.code]
        there = next((one for name in names for one in every if _is(one, name)), None)
        where = f"quickbooks: {draft.reference}"
        if there is None or len(coded) > 1:
            raise RejectedError(
                f"{where}: QuickBooks has no one tax code for {tax.key}, looked for "
                f"{' and '.join(names)} - name one so there, or write books: {{tax_code: ID}}"
            )
        of_it = (there.get("SalesTaxRateList") or {}).get("TaxRateDetail") or []
        ids = [str(each["TaxRateRef"]["value"]) for each in of_it]
        if len(ids) != 1 or value.get(ids[0]) != tax.rate:
            told = " and ".join(f"{value[one].normalize():f} %" for one in ids if one in value)
            raise RejectedError(
                f"{where}: tax code {there.get('Name')} takes {told or 'nothing'} there, and "
                f"{tax.key} is ours - mend the rate there or in taxes:, or name another tax code"
            )
        found[tax.key] = TaxCode(str(there["Id"]), ids[0])
    return found


def detail(draft: InvoiceDraft, codes: Mapping[str, TaxCode]) -> dict[str, Any]:
    """Return what the taxes come to: one line for each rate."""
    together: dict[str, tuple[Any, int, int]] = {}
    for total in draft.taxes:
        rate = codes[total.tax.key].rate
        _, net, amount = together.get(rate, (None, 0, 0))
        together[rate] = (total.tax.rate, net + total.net, amount + total.amount)
    lines = [
        {
            "Amount": Money(amount, draft.currency).decimal(),
            "DetailType": "TaxLineDetail",
            "TaxLineDetail": {
                "TaxRateRef": {"value": rate},
                "PercentBased": True,
                "TaxPercent": percent,
                "NetAmountTaxable": Money(net, draft.currency).decimal(),
            },
        }
        for rate, (percent, net, amount) in together.items()
    ]
    return {"TotalTax": draft.tax.decimal(), "TaxLine": lines}


def _is(code: Json, name: str) -> bool:
    return str(code["Id"]) == name or str(code.get("Name", "")).casefold() == name.casefold()
