"""A stand-in for QuickBooks Online: a small stateful server for tests, never for production.

- `book.py`: customers, items, estimates and invoices, and the rules by which they are refused
- `fields.py`: which fields a request may have
- `query.py`: the query language
- `server.py`: HTTP: replayed answers, queries, change data capture
- `happenings.py`: what people do in QuickBooks itself
- `rig.py`: what the shared contract tests need
"""

from .rig import contract_setup
from .server import QuickBooksStandIn

__all__ = ["QuickBooksStandIn", "contract_setup"]
