"""What is wrong with a statement: nothing of it is taken then."""

from __future__ import annotations

from ledger.errors import BillhookError


class StatementError(BillhookError):
    """A statement cannot be read, or contradicts itself; the message says where and what to do."""
