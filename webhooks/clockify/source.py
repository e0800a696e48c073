"""Clockify as a source: the declarations, and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload, parse, quoted
from ..signatures import Signature, Token
from ..source import Reader, SignedExample, Source, because
from . import readers

TYPE_HEADER: Final = "clockify-webhook-event-type"
URL_HEADER: Final = "billhook-event"
"""What the receiver makes of the end of the address that was posted to."""

_IGNORED: Final = {
    "the timer is still running: it counts when it is stopped": "NEW_TIMER_STARTED",
    "a submitted timesheet counts when it is approved": "NEW_APPROVAL_REQUEST",
    "a deleted expense takes nothing back by itself: credit it by hand": "EXPENSE_DELETED",
    "a project is no work; each entry names its project": "NEW_PROJECT PROJECT_UPDATED "
    "PROJECT_DELETED",
    "a client is no work; each entry names its client": "NEW_CLIENT CLIENT_UPDATED CLIENT_DELETED",
    "a task is no work that is billed: the time logged on it is": "NEW_TASK TASK_UPDATED "
    "TASK_DELETED",
    "a tag is no work; each entry names its tags": "NEW_TAG TAG_UPDATED TAG_DELETED",
    "Billhook's own rates price the work": "BILLABLE_RATE_UPDATED COST_RATE_UPDATED",
    "an invoice of Clockify's own is not Billhook's: bill the same work in one place "
    "only": "NEW_INVOICE INVOICE_UPDATED",
    "planned work is billed when its time is logged": "ASSIGNMENT_CREATED ASSIGNMENT_UPDATED "
    "ASSIGNMENT_DELETED ASSIGNMENT_PUBLISHED",
    "time off is no work": "TIME_OFF_REQUESTED TIME_OFF_REQUEST_UPDATED TIME_OFF_REQUEST_APPROVED "
    "TIME_OFF_REQUEST_REJECTED TIME_OFF_REQUEST_STARTED TIME_OFF_REQUEST_WITHDRAWN BALANCE_UPDATED",
    "a change of people or groups is no work that is billed": "USER_JOINED_WORKSPACE "
    "USER_DELETED_FROM_WORKSPACE USER_ACTIVATED_ON_WORKSPACE USER_DEACTIVATED_ON_WORKSPACE "
    "USER_EMAIL_CHANGED USER_UPDATED USERS_INVITED_TO_WORKSPACE LIMITED_USERS_ADDED_TO_WORKSPACE "
    "USER_GROUP_CREATED USER_GROUP_UPDATED USER_GROUP_DELETED",
}


class ClockifySource(Source):
    """Clockify: the webhooks of one workspace, one for each event."""

    key = "clockify"
    name = "Clockify"
    docs_url = "https://clockify.me/help/integrations/webhooks"
    signature: ClassVar[Signature | None] = Token("clockify-signature")
    signed_example = SignedExample(
        secret="Y2xvY2tpZnktd2ViaG9vay10b2tlbg",  # noqa: S106 - invented, it secures nothing
        headers={"clockify-signature": "Y2xvY2tpZnktd2ViaG9vay10b2tlbg"},
        body=b"{}",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="a token of our own, sent after https://docs.clockify.me/#tag/Webhooks: Clockify "
        "publishes no example",
    )
    kinds = ("time.logged", "time.removed", "approval.granted", "expense.logged")
    replay = "nothing: a delivery has neither an id nor a time, so the latest arrival counts"
    proven = "the vendor's published samples of bodies, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "NEW_TIME_ENTRY": readers.entry,
        "TIME_ENTRY_UPDATED": readers.entry,
        "TIMER_STOPPED": readers.entry,
        "TIME_ENTRY_RESTORED": readers.entry,
        "TIME_ENTRY_SPLIT": readers.entry,
        "TIME_ENTRY_DELETED": readers.entry_deleted,
        "TIME_ENTRY_BATCH_DELETED": readers.entries_deleted,
        "APPROVAL_REQUEST_STATUS_UPDATED": readers.approval,
        "EXPENSE_CREATED": readers.expense,
        "EXPENSE_UPDATED": readers.expense,
        "EXPENSE_RESTORED": readers.expense,
        "found:time_entry": readers.entry,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)
    url_events: ClassVar[frozenset[str]] = frozenset(
        name for name in (*readers, *ignored) if ":" not in name
    )
    orders_by_arrival = True

    def opened(self, delivery: Delivery) -> Payload:
        if delivery.body.lstrip().startswith(b"["):
            # A batch may be told as a bare list.
            return parse(b'{"timeEntries":' + delivery.body + b"}")
        return super().opened(delivery)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        named = delivery.headers.get(TYPE_HEADER, "").strip()
        posted_to = delivery.headers.get(URL_HEADER, "")
        if not named and not posted_to:
            raise PayloadError(
                TYPE_HEADER,
                "is missing, and Clockify's bodies do not tell the event - end the webhook's "
                "address with it: /webhooks/<endpoint>/TIME_ENTRY_UPDATED",
            )
        if named and posted_to and named != posted_to:
            raise PayloadError(
                TYPE_HEADER,
                f"says {quoted(named)}, but the address ends with {quoted(posted_to)} - choose "
                "the same event for both in Clockify",
            )
        return named or posted_to

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
