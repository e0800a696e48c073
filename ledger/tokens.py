"""Tokens of OAuth 2 systems: kept sealed, renewed by one worker at a time, never used twice.

A refresh token that rotates may be used once; who uses it again may lose the whole connection.
So a renewal is a lease on the connection's row: `begin` writes down that it is about to happen,
`save` stores the new pair if nobody stored a newer one. `refreshing_since` that nobody took away
means that a renewal was cut off: its answer, and with it the new pair, may be lost.
`connectors/oauth.py` calls this around its request; no transaction is open meanwhile.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select, update

from .auditlog import note
from .database import insert_for
from .tables import credential
from .vault import Vault

LEASE_SECONDS: Final = 150
"""How long one worker may take to renew a pair: longer than the slowest request can last."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token and the refresh token that brings the next one."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime
    """Until when the access token is good."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A connection's pair as it is kept now."""

    pair: Pair
    version: int
    """Counts the pairs; who renews number 7 must find number 7 when the next one is stored."""
    needs_reauth: str | None
    """Why a person must connect it again; None while all is well."""
    refreshing_since: datetime | None
    lease_until: datetime | None

    def is_being_renewed(self, now: datetime) -> bool:
        """Return whether a worker holds the lease: another one must not use the refresh token."""
        return self.lease_until is not None and self.lease_until >= now


def store(
    connection: Connection, vault: Vault, name: str, pair: Pair, *, actor: str, now: datetime
) -> None:
    """Keep the pair of a connection that a person has just connected, for the first time or again.

    A renewal that is still under way with the pair before finds that it comes too late.
    """
    values = {**_sealed(vault, name, pair), **_AT_REST, "changed_at": now}
    statement = insert_for(connection, credential).values(name=name, version=1, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={**values, "version": credential.c.version + 1}
        )
    )
    _note(connection, now, actor, "credential.stored", name)


def load(connection: Connection, vault: Vault, name: str) -> Stored | None:
    """Return a connection's pair, None if it was never connected.

    Raise SealedError if it cannot be opened.
    """
    row = connection.execute(select(credential).where(credential.c.name == name)).first()
    if row is None:
        return None
    told = json.loads(vault.open(row.sealed, name))
    return Stored(
        pair=Pair(told["access"], told["refresh"], row.expires_at),
        version=row.version,
        needs_reauth=row.needs_reauth,
        refreshing_since=row.refreshing_since,
        lease_until=row.lease_until,
    )


def begin(connection: Connection, name: str, version: int, now: datetime) -> str | None:
    """Take the right to renew a connection's pair; return the lease, None if another one has it.

    None also if the pair is no longer the one with this version: read it again.
    """
    lease = secrets.token_hex(16)
    done = connection.execute(
        update(credential)
        .where(
            credential.c.name == name,
            credential.c.version == version,
            credential.c.needs_reauth.is_(None),
            or_(credential.c.lease_until.is_(None), credential.c.lease_until < now),
        )
        .values(
            lease_token=lease,
            lease_until=now + timedelta(seconds=LEASE_SECONDS),
            refreshing_since=func.coalesce(credential.c.refreshing_since, now),
        )
    )
    return lease if done.rowcount == 1 else None


def save(
    connection: Connection, vault: Vault, name: str, pair: Pair, *, version: int, now: datetime
) -> bool:
    """Store the pair that came out of pair number `version`; return False if a newer one is there.

    The version is the fence and not the lease: a worker that slept for longer than its lease
    holds the only copy of a good pair, so it is kept unless another one was stored meanwhile.
    """
    done = connection.execute(
        update(credential)
        .where(credential.c.name == name, credential.c.version == version)
        .values(version=version + 1, **_sealed(vault, name, pair), **_AT_REST, changed_at=now)
    )
    return done.rowcount == 1


def end(connection: Connection, name: str, lease: str, *, in_doubt: bool) -> None:
    """End a renewal without a new pair.

    `in_doubt` is false if the refresh token was surely not used. Otherwise `refreshing_since`
    stays: the next renewal may find the refresh token used up.
    """
    values: dict[str, Any] = {"lease_token": None, "lease_until": None}
    if not in_doubt:
        values["refreshing_since"] = None
    connection.execute(
        update(credential)
        .where(credential.c.name == name, credential.c.lease_token == lease)
        .values(values)
    )


def refused(connection: Connection, name: str, reason: str, *, version: int, now: datetime) -> bool:
    """Write down that only a person can go on; return False if a newer pair was stored."""
    done = connection.execute(
        update(credential)
        .where(credential.c.name == name, credential.c.version == version)
        .values(needs_reauth=reason, lease_token=None, lease_until=None, changed_at=now)
    )
    if done.rowcount == 1:
        _note(connection, now, "billhook", "credential.refused", name, reason=reason)
    return done.rowcount == 1


def rotate(connection: Connection, vault: Vault, *, actor: str, now: datetime) -> int:
    """Seal every pair with the newest key; return how many there were.

    Raise SealedError if one cannot be opened; then none is changed. No pair is renewed meanwhile:
    this transaction holds the rows.
    """
    query = select(credential.c.name, credential.c.sealed).order_by(credential.c.name)
    if connection.dialect.name != "sqlite":
        query = query.with_for_update()
    rows = connection.execute(query).all()
    for row in rows:
        sealed = vault.seal(vault.open(row.sealed, row.name), row.name)
        connection.execute(
            update(credential)
            .where(credential.c.name == row.name)
            .values(sealed=sealed, key_id=vault.key_id)
        )
    note(
        connection,
        now,
        actor=actor,
        action="credential.rotated",
        entity="credential:all",
        count=len(rows),
        key_id=vault.key_id,
    )
    return len(rows)


def list_stored(connection: Connection) -> list[dict[str, Any]]:
    """Return what is known about each connection's pair, without anything secret."""
    shown = [credential.c[name] for name in _SHOWN]
    rows = connection.execute(select(*shown).order_by(credential.c.name)).mappings()
    return [dict(row) for row in rows]


_SHOWN: Final = (
    "name",
    "key_id",
    "version",
    "expires_at",
    "changed_at",
    "refreshing_since",
    "needs_reauth",
)
_AT_REST: Final = {
    "needs_reauth": None,
    "refreshing_since": None,
    "lease_token": None,
    "lease_until": None,
}


def _sealed(vault: Vault, name: str, pair: Pair) -> dict[str, Any]:
    told = json.dumps({"access": pair.access, "refresh": pair.refresh})
    return {
        "sealed": vault.seal(told, name),
        "key_id": vault.key_id,
        "expires_at": pair.expires_at,
    }


def _note(
    connection: Connection, now: datetime, actor: str, action: str, name: str, **detail: Any
) -> None:
    note(connection, now, actor=actor, action=action, entity=f"credential:{name}", **detail)
