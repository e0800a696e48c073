"""QuickBooks Online as a source of hints that an invoice changed there.

A body names things by their ids and says nothing about money: they are fetched afterwards. One
delivery may be about several companies, those that use the same app; a hint names its company, and
the connectors of the others pass it over.
https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source

HINTS: Final = {
    # Not "invoice": such a hint would be taken for our own id of it, and its connector not asked.
    "invoice": "sale",
    "estimate": "estimate",
    "payment": "payment",
    "creditmemo": "credit",
}
"""What a change may be about, and the word for it in a hint. Its operation does not matter: what
was deleted or voided is looked at as well."""


def _cloud_events(payload: Payload, delivery: Delivery) -> Reading:
    """Read the list of CloudEvents that is sent since 2026."""
    # https://blogs.intuit.com/2025/11/12/upcoming-change-to-webhooks-payload-structure/
    events = []
    for told in payload.elements():
        _, _, rest = told.text("type").partition("qbo.")
        kind = HINTS.get(rest.partition(".")[0].lower())
        if kind:
            about = f"{told.identifier('intuitaccountid')}/{told.identifier('intuitentityid')}"
            events.append(_hint(delivery, f"{kind}:{about}", told.moment("time")))
    return _reading(events)


def _notifications(payload: Payload, delivery: Delivery) -> Reading:
    """Read the notifications by company that were sent before."""
    events = []
    for notified in payload.items("eventNotifications"):
        realm = notified.identifier("realmId")
        for told in notified["dataChangeEvent"].items("entities"):
            kind = HINTS.get(told.text("name").lower())
            if kind:
                subject = f"{kind}:{realm}/{told.identifier('id')}"
                events.append(_hint(delivery, subject, told.moment("lastUpdated")))
    return _reading(events)


def _reading(events: Iterable[Event]) -> Reading:
    # Of one subject the newest says all.
    newest: dict[str, Event] = {}
    for event in events:
        held = newest.get(event.subject)
        if held is None or held.version < event.version:
            newest[event.subject] = event
    if not newest:
        return Reading(ignored="it is about no invoice, estimate, payment or credit memo")
    return Reading(events=tuple(newest.values()))


def _hint(delivery: Delivery, subject: str, at: datetime) -> Event:
    happened = at.astimezone(UTC)
    if len(subject) > 255:
        raise PayloadError("body", "has an id of more than 255 characters")
    return Event(
        kind="invoice.changed",
        source="quickbooks",
        endpoint=delivery.endpoint,
        subject=subject,
        version=milliseconds(happened),
        occurred_at=happened,
        on=happened.date(),
    )


class QuickBooksSource(Source):
    """QuickBooks Online's webhooks, for what happens to invoices after they were pushed."""

    key = "quickbooks"
    name = "QuickBooks Online"
    docs_url = "https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks"
    signature: ClassVar[Signature | None] = Hmac("intuit-signature", encoding="base64")
    signed_example = SignedExample(
        secret="my-verifier-token",  # noqa: S106 - it secures nothing
        headers={"intuit-signature": "CNo8iqJ43KU2MO/MmIaZmbeLImnp4pd7qpfqjaJAUls="},
        body=(
            b'[{"specversion":"1.0","id":"88cd52aa-0000-4351-9aa4-000000000001",'
            b'"source":"intuit.billhook","type":"qbo.invoice.updated.v1",'
            b'"time":"2026-03-31T09:00:00Z","intuitentityid":"145",'
            b'"intuitaccountid":"9341453000000001","data":{}}]'
        ),
        verify_at=datetime(2026, 3, 31, 9, 0, tzinfo=UTC),
        origin="computed with openssl after "
        "https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks",
    )
    kinds = ("invoice.changed",)
    replay = "the subject and its time of change: nothing in a delivery is signed with a time"
    proven = "documented shapes, 2026-11-28"
    readers: ClassVar[Mapping[str, Reader]] = {
        "cloudevents": _cloud_events,
        "eventNotifications": _notifications,
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if payload.is_list:
            for told in payload.elements():
                told.text("specversion")
                return "cloudevents"
            raise PayloadError("body", "is an empty list")
        if payload.has("eventNotifications"):
            return "eventNotifications"
        raise PayloadError("eventNotifications", "is missing")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
