"""What connectors to accounting systems share that take rates and calculate the taxes themselves.

Their taxes are looked up, and what they will come to is reckoned before anything is sent; see
`connectors/taxes.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ledger.invoices import InvoiceDraft

from .accounting import AccountingConnector
from .digits import PricedLine
from .taxes import TaxThere, must_come_to_ours, roundings_setting, taxes_there


class CalculatingConnector(AccountingConnector):
    """A connector to an accounting system that calculates taxes; it declares `calculates_taxes`."""

    rounding_advice: ClassVar[str] = (
        "look how it rounds taxes and say so as tax_rounding: in workspace.yaml, put more work on "
        "a line with one_line_per:, or send it elsewhere with send_to:"
    )
    """What to do where its taxes do not come to ours."""

    @abstractmethod
    def _taxes_there(self) -> Sequence[TaxThere]:
        """Return the taxes on sales that the system has."""

    def _roundings(self) -> frozenset[str]:
        """Return how the system may round; see `taxes.ROUNDINGS`."""
        return roundings_setting(self.key, self.configured)

    def _is_inclusive(self, draft: InvoiceDraft) -> bool:
        """Return whether the invoice there says as a whole that its prices hold their tax."""
        return False

    def _keeps_inside(self, draft: InvoiceDraft) -> bool:
        return self._is_inclusive(draft)

    def _taxed(self, draft: InvoiceDraft) -> list[tuple[PricedLine, TaxThere | None]]:
        """Return the lines with their taxes there, which the system will come to itself.

        Raise RejectedError for a tax that it does not have, TaxesDifferError if it comes to others.
        """
        lines = self._priced(draft)
        if not draft.taxes:
            return [(line, None) for line in lines]
        is_inclusive = self._is_inclusive(draft)
        found = taxes_there(
            *(self.key, self.name, draft, self._taxes_there()),
            is_kept_inside=self._keeps_inside(draft) and not is_inclusive,
        )
        must_come_to_ours(
            *(self.key, self.name, draft),
            [(tax, line.amount) for tax, line in zip(found, lines, strict=True)],
            self._roundings(),
            is_inclusive=is_inclusive,
            advice=self.rounding_advice,
        )
        return list(zip(lines, found, strict=True))
