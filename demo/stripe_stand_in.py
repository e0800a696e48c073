"""Serves Stripe's stand-in with the demo's own API key and signing secret, out of sight of `ps`."""

from __future__ import annotations

import os
import sys
import threading

from connectors.http import OutgoingHttp
from connectors.stripe.stand_in import StripeStandIn, serve
from connectors.stripe.stand_in.hooks import Hooks

if __name__ == "__main__":
    port, webhook_url = sys.argv[1:]
    http = OutgoingHttp(allow_private=True)
    hooks = Hooks(http, webhook_url, os.environ["STRIPE_WEBHOOK_SECRET"])
    stand_in = StripeStandIn(hooks=hooks, api_key=os.environ["STRIPE_API_KEY"])
    serve(stand_in, int(port))
    threading.Event().wait()
