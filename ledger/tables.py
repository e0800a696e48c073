"""The tables of the ledger; `columns.py` has the types of their columns.

Every table that a stage works on has the same lease columns, see `claims.py`. Amounts are
integer minor units; quantities and unit prices are exact decimals.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from .bank import recorded_payment as recorded_payment
from .columns import CanonicalJson as CanonicalJson
from .columns import ExactDecimal as ExactDecimal
from .columns import Id as Id
from .columns import UtcDateTime as UtcDateTime
from .columns import metadata as metadata
from .installation import api_token as api_token
from .installation import breaker as breaker
from .installation import consent as consent
from .installation import heartbeat as heartbeat
from .installation import refusal as refusal
from .installation import restoration as restoration
from .installation import stray as stray
from .installation import used_link as used_link


def _lease() -> list[Column[Any]]:
    """Return the columns by which one worker at a time holds a row, see `claims.py`."""
    return [
        Column("lease_token", String(32)),
        Column("lease_until", UtcDateTime),
        Column("attempts", Integer, nullable=False, default=0),
        # How many attempts in a row nobody has ended: their workers died.
        Column("unended", Integer, nullable=False, default=0, server_default="0"),
        Column("next_at", UtcDateTime, nullable=False),
        Column("since_at", UtcDateTime),  # since when it needs a person; null if it does not
    ]


_IS_TAKEN_BACK = "corrects_id is not null and state in ('open', 'billed')"
_IS_RELEASED = "corrects_id is not null and state = 'released'"


def _unique(name: str, where: str, *columns: str) -> Index:
    """Return a unique index over the rows that a condition is true of."""
    condition = text(where)
    return Index(name, *columns, unique=True, sqlite_where=condition, postgresql_where=condition)


delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("source", String(32), nullable=False),
    Column("delivery_id", String(255), nullable=False),  # "" where the tool sends none
    Column("body_hash", String(64), nullable=False),
    Column("headers", CanonicalJson, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("events", Integer, nullable=False, default=0),
    *_lease(),
    # The id is in a header that nobody signs, so the body counts too: a new body is never lost
    # to a repeated id.
    UniqueConstraint("endpoint", "delivery_id", "body_hash"),
    Index("ix_delivery_state", "state", "next_at", "id"),
)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", ForeignKey("delivery.id"), nullable=False, index=True),
    Column("endpoint", String(64), nullable=False),
    Column("source", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("on", Date, nullable=False),
    Column("project", Text),
    Column("item", Text),
    Column("title", Text),
    Column("person", Text),
    Column("person_name", Text),
    Column("seconds", BigInteger),
    Column("seconds_before", BigInteger),
    Column("billable", Boolean),
    Column("labels", CanonicalJson, nullable=False),
    Column("fields", CanonicalJson, nullable=False),
    Column("about", String(255)),
    # The business key: the same fact is recorded once, whatever its delivery id was.
    UniqueConstraint("endpoint", "subject", "kind", "digest"),
    # Pages of a list go by id, whatever it is filtered by.
    Index("ix_event_endpoint", "endpoint", "id"),
    Index("ix_event_kind", "kind", "id"),
    Index("ix_event_project", "project", "id"),
)

fact = Table(
    "fact",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("about", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # known, wanted (ask the tool), unknown
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("project", Text),
    Column("item", Text),
    Column("title", Text),
    Column("person", Text),
    Column("person_name", Text),
    Column("billable", Boolean),
    Column("labels", CanonicalJson, nullable=False),
    Column("fields", CanonicalJson, nullable=False),
    Column("reason", Text),
    *_lease(),
    UniqueConstraint("endpoint", "about"),
    Index("ix_fact_state", "state", "next_at", "id"),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("event_id", ForeignKey("event.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column(
        "tie", String(65), nullable=False
    ),  # decides between equal versions, on any arrival order
    Column("about", String(255)),
    Column("item", Text),
    Column("seconds", BigInteger, nullable=False),  # its present value; 0 where it is no time
    Column("state", String(16), nullable=False),  # waiting, priced, held, nothing, gone
    Column("reason", Text),
    Column("customer", String(64)),
    Column("rule", Text),
    # What a person decided about work that was opened again: take back, keep.
    Column("settled", String(16)),
    Column("payers", Text),  # keys with commas between them, where several customers share it
    Column("held_seconds", BigInteger, nullable=False, default=0),
    Column("excluded_seconds", BigInteger, nullable=False, default=0),
    *_lease(),
    UniqueConstraint("endpoint", "name"),
    Index("ix_subject_state", "state", "next_at", "id"),
    Index("ix_subject_about", "endpoint", "about"),
    Index("ix_subject_item", "endpoint", "item"),
)

customer = Table(
    "customer",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),  # waiting (its lines changed), settled
    Column("reason", Text),
    *_lease(),
)

mapping_version = Table(
    "mapping_version",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("files", CanonicalJson, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)

activation = Table(
    "activation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("version", ForeignKey("mapping_version.version"), nullable=False),
    Column("activated_at", UtcDateTime, nullable=False),
    Column("activated_by", Text, nullable=False),
)

invoice = Table(
    "invoice",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", String(128), nullable=False, unique=True),
    Column("customer", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("schedule", String(16), nullable=False),
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(16), nullable=False, server_default="invoice"),  # or: credit note
    Column("credits_id", ForeignKey("invoice.id"), index=True),  # which one a credit note credits
    Column("state", String(16), nullable=False),  # draft, blocked, approved, pushed, canceled
    # A push has begun: what is on it goes out as it stands. False again while it is amended.
    Column("is_frozen", Boolean, nullable=False),
    Column("reasons", CanonicalJson, nullable=False),  # why it is blocked
    Column("warnings", CanonicalJson, nullable=False),  # why it is not approved automatically
    Column("content", CanonicalJson, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("billed_hash", String(64)),  # of its billed lines, see `frozen.py`
    Column("revision", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("net", BigInteger, nullable=False, server_default="0"),  # without taxes
    Column("purchase_order", Text),
    Column("order_use", CanonicalJson),  # how much of its budget is used
    Column("approval", String(16), nullable=False),  # by hand, automatic
    Column("approvers", CanonicalJson, nullable=False, server_default="[]"),  # in this order
    Column("after_push", String(16), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # when its period is over
    Column("connector", String(64), nullable=False),
    Column("remote_customer", String(255)),
    Column("remote_id", String(255)),
    Column("remote_number", String(255)),
    Column("remote_url", Text),
    # What stands at the billing system: the content as it was pushed last, and its revision.
    Column("pushed_content", CanonicalJson),
    Column("pushed_revision", Integer),
    Column("conflict", CanonicalJson),  # how a person has changed the draft there; see amending.py
    Column("released_at", UtcDateTime),  # since when what is on it is not billed by it any more
    Column("payment", String(32)),
    Column("is_overdue", Boolean, nullable=False, default=False),
    Column("problem", Text),  # why pushing stopped, for a person
    Column("sync_at", UtcDateTime),  # when the remote truth is looked at next
    Column("created_at", UtcDateTime, nullable=False),
    *_lease(),
    UniqueConstraint("customer", "currency", "kind", "schedule", "period_from", "sequence"),
    Index("ix_invoice_state", "state", "next_at", "id"),
    Index("ix_invoice_sync", "sync_at"),
    Index("ix_invoice_remote", "connector", "remote_id"),
)

draft_edit = Table(
    "draft_edit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("customer", String(64), nullable=False, index=True),
    Column("invoice_id", ForeignKey("invoice.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # text, order, hold, discount
    # The printed lines that it is about: `printing.key_of` their line items, a list for each.
    Column("about", CanonicalJson, nullable=False),
    Column("value", CanonicalJson, nullable=False),
    Column("said", Text, nullable=False),  # what the line said, or what is done, for people
    Column("state", String(16), nullable=False),  # standing, idle (without effect), undone
    Column("is_seen", Boolean, nullable=False),  # assembling has taken it into account
    Column("made_by", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("undone_by", Text),
    Column("undone_at", UtcDateTime),
)

line_item = Table(
    "line_item",
    metadata,
    Column("id", Id, primary_key=True),
    # entry, counted (into its pool), sum (of a pool), agreement (takes off or adds), discount (by
    # hand)
    Column("kind", String(16), nullable=False, server_default="entry"),
    # What sums and agreements come from is not one event but all lines of a pool.
    Column("subject_id", ForeignKey("subject.id"), index=True),
    Column("event_id", ForeignKey("event.id"), index=True),
    Column("pool", Text, nullable=False, server_default=""),
    Column("adjusts_id", ForeignKey("line_item.id")),
    # What a person did to a draft: the discount that this is, or that it is held back.
    Column("edit_id", ForeignKey("draft_edit.id"), index=True),
    Column("customer", String(64), nullable=False),
    Column("project", Text),
    Column("item", Text),
    Column("person", Text),
    Column("on", Date, nullable=False),
    Column("description", Text, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("unit_price", ExactDecimal, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("tax", String(64), nullable=False, server_default=""),
    # Where it stands in the books, as `invoices.Coding.key` writes it.
    Column("coding", Text, nullable=False, server_default=""),
    Column("rule", Text, nullable=False),
    Column("mapping_version", ForeignKey("mapping_version.version"), nullable=False),
    Column("grouping", CanonicalJson, nullable=False),
    Column("schedule", String(16), nullable=False),
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
    Column("steps", CanonicalJson, nullable=False),
    Column("corrects_id", ForeignKey("line_item.id")),
    # How often that line was taken back before, on invoices that are void now.
    Column("again", Integer, nullable=False, server_default="0"),
    # open, billed, withdrawn, released (takes a billed one back on its own, void invoice)
    Column("state", String(16), nullable=False),
    Column("invoice_id", ForeignKey("invoice.id"), index=True),
    Column("billed_revision", Integer),  # the revision of its invoice that billed it
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_line_item_customer_state", "customer", "state"),
    Index("ix_line_item_customer", "customer", "id"),
    Index("ix_line_item_state", "state", "id"),
    # A line is taken back once: by a correction, and because its invoice is void.
    _unique("uq_line_item_taken_back", _IS_TAKEN_BACK, "corrects_id", "again"),
    _unique("uq_line_item_released", _IS_RELEASED, "corrects_id"),
    # Most lines are in no pool.
    Index(
        "ix_line_item_pool",
        "customer",
        "pool",
        sqlite_where=text("pool != ''"),
        postgresql_where=text("pool != ''"),
    ),
)

approval = Table(
    "approval",
    metadata,
    Column("id", Id, primary_key=True),
    Column("invoice_id", ForeignKey("invoice.id"), nullable=False, index=True),
    Column("content_hash", String(64), nullable=False),
    Column("revision", Integer),  # of the invoice: what was approved before it changed is void
    Column("approved_by", Text, nullable=False),
    Column("approved_at", UtcDateTime, nullable=False),
)

intent = Table(
    "intent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("invoice_id", ForeignKey("invoice.id"), nullable=False, index=True),
    Column("operation", String(32), nullable=False),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("generation", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column(
        "state", String(16), nullable=False
    ),  # intended, sent, uncertain, confirmed, refused, absent
    Column("remote_id", String(255)),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

payment = Table(
    "payment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("invoice_id", ForeignKey("invoice.id"), nullable=False, index=True),
    Column("payment", String(32), nullable=False),
    Column("document", String(16), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("disputed", BigInteger, nullable=False),
    Column("overpaid", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("is_settling", Boolean, nullable=False),
    # Of paid and refunded: what was not said by the billing system but recorded here.
    Column("recorded", BigInteger, nullable=False, server_default="0"),
    Column("recorded_refunds", BigInteger, nullable=False, server_default="0"),
    Column("due_on", Date),
    Column("remote_version", String(255), nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
)

hint = Table(
    "hint",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    # waiting, followed, unmatched (no invoice of ours), held (the tool cannot be asked)
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    *_lease(),
    UniqueConstraint("endpoint", "subject"),
    Index("ix_hint_state", "state", "next_at", "id"),
)

poll = Table(
    "poll",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("what", String(16), nullable=False),  # changes (since a cursor), entries (the period)
    Column("state", String(16), nullable=False),  # waiting, off (no longer in the rules)
    Column("cursor", Text),  # the tool's own words; null before the first answer
    Column("found", BigInteger, nullable=False, default=0),  # news that webhooks had not brought
    Column("polled_at", UtcDateTime),  # when the tool last answered
    Column("reason", Text),  # why it could not be asked, for a person
    *_lease(),
    UniqueConstraint("endpoint", "what"),
    Index("ix_poll_state", "state", "next_at", "id"),
)

report = Table(
    "report",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("marker", String(255), nullable=False),
    Column("invoice_id", ForeignKey("invoice.id"), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("content", CanonicalJson, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, told, failed
    Column("place", Text),
    Column("reason", Text),
    *_lease(),
    UniqueConstraint("endpoint", "marker"),
    Index("ix_report_state", "state", "next_at", "id"),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("entity", String(160), nullable=False),
    Column("detail", CanonicalJson, nullable=False),
    Column("position", BigInteger, unique=True),  # in the chain; null until it is sealed
    Column("hash", String(64)),
)

credential = Table(
    "credential",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),  # of the connector or the endpoint
    Column("sealed", Text, nullable=False),  # access and refresh token, see `vault.py`
    Column("key_id", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),  # of the access token
    Column("changed_at", UtcDateTime, nullable=False),
    Column("refreshing_since", UtcDateTime),  # a renewal began, and nothing came of it yet
    Column("needs_reauth", Text),  # why a person must connect it again
    Column("lease_token", String(32)),
    Column("lease_until", UtcDateTime),
)
