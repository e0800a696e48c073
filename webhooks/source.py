"""What a webhook source declares. To add a tool read `docs/adding-a-source.md`.

The receiver asks a source to verify and to answer handshakes, the worker asks it to
normalize. A source does no I/O and keeps no state: the same delivery gives the same
reading, however often it is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from ledger.errors import PayloadError, SignatureError, UnsupportedEventTypeError
from ledger.events import FOUND, GONE, RESTATED, Delivery, Event, Reading

from .payload import Payload, moment_of, parse, quoted
from .signatures import Signature

Reader = Callable[[Payload, Delivery], Reading]
"""Reads one event type; raises PayloadError, naming the field, for a body of the wrong shape."""


@dataclass(frozen=True, slots=True)
class SignedExample:
    """A delivery signed by the vendor or, where none is published, by a program that is not ours.

    It proves that the scheme is declared right: our own tests sign with what is declared.
    """

    secret: str
    headers: Mapping[str, str]
    """Header values by lower-case name."""
    body: bytes
    verify_at: datetime
    """The moment at which it was fresh."""
    origin: str
    """Where the vendor published it, or "computed with openssl after <the vendor's page>"."""
    url: str = ""
    """The address it was posted to, for schemes that sign it or that have a token in it."""

    @property
    def delivery(self) -> Delivery:
        """Return the example as a delivery that arrived at `verify_at`."""
        return Delivery(self.headers, self.body, self.verify_at, url=self.url)


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
    signature: ClassVar[Signature | None]
    """None for a tool without webhooks, which is only polled."""
    signed_example: ClassVar[SignedExample | None]
    """None where there is no signature."""
    kinds: ClassVar[tuple[str, ...]]
    """The kinds of events that this source can tell, of `ledger.events.KINDS`."""
    replay: ClassVar[str]
    """What tells a replayed delivery from a new one, in words for the admin."""
    proven: ClassVar[str]
    """How far it is proven and when, in one line: "recorded bodies, 2026-11-22"."""
    readers: ClassVar[Mapping[str, Reader]]
    """Event type -> the function that reads it; `found:<kind>` for what was fetched or polled."""
    ignored: ClassVar[Mapping[str, str]] = {}
    """Event type -> why it earns nothing, in words for the admin."""
    url_events: ClassVar[frozenset[str]] = frozenset()
    """Event types that may end the endpoint's URL, for a tool whose bodies do not name them.

    The receiver passes the one that was posted to as the header `billhook-event`.
    """
    orders_by_arrival: ClassVar[bool] = False
    """The tool gives neither an id nor a time of change, so that every arrival is news."""
    takes_forms: ClassVar[bool] = False
    """The tool can send its JSON as a field of a form; for all others a form is refused."""
    answers_head: ClassVar[bool] = False
    """The tool first asks by HEAD or GET whether the address is there."""
    accepted_status: ClassVar[int] = 202
    """The status that tells the tool "it is on disk"; 200 where the tool takes any other for a
    failure, sends again and ends by switching the webhook off."""
    answers_without_body: ClassVar[bool] = False
    """The tool takes an answer with a body for a failure: what is wrong stands in our log only."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], *, now: datetime) -> None:
        """Raise SignatureError unless one of the endpoint's live secrets signed these bytes."""
        if self.signature is None:
            raise SignatureError(f"{self.name} has no webhooks: it is polled, nothing is posted")
        self.signature.verify(delivery, secrets, now=now)

    def event_type(self, delivery: Delivery) -> str:
        """Return the vendor's own name for what happened: "milestone.closed".

        Raise PayloadError if the delivery does not say it.
        """
        return self._type(self.opened(delivery), delivery)

    def normalize(self, delivery: Delivery) -> Reading:
        """Return what a delivery says: events, facts told in passing, or why it is ignored.

        Raise UnsupportedEventTypeError for a type found in neither table, and
        PayloadError, naming the field, for a body of the wrong shape.
        """
        payload = self.opened(delivery)
        event_type = self._type(payload, delivery)
        if event_type == f"found:{GONE}":
            return self._gone(payload, delivery)
        if event_type == f"found:{RESTATED}":
            return self._restated(payload, delivery)
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

    def handshake(self, delivery: Delivery) -> Handshake | None:
        """Return the answer to a ping or validation, None for other deliveries; verified before."""
        return None

    def greeting(self, delivery: Delivery) -> Handshake | None:
        """Return the answer to a validation that comes before anything is signed, else None.

        It is asked for only while the endpoint has `handshake: yes`, and must have no effect:
        what a stranger sends is echoed at most.
        """
        return None

    @abstractmethod
    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return the event type of a delivery whose body is parsed; see `event_type`."""

    @abstractmethod
    def delivery_id(self, delivery: Delivery) -> str | None:
        """Return the vendor's id of this delivery, the same on redelivery; None if it has none."""

    def _type(self, payload: Payload, delivery: Delivery) -> str:
        found = delivery.headers.get(FOUND)
        if found:
            return f"found:{found}"
        told = self.type_of(payload, delivery)
        # A tool without webhooks is only ever asked; its answers may be read by hand.
        if told.startswith("found:") and self.signature is not None:
            raise UnsupportedEventTypeError(
                f"{self.key}: {quoted(told)} is a word of Billhook's own, no event of the tool's"
            )
        return told

    def _gone(self, payload: Payload, delivery: Delivery) -> Reading:
        """Read that a time entry is no longer in the tool, which no webhook had told."""
        version = payload.unix_milliseconds("version")
        at = moment_of(version)
        event = Event(
            kind="time.removed",
            source=self.key,
            endpoint=delivery.endpoint,
            subject=payload.identifier("subject"),
            version=version,
            occurred_at=at,
            on=at.date(),
        )
        return Reading(events=(event,))

    def _restated(self, payload: Payload, delivery: Delivery) -> Reading:
        """Read a found thing again, as of the version that it is restated at."""
        version = payload.unix_milliseconds("version")
        headers = payload["headers"]
        told = {name: headers.text(name) for name in headers.names()}
        if told.get(FOUND) == RESTATED:
            raise PayloadError("headers", "a thing that is restated cannot be so once more")
        body = payload.text("body").encode()
        reading = self.normalize(replace(delivery, headers=told, body=body))
        events = (replace(one, version=max(one.version, version)) for one in reading.events)
        return replace(reading, events=tuple(events))
