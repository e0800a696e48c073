"""A stand-in for Stripe: a small stateful server for tests and the demo, never for production.

It keeps nothing secret, trusts whoever reaches it, and moves no money. Its requests are
checked against the installed `stripe` package's own parameter types, so that the connector
cannot send what Stripe would not know. `python -m connectors.stripe.stand_in` starts it.

- `book.py`: customers, invoices and payments, and what may be done with them
- `parameters.py`: decodes Stripe's form encoding and checks it against the package's types
- `server.py`: HTTP: keys, idempotency, faults on request, the control endpoints
- `hooks.py`: signs events and posts them to Billhook
- `rig.py`: what the shared contract tests need
"""

from __future__ import annotations

from .rig import contract_setup
from .server import Serving, StripeStandIn, serve

__all__ = ["Serving", "StripeStandIn", "contract_setup", "serve"]
