"""Who may look and who may approve: API tokens, one-time sign-in links and the sessions they open.

The console and the API ask here; `flask tokens` and `flask signin-link` write here. A token is
kept as its SHA-256, a link and a session are signed and kept nowhere.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
from sqlalchemy import Connection, insert, or_, select, update

from .auditlog import note
from .database import insert_for
from .errors import BillhookError
from .tables import api_token, used_link

ROLES: Final = ("viewer", "approver")
"""What a token may do: look, or look and approve."""
TOKEN_BYTES: Final = 32
"""256 bits of chance: a hash without salt is enough to keep them by."""
USED_EVERY: Final = timedelta(minutes=1)
"""How often the last use of a token is written down at most: looking must not cost a write."""
LINK_LIFE: Final = timedelta(minutes=15)
SESSION_LIFE: Final = timedelta(hours=12)
LINK: Final = "billhook-signin"
SESSION: Final = "billhook-session"
_ALGORITHM: Final = "HS256"


class AccessError(BillhookError):
    """Nobody is let in by this, or no such token can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is known and holds now."""

    id: int
    name: str
    role: str
    last_used_at: datetime | None

    @property
    def may_approve(self) -> bool:
        """Return whether its owner may approve drafts."""
        return self.role == "approver"


def create_token(
    connection: Connection,
    name: str,
    role: str,
    *,
    actor: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return it: it is shown this once and cannot be found out again.

    Raise AccessError if a token of that name holds already, because the name is what an
    approval is signed with.
    """
    if not name.strip() or not name.isprintable():
        raise AccessError("tokens: the name is empty or cannot be printed - use a plain name")
    if role not in ROLES:
        raise AccessError(f"tokens: no role {role!r} - use {' or '.join(ROLES)}")
    if connection.scalar(select(api_token.c.id).where(api_token.c.name == name, _holds(now))):
        raise AccessError(f"tokens: {name} is there already - revoke it first, or use another name")
    text = secrets.token_urlsafe(TOKEN_BYTES)
    connection.execute(
        insert(api_token).values(
            name=name, role=role, token_hash=_hash(text), created_at=now, expires_at=expires_at
        )
    )
    _note(connection, now, actor, "token.created", name, role=role)
    return text


def token_of(connection: Connection, text: str, now: datetime) -> Token | None:
    """Return the token behind a text, None if it is unknown, revoked or expired."""
    row = connection.execute(
        select(api_token).where(api_token.c.token_hash == _hash(text), _holds(now))
    ).first()
    return None if row is None else Token(row.id, row.name, row.role, row.last_used_at)


def needs_noting(token: Token, now: datetime) -> bool:
    """Return whether the token's use should be written down by `note_use` again."""
    return token.last_used_at is None or now - token.last_used_at >= USED_EVERY


def note_use(connection: Connection, token: Token, now: datetime) -> None:
    """Write down that a token was used."""
    connection.execute(update(api_token).where(api_token.c.id == token.id).values(last_used_at=now))


def list_tokens(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Return all tokens ever made, without the tokens themselves."""
    rows = connection.execute(select(api_token).order_by(api_token.c.id))
    return [
        {
            "name": row.name,
            "role": row.role,
            "is_valid": row.expires_at is None or row.expires_at > now,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "last_used_at": row.last_used_at,
        }
        for row in rows
    ]


def revoke_token(connection: Connection, name: str, *, actor: str, now: datetime) -> None:
    """End a token at once; raise AccessError if none of that name holds."""
    done = connection.execute(
        update(api_token).where(api_token.c.name == name, _holds(now)).values(expires_at=now)
    )
    if not done.rowcount:
        raise AccessError(f"tokens: none named {name} holds - see `flask tokens list`")
    _note(connection, now, actor, "token.revoked", name)


def sign_link(secret_key: str, now: datetime) -> str:
    """Return the text of a sign-in link, good once and for `LINK_LIFE`."""
    return _sign(secret_key, LINK, now + LINK_LIFE)


def use_link(connection: Connection, secret_key: str, link: str, now: datetime) -> None:
    """Use a sign-in link up; raise AccessError if it is not ours, too old or used already."""
    link_id = check_link(secret_key, link, now)
    used = connection.execute(
        insert_for(connection, used_link)
        .values(link_id=link_id, used_at=now)
        .on_conflict_do_nothing()
        .returning(used_link.c.link_id)
    ).first()
    if used is None:
        raise AccessError("sign in: this link was used already - run `flask signin-link` again")
    _note(connection, now, "console", "console.signed_in", link_id)


def check_link(secret_key: str, link: str, now: datetime) -> str:
    """Return the id of a sign-in link; raise AccessError if it is not ours or too old."""
    link_id = _check(secret_key, LINK, link, now)
    if link_id is None:
        raise AccessError(
            "sign in: this link is too old or not complete - run `flask signin-link` again"
        )
    return link_id


def sign_session(secret_key: str, now: datetime) -> str:
    """Return the text of a session's cookie, good for `SESSION_LIFE`."""
    return _sign(secret_key, SESSION, now + SESSION_LIFE)


def is_session(secret_key: str, cookie: str | None, now: datetime) -> bool:
    """Return whether a cookie is a session of ours that is not over."""
    return bool(cookie) and _check(secret_key, SESSION, str(cookie), now) is not None


def _sign(secret_key: str, audience: str, until: datetime) -> str:
    claims = {"aud": audience, "exp": int(until.timestamp()), "jti": secrets.token_hex(16)}
    return jwt.encode(claims, secret_key, algorithm=_ALGORITHM)


def _check(secret_key: str, audience: str, text: str, now: datetime) -> str | None:
    """Return the id within a signed text, None if it is forged, for something else or too old."""
    try:
        claims = jwt.decode(
            text,
            secret_key,
            algorithms=[_ALGORITHM],
            audience=audience,
            # Time is told by our own clock, below.
            options={"require": ["exp", "jti", "aud"], "verify_exp": False},
        )
    except jwt.InvalidTokenError:
        return None
    return str(claims["jti"]) if now.timestamp() < claims["exp"] else None


def _holds(now: datetime) -> Any:
    return or_(api_token.c.expires_at.is_(None), api_token.c.expires_at > now)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _note(
    connection: Connection, now: datetime, actor: str, action: str, about: str, **detail: Any
) -> None:
    entity = f"{action.partition('.')[0]}:{about}"[:160]
    note(connection, now, actor=actor, action=action, entity=entity, **detail)
