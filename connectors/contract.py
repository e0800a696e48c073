"""What a stand-in gives to the shared contract tests of billing connectors.

Each system's folder has `stand_in.contract_setup(folder) -> ContractRig`; the tests in
`tests/contracts/` find it by its place and need nothing else. See `docs/adding-a-connector.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .connector import BillingConnector
from .http import Http, Response


@dataclass(frozen=True, slots=True)
class ContractRig:
    """A fresh stand-in and the ways to reach it."""

    connect: Callable[[Http], BillingConnector]
    """Makes a connector with valid settings on this HTTP port."""
    http: Http | None = None
    """Reaches the stand-in; None for a system that is not reached over HTTP."""
    secret: str | None = None
    """The secret among the settings, which must never be shown."""
    happenings: Mapping[str, Callable[[str, int], None]] = field(default_factory=dict)
    """What can happen at the other side, by remote id and ISO minor units.

    Of "finalize", "pay", "refund", "dispute", "credit", "void", "delete": those that the
    system can do and Billhook must see.
    """
    refusal: Callable[[int], Response] | None = None
    """An answer with this HTTP status, worded as the vendor does."""
