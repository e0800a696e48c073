"""Serves the stand-in: `python -m connectors.stripe.stand_in --port 12111`."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from connectors.http import OutgoingHttp

from .hooks import Hooks
from .server import API_KEY, StripeStandIn, serve


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A stand-in for Stripe, for demos and tests only")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--state", type=Path, help="a JSON file that keeps everything")
    parser.add_argument("--webhook-url", help="where events are posted")
    parser.add_argument("--webhook-secret", default="whsec_standin", help="signs the events")
    given = parser.parse_args()
    hooks = None
    if given.webhook_url:
        http = OutgoingHttp(allow_private=True)
        hooks = Hooks(http, given.webhook_url, given.webhook_secret)
    serving = serve(StripeStandIn(state=given.state, hooks=hooks), given.port)
    sys.stdout.write(f"stand-in for Stripe at {serving.url}, API key {API_KEY}\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        serving.close()


if __name__ == "__main__":
    main()
