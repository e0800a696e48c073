"""How deliveries are signed, as data: a source declares a scheme and codes nothing by hand.

Called by `Source.verify` on the raw bytes at receipt. Everything fails closed: no secret,
no header, odd characters or a doubled value are refused, never passed over. `sign` is the
other side of the same declaration; the tests and the demo send with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from ledger.errors import SignatureError
from ledger.events import Delivery

TOLERANCE_SECONDS: Final = 300
"""How far a signed timestamp may lie in the past or in the future."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class Signature(ABC):
    """A way to prove that a delivery comes from somebody who knows the endpoint's secret."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], *, now: datetime) -> None:
        """Raise SignatureError unless one of the live secrets signed exactly these bytes."""
        live = [secret for secret in secrets if secret.strip()]
        if not live:
            raise SignatureError(
                "signature: this endpoint has no secret - set one in workspace.yaml"
            )
        refusal = SignatureError(
            f"{self.described}: does not match - check that the tool and workspace.yaml "
            "hold the same secret and that nothing on the way changes the body"
        )
        for secret in live:
            try:
                if self.matches(delivery, secret, now):
                    return
            except SignatureError as error:
                # One secret that cannot be a key must not lock out the other one.
                refusal = error
        raise refusal

    @property
    @abstractmethod
    def headers(self) -> tuple[str, ...]:
        """Return the lower-case names of the headers that this scheme needs."""

    @property
    def described(self) -> str:
        """Return the header that an error message names."""
        return self.headers[-1]

    @abstractmethod
    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        """Return whether this secret signed the delivery; raise SignatureError if none can have."""

    @abstractmethod
    def sign(self, body: bytes, secret: str, *, delivery_id: str, now: datetime) -> dict[str, str]:
        """Return the headers that a sender adds to this body."""


@dataclass(frozen=True, slots=True)
class Hmac(Signature):
    """An HMAC over the raw body in one header. It says nothing about when it was sent."""

    header: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:  # noqa: ARG002
        given = _header(delivery, self.header)
        if not given.startswith(self.prefix):
            raise SignatureError(f"{self.header}: does not begin with {self.prefix}")
        given = given.removeprefix(self.prefix)
        if self.encoding == "hex":
            given = given.lower()
        return _equal(self._value(delivery.body, secret), given)

    def sign(self, body: bytes, secret: str, *, delivery_id: str, now: datetime) -> dict[str, str]:  # noqa: ARG002
        return {self.header: self.prefix + self._value(body, secret)}

    def _value(self, body: bytes, secret: str) -> str:
        digest = hmac.digest(secret.encode(), body, self.algorithm)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class StandardWebhooks(Signature):
    """An HMAC-SHA256 over id, timestamp and body, as https://www.standardwebhooks.com has it.

    Secrets are base64, with or without `whsec_` before it; the header holds a list of
    values `v1,<base64>`, so that a sender can change its secret without a gap.
    """

    tolerance_seconds: int = TOLERANCE_SECONDS

    @property
    def headers(self) -> tuple[str, ...]:
        return ("webhook-id", "webhook-timestamp", "webhook-signature")

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        delivery_id = _header(delivery, "webhook-id")
        timestamp = _header(delivery, "webhook-timestamp")
        given = _header(delivery, "webhook-signature")
        _refuse_stale("webhook-timestamp", timestamp, now, self.tolerance_seconds)
        expected = self._value(delivery.body, secret, delivery_id, timestamp)
        return any(_equal(expected, value) for value in given.split(" "))

    def sign(self, body: bytes, secret: str, *, delivery_id: str, now: datetime) -> dict[str, str]:
        timestamp = str(int(now.timestamp()))
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": self._value(body, secret, delivery_id, timestamp),
        }

    def _value(self, body: bytes, secret: str, delivery_id: str, timestamp: str) -> str:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise SignatureError(
                "webhook-signature: the endpoint's secret is not base64 - Standard Webhooks needs "
                "whsec_ and a base64 text in workspace.yaml"
            )
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class StripeSignature(Signature):
    """Stripe's HMAC-SHA256 over timestamp and body: https://docs.stripe.com/webhooks/signature.

    One header `t=...,v1=...`, several `v1` while a secret is rolled. The secret is used as
    the text that it is, its `whsec_` included.
    """

    header: str = "Stripe-Signature"
    tolerance_seconds: int = TOLERANCE_SECONDS

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        parts = [part.partition("=") for part in _header(delivery, self.header).split(",")]
        timestamps = [value for name, _, value in parts if name == "t"]
        given = [value for name, _, value in parts if name == "v1"]
        if len(timestamps) != 1 or not all(given) or not given:
            raise SignatureError(f"{self.header}: must have one t= and at least one v1=")
        _refuse_stale(self.header, timestamps[0], now, self.tolerance_seconds)
        expected = self._value(delivery.body, secret, timestamps[0])
        return any(_equal(expected, value) for value in given)

    def sign(self, body: bytes, secret: str, *, delivery_id: str, now: datetime) -> dict[str, str]:  # noqa: ARG002
        timestamp = str(int(now.timestamp()))
        return {self.header: f"t={timestamp},v1={self._value(body, secret, timestamp)}"}

    def _value(self, body: bytes, secret: str, timestamp: str) -> str:
        return hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hex()


@dataclass(frozen=True, slots=True)
class AnyOf(Signature):
    """Several schemes at one endpoint: the first of which any header is there has to match.

    A delivery cannot choose the weaker scheme by adding its header to the stronger one's.
    """

    schemes: tuple[Signature, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(header for scheme in self.schemes for header in scheme.headers)

    @property
    def described(self) -> str:
        return " or ".join(scheme.described for scheme in self.schemes)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        for scheme in self.schemes:
            if any(header in delivery.headers for header in scheme.headers):
                return scheme.matches(delivery, secret, now)
        raise SignatureError(f"{self.described}: is missing - the delivery is not signed")

    def sign(self, body: bytes, secret: str, *, delivery_id: str, now: datetime) -> dict[str, str]:
        return self.schemes[0].sign(body, secret, delivery_id=delivery_id, now=now)


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by lower-case name, as a `Delivery` holds them."""
    return {name.lower(): value for name, value in headers.items()}


def _header(delivery: Delivery, name: str) -> str:
    value = delivery.headers.get(name.lower(), "")
    if not value:
        raise SignatureError(f"{name}: is missing - the delivery is not signed")
    if not value.isascii() or not value.isprintable():
        raise SignatureError(f"{name}: has characters that no signature has")
    return value


def _refuse_stale(header: str, timestamp: str, now: datetime, tolerance_seconds: int) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError(f"{header}: the timestamp is not a number of seconds")
    if abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        raise SignatureError(
            f"{header}: was signed more than {tolerance_seconds} s before or after now - "
            "check both clocks"
        )


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
