"""What connectors to accounting systems share that take rates and calculate the taxes themselves.

What their taxes will come to is reckoned before anything is sent; see `connectors/taxes.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from ledger.errors import UnsupportedError
from ledger.invoices import InvoiceDraft
from ledger.money import exponent

from .accounting import AccountingConnector
from .connector import Setting
from .digits import PricedLine
from .http import Http
from .taxes import BY_LINE, ON_SUM, TaxThere, must_come_to_ours, roundings_setting, takes_tax

CENTS: Final = 2
TAX_ROUNDING: Final = Setting(
    "tax_rounding",
    f"How it rounds taxes: {BY_LINE} or {ON_SUM}; without it, both must come to ours",
    required=False,
)


class CalculatingConnector(AccountingConnector):
    """A connector to an accounting system that calculates taxes; it declares `calculates_taxes`."""

    rounding_advice: ClassVar[str] = (
        "look how it rounds taxes and say so as tax_rounding: in workspace.yaml, put more work on "
        "a line with one_line_per:, or send it elsewhere with send_to:"
    )
    """What to do where its taxes do not come to ours."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._rounded = roundings_setting(self.key, settings)

    @abstractmethod
    def _found(self, draft: InvoiceDraft) -> Sequence[TaxThere | None]:
        """Return the tax there of each line, by `taxes_there` or `named`; raise RejectedError."""

    def _roundings(self) -> frozenset[str]:
        """Return how the system may round; see `taxes.ROUNDINGS`."""
        return self._rounded

    def _is_inclusive(self, draft: InvoiceDraft) -> bool:
        """Return whether the invoice there says as a whole that its prices hold their tax."""
        return False

    def _must_have_cents(self, draft: InvoiceDraft) -> None:
        """Raise UnsupportedError for taxes in a currency with more or fewer than two decimals.

        For a system that rounds taxes to two, whatever the currency.
        """
        if exponent(draft.currency) != CENTS and any(map(takes_tax, draft.lines)):
            raise UnsupportedError(
                f"{self.key}: {draft.reference}: {self.name} rounds taxes to {CENTS} decimals, "
                f"which {draft.currency} does not have - send it elsewhere with send_to:"
            )

    def _keeps_inside(self, draft: InvoiceDraft) -> bool:
        return self._is_inclusive(draft)

    def _taxed(self, draft: InvoiceDraft) -> list[tuple[PricedLine, TaxThere | None]]:
        """Return the lines with their taxes there, which the system will come to itself.

        Raise RejectedError for a tax that it does not have, TaxesDifferError if it comes to others.
        """
        lines = self._priced(draft)
        if not draft.taxes:
            return [(line, None) for line in lines]
        found = self._found(draft)
        must_come_to_ours(
            *(self.key, self.name, draft),
            [(tax, line.amount) for tax, line in zip(found, lines, strict=True)],
            self._roundings(),
            is_inclusive=self._is_inclusive(draft),
            advice=self.rounding_advice,
        )
        return list(zip(lines, found, strict=True))
