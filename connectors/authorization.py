"""OAuth 2: a person allows the connection in a browser, and the first pair of tokens comes of it.

The authorization code grant of RFC 6749, section 4.1, with PKCE (RFC 7636, S256) and `state`.
`begin` gives the address that the person opens, `finish` takes the address that the provider sent
the browser back to. In between nothing is held in memory, so that a command can do it, and pages
of several web processes too. What is remembered is used once and lives for ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import Connection

from ledger import consents, pushing, tokens
from ledger.consents import LIFE, Pending
from ledger.database import Database
from ledger.errors import BillhookError, OutcomeUnknownError
from ledger.ports import Clock
from ledger.vault import Vault

from .http import Http
from .oauth import OAuth2, RefusedGrantError, pair_for

_MOST_CHARACTERS: Final = 8192
_AGAIN: Final = "begin again with `flask connectors connect {name}`"
_ERRORS: Final = {
    "access_denied": "the connection was not allowed there",
    "invalid_request": "the request was refused as malformed: check redirect address and client_id",
    "unauthorized_client": "this app may not ask for it: check client_id and the app's settings",
    "unsupported_response_type": "this app may not ask for codes: check the app's settings",
    "invalid_scope": "this app may not ask for these permissions: check the app's settings",
    "server_error": "the system has a problem: try it later",
    "temporarily_unavailable": "the system is busy: try it later",
}
"""The errors of RFC 6749, section 4.1.2.1, in words; nothing else of an answer is repeated."""


class ConsentError(BillhookError):
    """The connection was not made; the message says why, and what to do."""


class UnaskedError(ConsentError):
    """This answers nothing that was asked here: whatever was asked goes on waiting."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """What both halves work with: the ports, and which connection it is."""

    database: Database
    clock: Clock
    vault: Vault
    http: Http
    name: str
    oauth: OAuth2
    client: tuple[str, str]
    """Id and secret of our own app at the provider."""


def begin(connecting: Connecting, redirect: str) -> str:
    """Return the address at which a person allows the connection.

    The browser is sent back to `redirect` afterwards, which the provider must know.
    """
    pending = Pending(
        connecting.name,
        state=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(64),
        redirect=redirect,
    )
    now = connecting.clock.now()
    connecting.database.write(
        lambda connection: consents.keep(connection, connecting.vault, pending, now)
    )
    asked = {
        "response_type": "code",
        "client_id": connecting.client[0],
        "redirect_uri": redirect,
        "state": pending.state,
        "code_challenge": challenge(pending.verifier),
        "code_challenge_method": "S256",
    }
    if connecting.oauth.scopes:
        asked["scope"] = " ".join(connecting.oauth.scopes)
    joint = "&" if urlsplit(connecting.oauth.authorize_url).query else "?"
    return f"{connecting.oauth.authorize_url}{joint}{urlencode(asked)}"


def challenge(verifier: str) -> str:
    """Return the challenge of a verifier, RFC 7636, section 4.2; its appendix B has this one.

    >>> challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def finish(connecting: Connecting, address: str, actor: str) -> Mapping[str, str]:
    """Store the tokens that the answer brings; return the settings that it tells, by name.

    `address` is the whole one that the browser was sent to. Raise UnaskedError if it belongs to
    nothing that was begun, and changes nothing then; ConsentError if the connection is not made.
    """
    name = connecting.name
    told = _parameters(name, address)
    now = connecting.clock.now()
    pending = connecting.database.write(
        lambda connection: consents.take(
            connection, connecting.vault, name, told.get("state", ""), now
        )
    )
    again = _AGAIN.format(name=name)
    if pending is None:
        minutes = int(LIFE.total_seconds() // 60)
        raise UnaskedError(
            f"{name}: this answer belongs to nothing that was begun here within {minutes} minutes, "
            f"or it was used already - {again}"
        )
    if _place(address) != _place(pending.redirect):
        raise ConsentError(f"{name}: the answer came to another address than was asked - {again}")
    if "error" in told:
        problem = _ERRORS.get(told["error"], "the system refuses, and does not say why")
        raise ConsentError(f"{name}: {problem} - {again}")
    if not told.get("code"):
        raise ConsentError(f"{name}: the answer has no code - copy the whole address, or {again}")
    form = {
        "grant_type": "authorization_code",
        "code": told["code"],
        "redirect_uri": pending.redirect,
        "code_verifier": pending.verifier,
    }
    try:
        pair = pair_for(
            form,
            connecting.http,
            now,
            name=name,
            oauth=connecting.oauth,
            client=connecting.client,
        )
    except RefusedGrantError:
        raise ConsentError(
            f"{name}: the code is not accepted (used, too old, or for another app) - {again}"
        ) from None
    except OutcomeUnknownError as error:
        raise ConsentError(f"{error}; the code may be used up - {again}") from error

    def store(connection: Connection) -> None:
        tokens.store(connection, connecting.vault, name, pair, actor=actor, now=now)
        pushing.go_on(connection, now, connector=name)

    connecting.database.write(store)
    return {
        setting: told[parameter]
        for parameter, setting in connecting.oauth.tells.items()
        if told.get(parameter)
    }


def _parameters(name: str, address: str) -> dict[str, str]:
    """Return what the provider has added to the redirect; raise UnaskedError if it is spoiled."""
    try:
        if len(address) > _MOST_CHARACTERS or not address.isascii() or not address.isprintable():
            raise ValueError
        pairs = parse_qsl(urlsplit(address.strip()).query, keep_blank_values=True)
    except ValueError:
        pairs = []
    told = dict(pairs)
    # Once each: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2
    if not pairs or len(told) != len(pairs):
        raise UnaskedError(
            f"{name}: that is not the address that the browser was sent to - copy it whole, from "
            "https:// or http:// to its end"
        )
    return told


def _place(address: str) -> tuple[str, str, str]:
    parts = urlsplit(address.strip())
    return parts.scheme.lower(), parts.netloc.lower(), parts.path or "/"
