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
from typing import ClassVar, Final, Literal
from urllib.parse import parse_qs, unquote_to_bytes, urlencode, urlsplit

import jwt

from ledger.errors import PayloadError, SignatureError
from ledger.events import Delivery

from .payload import milliseconds, parse

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

    covers_body: ClassVar[bool] = True
    """Whether it proves the body; a token proves only who sent it."""

    @property
    @abstractmethod
    def scheme(self) -> str:
        """Return what it is, in words for the admin: `HMAC-SHA256 in X-Hub-Signature-256`."""

    @property
    @abstractmethod
    def headers(self) -> tuple[str, ...]:
        """Return the lower-case names of the headers that this scheme needs."""

    @property
    def revealing(self) -> tuple[str, ...]:
        """Return the headers that would open the door to whoever reads them; never stored."""
        return () if self.covers_body else self.headers

    @property
    def described(self) -> str:
        """Return the header that an error message names."""
        return self.headers[-1]

    def stamped(self, body: bytes, now: datetime) -> bytes:
        """Return a body as a sender writes it now, for schemes that sign a time within it."""
        return body

    @abstractmethod
    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        """Return whether this secret signed the delivery; raise SignatureError if none can have."""

    @abstractmethod
    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        """Return the headers that a sender adds to this body on its way to an address."""

    def addressed(self, url: str, secret: str) -> str:
        """Return the address that a sender posts to, for schemes that put a token into it."""
        return url


@dataclass(frozen=True, slots=True)
class Hmac(Signature):
    """An HMAC over the raw body in one header; with `timestamp`, over when it was sent too."""

    header: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    timestamp: str = ""
    """The field at the top of the body that says when it was sent, in Unix milliseconds."""
    tolerance_seconds: int = 60
    """How far `timestamp` may lie in the past or in the future."""
    form: str = ""
    """The one field of a form-encoded body that is signed, decoded, instead of the body."""

    @property
    def scheme(self) -> str:
        return f"HMAC-{self.algorithm.upper()} in {self.header}"

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        given = _header(delivery, self.header)
        if not given.startswith(self.prefix):
            raise SignatureError(f"{self.header}: does not begin with {self.prefix}")
        given = given.removeprefix(self.prefix)
        if self.encoding == "hex":
            given = given.lower()
        if not _equal(self._value(delivery.body, secret), given):
            return False
        # Only what is signed is read.
        if self.timestamp:
            self._refuse_old(delivery.body, now)
        return True

    def stamped(self, body: bytes, now: datetime) -> bytes:
        if not self.timestamp:
            return body
        field = rb'("%s"\s*:\s*)[0-9]+' % re.escape(self.timestamp.encode())
        return re.sub(field, rb"\g<1>%d" % milliseconds(now), body)

    def _refuse_old(self, body: bytes, now: datetime) -> None:
        try:
            sent = parse(body).unix_milliseconds(self.timestamp)
        except PayloadError as error:
            raise SignatureError(f"{self.header}: {error}") from None
        if abs(milliseconds(now) - sent) > self.tolerance_seconds * 1000:
            raise SignatureError(
                f"{self.header}: was sent more than {self.tolerance_seconds} s before or after "
                "now - check both clocks"
            )

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        return {self.header: self.prefix + self._value(body, secret)}

    def _value(self, body: bytes, secret: str) -> str:
        if self.form and body.startswith(f"{self.form}=".encode()):
            # Of several fields or a crooked encoding nothing is signed: the value stays unequal.
            body = unquote_to_bytes(body[len(self.form) + 1 :].replace(b"+", b" "))
        digest = hmac.digest(secret.encode(), body, self.algorithm)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class HmacOfUrl(Signature):
    """An HMAC over the raw body and the address posted to, in base64, as Trello has it.

    https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/ - the address is the one
    of our own settings, so `BILLHOOK_BASE_URL` must be the one that the webhook was made with.
    """

    header: str
    algorithm: Literal["sha1", "sha256"] = "sha1"

    @property
    def scheme(self) -> str:
        return f"HMAC-{self.algorithm.upper()} over body and address in {self.header}"

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        given = _header(delivery, self.header)
        return _equal(self._value(delivery.body, secret, delivery.url), given)

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        return {self.header: self._value(body, secret, url)}

    def _value(self, body: bytes, secret: str, url: str) -> str:
        digest = hmac.digest(secret.encode(), body + url.encode(), self.algorithm)
        return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Token(Signature):
    """The secret itself, in a header or in the URL's query. It says nothing about the body."""

    covers_body: ClassVar[bool] = False

    header: str = ""
    query: str = ""
    """The word in the URL that holds it, instead of a header."""

    @property
    def scheme(self) -> str:
        return f"token in {self.header}" if self.header else f"token in the URL (?{self.query}=)"

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),) if self.header else ()

    @property
    def described(self) -> str:
        return self.header or f"?{self.query}="

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        if self.header:
            return _equal(secret, _header(delivery, self.header))
        given = parse_qs(urlsplit(delivery.url).query).get(self.query, [])
        if len(given) != 1:
            raise SignatureError(f"?{self.query}=: must stand once in the address posted to")
        return _equal(secret, given[0])

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        return {self.header: secret} if self.header else {}

    def addressed(self, url: str, secret: str) -> str:
        return url if self.header else f"{url}?{urlencode({self.query: secret})}"


@dataclass(frozen=True, slots=True)
class Basic(Signature):
    """HTTP basic authentication; the secret is `user:password`. It says nothing about the body."""

    covers_body: ClassVar[bool] = False

    @property
    def scheme(self) -> str:
        return "basic authentication (user:password)"

    @property
    def headers(self) -> tuple[str, ...]:
        return ("authorization",)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        return _equal(self._value(secret), _header(delivery, "Authorization"))

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        return {"Authorization": self._value(secret)}

    def _value(self, secret: str) -> str:
        return "Basic " + base64.b64encode(secret.encode()).decode()


@dataclass(frozen=True, slots=True)
class Jwt(Signature):
    """A JSON web token signed with HS256, with an end of its life. It does not cover the body."""

    covers_body: ClassVar[bool] = False

    header: str = "Authorization"

    @property
    def scheme(self) -> str:
        return f"JWT (HS256) in {self.header}"

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def matches(self, delivery: Delivery, secret: str, now: datetime) -> bool:
        given = _header(delivery, self.header)
        try:
            # The package would compare times with the machine's clock, not with `now`.
            claims = jwt.decode(
                given,
                secret,
                algorithms=["HS256"],
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                    "require": ["exp"],
                },
            )
        except jwt.InvalidSignatureError:
            return False
        except jwt.PyJWTError as error:
            raise SignatureError(
                f"{self.header}: is no valid web token ({type(error).__name__})"
            ) from None
        self._refuse_expired(claims, now)
        return True

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        if not secret:
            raise ValueError("nothing can be signed with an empty secret")
        sent = int(now.timestamp())
        claims = {"iat": sent, "exp": sent + TOLERANCE_SECONDS}
        return {self.header: jwt.encode(claims, secret, algorithm="HS256")}

    def _refuse_expired(self, claims: Mapping[str, object], now: datetime) -> None:
        expires = claims["exp"]
        if not isinstance(expires, int | float) or now.timestamp() > expires:
            raise SignatureError(f"{self.header}: the web token has expired - check both clocks")
        issued = claims.get("iat")
        if isinstance(issued, int | float) and issued > now.timestamp() + TOLERANCE_SECONDS:
            raise SignatureError(f"{self.header}: the web token is from the future")


@dataclass(frozen=True, slots=True)
class StandardWebhooks(Signature):
    """An HMAC-SHA256 over id, timestamp and body, as https://www.standardwebhooks.com has it.

    Secrets are base64, with or without `whsec_` before it; the header holds a list of
    values `v1,<base64>`, so that a sender can change its secret without a gap.
    """

    tolerance_seconds: int = TOLERANCE_SECONDS

    @property
    def scheme(self) -> str:
        return "Standard Webhooks (HMAC-SHA256 over id, time and body)"

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

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
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
    def scheme(self) -> str:
        return f"HMAC-SHA256 over time and body in {self.header}"

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

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
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
    def scheme(self) -> str:
        return " or ".join(scheme.scheme for scheme in self.schemes)

    @property
    def revealing(self) -> tuple[str, ...]:
        return tuple(header for scheme in self.schemes for header in scheme.revealing)

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

    def sign(
        self, body: bytes, secret: str, *, delivery_id: str, now: datetime, url: str = ""
    ) -> dict[str, str]:
        return self.schemes[0].sign(body, secret, delivery_id=delivery_id, now=now, url=url)


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
