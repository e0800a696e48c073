"""Access tokens that expire, and refresh tokens that can be used once.

A refresh token that is used twice is taken for stolen: its whole family is revoked, as OAuth
2.1 asks for, and only a person can authorize anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from .store import Row, Store


class Tokens:
    """The tokens of one account; what is handed out survives a restart."""

    def __init__(self, store: Store, now: Callable[[], float], *, life_seconds: float) -> None:
        self._store, self._now, self._life = store, now, life_seconds
        self.refreshed = 0
        self.reused = 0

    def authorize(self) -> Row:
        """Return the first pair of a new family, as after a person's consent."""
        with self._store.transaction():
            return self._pair(secrets.token_hex(8))

    def is_welcome(self, token: str) -> bool:
        """Return whether an access token is good now."""
        found = self._store.rows("SELECT * FROM token WHERE token = ? AND kind = 'access'", token)
        return bool(found) and not found[0]["is_used"] and found[0]["at"] > self._now() - self._life

    def refresh(self, form: Mapping[str, str]) -> tuple[int, Row]:
        """Return status and body of the answer to a refresh."""
        given = form.get("refresh_token", "")
        with self._store.transaction():
            query = "SELECT * FROM token WHERE token = ? AND kind = 'refresh'"
            found = self._store.rows(query, given)
            if form.get("grant_type") != "refresh_token" or not found:
                return 400, {"error": "invalid_grant"}
            family = found[0]["family"]
            if found[0]["is_used"]:
                self.reused += 1
                self._store.rows("UPDATE token SET is_used = 1 WHERE family = ?", family)
                return 400, {"error": "invalid_grant"}
            self.refreshed += 1
            self._store.rows("UPDATE token SET is_used = 1 WHERE token = ?", given)
            return 200, self._pair(family)

    def _pair(self, family: str) -> Row:
        made = {kind: f"{kind}-{secrets.token_hex(12)}" for kind in ("access", "refresh")}
        for kind, token in made.items():
            self._store.rows(
                "INSERT INTO token VALUES (?, ?, ?, 0, ?)", token, kind, family, self._now()
            )
        return {
            "token_type": "Bearer",
            "access_token": made["access"],
            "refresh_token": made["refresh"],
            "expires_in": int(self._life),
        }
