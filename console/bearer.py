"""Bearer tokens: who calls the API or asks for metrics, and whether he may."""

from __future__ import annotations

from flask import request

from ledger.access import Token, needs_noting, note_use, token_of
from ledger.errors import BillhookError

from .current import current_line


class NoTokenError(BillhookError):
    """The request carries no token that holds (HTTP 401)."""


def bearer_token() -> Token:
    """Return the token that the request carries; raise NoTokenError if there is none that holds."""
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise NoTokenError("token: none was sent - send the header Authorization: Bearer TOKEN")
    line, now = current_line(), current_line().clock.now()
    with line.database.read() as connection:
        token = token_of(connection, authorization.token, now)
    if token is None:
        raise NoTokenError(
            "token: is unknown, revoked or expired - make one with `flask tokens create`"
        )
    if needs_noting(token, now):
        line.database.write(lambda connection: note_use(connection, token, now))
    return token
