"""Xero as a source of hints that an invoice changed there.

A delivery names what changed and no more, for every organisation that the app is connected to;
the invoice is fetched afterwards. https://developer.xero.com/documentation/guides/webhooks/overview
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds, moment_of
from ..signatures import Hmac, Signature
from ..source import Handshake, Reader, SignedExample, Source, because

INVOICE: Final = "INVOICE"
INTENT: Final = "intent-to-receive"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?", re.ASCII)


def _invoices(payload: Payload, delivery: Delivery) -> Reading:
    """Read which invoices changed; one that is named several times changed last at the newest."""
    found: dict[str, Event] = {}
    for each in payload.items("events"):
        if each.text("eventCategory") != INVOICE:
            continue
        version = _version(each)
        happened = moment_of(version)
        event = Event(
            kind="invoice.changed",
            source="xero",
            endpoint=delivery.endpoint,
            subject=f"invoice:{each.identifier('resourceId')}",
            version=version,
            occurred_at=happened,
            on=happened.date(),
        )
        before = found.get(event.subject)
        if before is None or before.version < version:
            found[event.subject] = event
    return Reading(events=tuple(found.values()))


def _version(event: Payload) -> int:
    """Return when it happened in milliseconds; Xero means UTC and writes no offset."""
    told = event.text("eventDateUtc")
    problem = PayloadError(
        event.path_of("eventDateUtc"), "must be a moment in UTC, such as 2026-03-04T12:30:00.123"
    )
    if not _MOMENT.fullmatch(told):
        raise problem
    try:
        moment = datetime.fromisoformat(told.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise problem from None
    if not 1970 <= moment.year < 9999:
        raise problem
    return milliseconds(moment)


class XeroSource(Source):
    """Xero's webhooks, for what happens to invoices after they were pushed."""

    key = "xero"
    name = "Xero"
    docs_url = "https://developer.xero.com/documentation/guides/webhooks/overview"
    signature: ClassVar[Signature | None] = Hmac("x-xero-signature", encoding="base64")
    signed_example = SignedExample(
        secret="OSd0eLlVIYkey-of-a-webhook-that-secures-nothing==",  # noqa: S106 - as it says
        headers={"x-xero-signature": "86lm5ow9c1/7B9flfijuZC1HkjGUzYXBuaMkBg4zouk="},
        body=b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,'
        b'"entropy":"CSHFDWUCJSAHJVKBUQUF"}',
        verify_at=datetime(2026, 11, 28, tzinfo=UTC),
        origin="computed with openssl after "
        "https://developer.xero.com/documentation/guides/webhooks/configuring-your-server",
    )
    kinds = ("invoice.changed",)
    replay = "its sequence numbers and the random text in it"
    proven = "documented bodies, Xero's published schema, 2026-11-28"
    # Any other answer, or one with a body, counts as a failure; after a day of these Xero switches
    # the webhook off.
    # https://developer.xero.com/documentation/webhooks/configuring-your-server
    accepted_status = 200
    answers_without_body = True
    readers: ClassVar[Mapping[str, Reader]] = {INVOICE: _invoices}
    ignored: ClassVar[Mapping[str, str]] = because(
        {
            "it is Xero's test of the address": INTENT,
            "a contact is looked at when an invoice is pushed": "CONTACT",
            "what is credited or paid shows on the invoice that it is set against, which tells "
            "it itself": "CREDITNOTE OVERPAYMENT PREPAYMENT",
            "it is about your app, not about an invoice": "SUBSCRIPTION",
        }
    )

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return what a delivery is about; where it mixes categories, invoices come first."""
        told = [each.text("eventCategory") for each in payload.items("events")]
        if not told:
            return INTENT
        return INVOICE if INVOICE in told else told[0]

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            payload = self.opened(delivery)
            first, last = (
                payload.integer(name, least=0)
                for name in ("firstEventSequence", "lastEventSequence")
            )
            # A webhook that is made anew counts from one again.
            return f"{first}-{last}-{payload.identifier('entropy')}"
        except PayloadError:
            return None

    def handshake(self, delivery: Delivery) -> Handshake | None:
        try:
            is_test = self.event_type(delivery) == INTENT
        except PayloadError:
            return None
        return Handshake() if is_test else None
