"""Consents that were asked for: what the answer of an identity provider is checked with, once.

A row lives for ten minutes. It is found by the hash of `state`, so that whoever reads the table
cannot answer in the provider's place, and the PKCE verifier in it is sealed.
`connectors/authorization.py` calls this.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert

from .tables import consent
from .vault import Vault

LIFE: Final = timedelta(minutes=10)
"""How long a person may take, and an answer is accepted."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A consent that was asked for and not answered yet."""

    connector: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect: str


def keep(connection: Connection, vault: Vault, pending: Pending, now: datetime) -> None:
    """Keep what the answer will be checked with; what is older than its life goes."""
    connection.execute(delete(consent).where(consent.c.expires_at <= now))
    connection.execute(
        insert(consent).values(
            state_hash=_hash(pending.state),
            connector=pending.connector,
            sealed=vault.seal(json.dumps(asdict(pending)), _about(pending.connector)),
            expires_at=now + LIFE,
        )
    )


def take(
    connection: Connection, vault: Vault, connector: str, state: str, now: datetime
) -> Pending | None:
    """Return what a `state` was made for, and forget it; None: never made, too old, or used."""
    row = connection.execute(
        delete(consent)
        .where(consent.c.state_hash == _hash(state), consent.c.connector == connector)
        .returning(consent.c.sealed, consent.c.expires_at)
    ).first()
    if row is None or row.expires_at <= now:
        return None
    pending = Pending(**json.loads(vault.open(row.sealed, _about(connector))))
    return pending if hmac.compare_digest(pending.state.encode(), state.encode()) else None


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _about(connector: str) -> str:
    return f"consent:{connector}"
