"""A stand-in for Xero: a small stateful server for tests, never for production.

- `books.py`: contacts, invoices and what pays them, with Xero's arithmetic and its refusals
- `server.py`: HTTP: tokens, tenants, keys, filters, pages
- `rig.py`: what the shared contract tests need
"""

from __future__ import annotations

from .rig import Bearer, contract_setup
from .server import TENANT, XeroStandIn

__all__ = ["TENANT", "Bearer", "XeroStandIn", "contract_setup"]
