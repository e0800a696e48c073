"""The tables of the installation rather than of its business: `tables.py` has them with the others.

Who may look, what was turned away, which process is alive, which system rests, and which copy the
ledger came from.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from .columns import CanonicalJson, Id, UtcDateTime, metadata

restoration = Table(
    "restoration",
    metadata,
    Column("id", Id, primary_key=True),
    Column("copied_at", UtcDateTime, nullable=False),  # what came later, this ledger has forgotten
    Column("ended_at", UtcDateTime),  # null: nothing is pushed yet
)

stray = Table(
    "stray",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connector", String(64), nullable=False),
    Column("remote_id", String(255), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("settled_by", Text),
    UniqueConstraint("connector", "remote_id"),
)

refusal = Table(
    "refusal",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("on", Date, primary_key=True),
    Column("reason", String(128), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

used_link = Table(
    "used_link",
    metadata,
    Column("link_id", String(64), primary_key=True),
    Column("used_at", UtcDateTime, nullable=False),
)

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("detail", CanonicalJson, nullable=False),
)

breaker = Table(
    "breaker",
    metadata,
    Column("connector", String(64), primary_key=True),
    Column("failures", BigInteger, nullable=False),  # in a row
    Column("failing_since", UtcDateTime),
    Column("failed_at", UtcDateTime),
    Column("reason", Text),
    Column("rests", Integer, nullable=False),  # in a row; each is twice as long
    Column("rests_until", UtcDateTime),  # null: it works; past: it is to be tried again
    Column("probe_until", UtcDateTime),  # one worker is trying it again
)

consent = Table(
    "consent",
    metadata,
    Column("state_hash", String(64), primary_key=True),
    Column("connector", String(64), nullable=False),
    Column("sealed", Text, nullable=False),  # what the answer is checked with, see `vault.py`
    Column("expires_at", UtcDateTime, nullable=False),
)
