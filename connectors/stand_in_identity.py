"""A stand-in for an identity provider whose refresh tokens rotate, for tests and the harness.

Each refresh token is good once. Who shows a used one again loses the whole family of tokens that
came from the same consent, as https://datatracker.ietf.org/doc/html/rfc9700#section-4.14 advises.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from werkzeug.exceptions import Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn, json_answer
from ledger.ports import Clock, SystemClock

CLIENT: Final = ("billhook-stand-in", "a-client-secret-of-the-stand-in")
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105
API_PATH: Final = "/api/whoami"


class IdentityStandIn(StandIn):
    """One identity provider, and one page of an API that takes its access tokens."""

    routes = (
        Rule(TOKEN_PATH, endpoint="token", methods=["POST"]),
        Rule(API_PATH, endpoint="whoami", methods=["GET", "POST"]),
    )

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        lasts_seconds: int = 1800,
        revokes_family: bool = True,
    ) -> None:
        super().__init__()
        self.lasts_seconds = lasts_seconds
        self.revokes_family = revokes_family
        self.renewals = 0
        """How many pairs were given for a refresh token."""
        self.reuses = 0
        """How many refresh tokens were shown a second time: never, if one worker renews."""
        self._clock = clock or SystemClock()
        self._families: set[int] = set()
        self._refresh: dict[str, tuple[int, bool]] = {}
        self._access: dict[str, tuple[int, datetime]] = {}
        self._count = 0

    def consent(self) -> str:
        """Return the refresh token that a person gets by connecting: a new family begins."""
        self._count += 1
        self._families.add(self._count)
        return str(self._pair(self._count)["refresh_token"])

    def grant(self) -> str:
        """Return an access token of a new consent, for who has nothing to renew."""
        self._count += 1
        self._families.add(self._count)
        return str(self._pair(self._count)["access_token"])

    def authenticate(self, request: Request) -> None:
        if request.path == TOKEN_PATH:
            known = base64.b64encode(":".join(CLIENT).encode()).decode()
            if request.headers.get("Authorization") != f"Basic {known}":
                raise Unauthorized("invalid_client")
            return
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        family, ends = self._access.get(token, (0, datetime.max.replace(tzinfo=UTC)))
        if family not in self._families or self._clock.now() >= ends:
            raise Unauthorized("invalid_token")

    def problem(self, description: str) -> dict[str, Any]:
        return {"error": description}

    def token(self, request: Request) -> Response:
        """Give a new pair for a refresh token that was not used yet."""
        shown = request.form.get("refresh_token", "")
        family, is_used = self._refresh.get(shown, (0, False))
        if is_used:
            self.reuses += 1
            if self.revokes_family:
                self._families.discard(family)
        if is_used or family not in self._families:
            return json_answer({"error": "invalid_grant"}, 400)
        self._refresh[shown] = (family, True)
        self.renewals += 1
        return json_answer(self._pair(family))

    def whoami(self, request: Request) -> Response:
        """Answer whoever has an access token that holds."""
        return json_answer({"name": "Studio Nord"})

    def _pair(self, family: int) -> dict[str, Any]:
        self._count += 1
        access, refresh = f"access-token-{self._count:06d}", f"refresh-token-{self._count:06d}"
        self._access[access] = (family, self._clock.now() + timedelta(seconds=self.lasts_seconds))
        self._refresh[refresh] = (family, False)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lasts_seconds,
        }
