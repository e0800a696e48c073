"""What a webhook source declares. To add a tool read `docs/adding-a-source.md`.

The receiver asks a source to verify and to answer handshakes, the worker asks it to
normalize. A source does no I/O and keeps no state: the same delivery gives the same
reading, however often it is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from ledger.errors import UnsupportedEventTypeError
from ledger.events import Delivery, Reading

from .payload import Payload, parse, quoted
from .signatures import Signature

Reader = Callable[[Payload, Delivery], Reading]
"""Reads one event type; raises PayloadError, naming the field, for a body of the wrong shape."""


@dataclass(frozen=True, slots=True)
class SignedExample:
    """A delivery that the vendor signed, not we: it proves that the scheme is declared right."""

    secret: str
    headers: Mapping[str, str]
    """Header values by lower-case name."""
    body: bytes
    verify_at: datetime
    """The moment at which it was fresh."""
    origin: str
    """Where the vendor published it."""

    @property
    def delivery(self) -> Delivery:
        """Return the example as a delivery that arrived at `verify_at`."""
        return Delivery(headers=self.headers, body=self.body, received_at=self.verify_at)


@dataclass(frozen=True, slots=True)
class Handshake:
    """The answer that a vendor wants for a ping or a validation request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def because(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return a table `ignored` from reasons, each with its event types separated by spaces.

    >>> because({"it is only a test": "ping pong"})
    {'ping': 'it is only a test', 'pong': 'it is only a test'}
    """
    return {name: reason for reason, names in reasons.items() for name in names.split()}


class Source(ABC):
    """A tool that tells us about work done or about invoices."""

    key: ClassVar[str]
    """Folder name and the word in `tool:` and in rules: `github`."""
    name: ClassVar[str]
    """As the vendor spells it."""
    docs_url: ClassVar[str]
    """The vendor's page about its webhooks."""
    signature: ClassVar[Signature]
    signed_example: ClassVar[SignedExample]
    readers: ClassVar[Mapping[str, Reader]]
    """Event type -> the function that reads it."""
    ignored: ClassVar[Mapping[str, str]] = {}
    """Event type -> why it earns nothing, in words for the admin."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], *, now: datetime) -> None:
        """Raise SignatureError unless one of the endpoint's live secrets signed these bytes."""
        self.signature.verify(delivery, secrets, now=now)

    def event_type(self, delivery: Delivery) -> str:
        """Return the vendor's own name for what happened: "milestone.closed".

        Raise PayloadError if the delivery does not say it.
        """
        return self.type_of(self.opened(delivery), delivery)

    def normalize(self, delivery: Delivery) -> Reading:
        """Return what a delivery says: events, facts told in passing, or why it is ignored.

        Raise UnsupportedEventTypeError for a type found in neither table, and
        PayloadError, naming the field, for a body of the wrong shape.
        """
        payload = self.opened(delivery)
        event_type = self.type_of(payload, delivery)
        if event_type in self.readers:
            return self.readers[event_type](payload, delivery)
        reason = self.why_ignored(event_type)
        if reason is None:
            raise UnsupportedEventTypeError(
                f"{self.key}: events of type {quoted(event_type)} are not supported yet - "
                "do not send them, or see docs/adding-a-source.md"
            )
        return Reading(ignored=reason)

    def why_ignored(self, event_type: str) -> str | None:
        """Return why a type earns nothing, None if it is one still to be learned."""
        return self.ignored.get(event_type)

    def opened(self, delivery: Delivery) -> Payload:
        """Return the delivery's body, parsed; raise PayloadError if it cannot be."""
        return parse(delivery.body)

    def handshake(self, delivery: Delivery) -> Handshake | None:  # noqa: ARG002
        """Return the answer to a ping or validation, None for other deliveries; verified before."""
        return None

    @abstractmethod
    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return the event type of a delivery whose body is parsed; see `event_type`."""

    @abstractmethod
    def delivery_id(self, delivery: Delivery) -> str | None:
        """Return the vendor's id of this delivery, the same on redelivery; None if it has none."""
