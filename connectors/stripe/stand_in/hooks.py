"""Signs the stand-in's events as Stripe does and posts them to Billhook's endpoint.

One thread posts them in order, so that an API answer never waits for the receiver, who may
be asking the stand-in something at that very moment.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import time
from typing import Any

from connectors.http import Http, Request
from ledger.errors import ConnectorError

TRIES = 3
PAUSE_SECONDS = 0.2


def signature(body: bytes, secret: str, at: int) -> str:
    """Return the `Stripe-Signature` header: https://docs.stripe.com/webhooks#verify-manually."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class Hooks:
    """Delivers events; one that cannot be delivered is dropped after a few tries."""

    def __init__(
        self, http: Http, url: str, secret: str, *, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._http, self._url, self._secret = http, url, secret
        self._pause = pause_seconds
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._deliver, name="stripe-stand-in-hooks", daemon=True).start()

    def post(self, event: dict[str, Any]) -> None:
        """Have the event delivered soon."""
        self._waiting.put(event)

    def wait(self) -> None:
        """Return when every event so far has been delivered or dropped."""
        self._waiting.join()

    def _deliver(self) -> None:
        while True:
            event = self._waiting.get()
            for _ in range(TRIES):
                if self._accepted(event):
                    break
                time.sleep(self._pause)
            self._waiting.task_done()

    def _accepted(self, event: dict[str, Any]) -> bool:
        body = json.dumps(event, indent=2).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._secret, int(time.time())),
        }
        try:
            answer = self._http.send(Request("POST", self._url, headers, body))
        except ConnectorError:
            return False
        return 200 <= answer.status < 300
