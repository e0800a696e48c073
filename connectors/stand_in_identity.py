"""A stand-in for an identity provider whose refresh tokens rotate, for tests and the harness.

Each refresh token is good once. Who shows a used one again loses the whole family of tokens that
came from the same consent, as https://datatracker.ietf.org/doc/html/rfc9700#section-4.14 advises.
A code is good once and for a minute, with the verifier of its challenge and the redirect address
that it was asked for with (RFC 6749, section 4.1, and RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from werkzeug.exceptions import Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn, json_answer
from ledger.ports import Clock, SystemClock

CLIENT: Final = ("billhook-stand-in", "a-client-secret-of-the-stand-in")
AUTHORIZE_PATH: Final = "/oauth/authorize"
REDIRECTS: Final = ("http://127.0.0.1:8765/callback", "https://billhook.agency.example/connected")
"""The redirect addresses that our app is registered with; of a loopback one any port is taken."""
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105
API_PATH: Final = "/api/whoami"


CODE_LIFE: Final = timedelta(minutes=1)
_ASKED: Final = frozenset(
    (
        *("response_type", "client_id", "redirect_uri", "state", "scope"),
        *("code_challenge", "code_challenge_method"),
    )
)
_LOOPBACK: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/callback")


@dataclass
class _Code:
    family: int
    challenge: str
    redirect: str
    ends: datetime
    is_used: bool = False


class IdentityStandIn(StandIn):
    """One identity provider, and one page of an API that takes its access tokens."""

    routes = (
        Rule(AUTHORIZE_PATH, endpoint="authorize", methods=["GET"]),
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
        self.tells: Mapping[str, str] = {}
        """What the redirect back tells besides the code: `{"realmId": "4620816365"}`."""
        self.denies: str | None = None
        """The error with which a person, or the provider, does not allow the next connection."""
        self.scopes: list[str] = []
        """What was asked for, request by request."""
        self._codes: dict[str, _Code] = {}
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
        if request.path == AUTHORIZE_PATH:
            return
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
        """Give a new pair for a refresh token, or a code, that was not used yet."""
        grant = request.form.get("grant_type")
        if grant == "authorization_code":
            return self._first_pair(request)
        if grant != "refresh_token":
            return json_answer({"error": "unsupported_grant_type"}, 400)
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

    def authorize(self, request: Request) -> Response:
        """Send the browser back with a code or an error, as if a person had decided at once.

        Without an address that is registered it is not sent anywhere.
        """
        asked = dict(request.args)
        redirect = asked.get("redirect_uri", "")
        is_known = redirect in REDIRECTS or _LOOPBACK.fullmatch(redirect)
        if not is_known or asked.get("client_id") != CLIENT[0]:
            return json_answer({"error": "invalid_request"}, 400)
        told = {"state": asked.get("state", "")}
        if self.denies is not None:
            told |= {"error": self.denies, "error_description": "<b>a text of a stranger</b>"}
            self.denies = None
        elif asked.get("response_type") != "code":
            told["error"] = "unsupported_response_type"
        elif set(asked) - _ASKED or not told["state"] or not _is_challenged(asked):
            told["error"] = "invalid_request"
        else:
            self.scopes.append(asked.get("scope", ""))
            self._count += 1
            self._families.add(self._count)
            code = f"code-{self._count:06d}"
            ends = self._clock.now() + CODE_LIFE
            self._codes[code] = _Code(self._count, asked["code_challenge"], redirect, ends)
            told |= {"code": code, **self.tells}
        return Response("", 302, {"Location": f"{redirect}?{urlencode(told)}"})

    def _first_pair(self, request: Request) -> Response:
        shown = request.form
        code = self._codes.get(shown.get("code", ""))
        if code is None:
            return json_answer({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(shown.get("code_verifier", "").encode()).digest()
        is_good = (
            not code.is_used
            and self._clock.now() < code.ends
            and shown.get("redirect_uri") == code.redirect
            and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code.challenge
        )
        if code.is_used:
            self._families.discard(code.family)
        code.is_used = True
        if not is_good:
            return json_answer({"error": "invalid_grant"}, 400)
        return json_answer(self._pair(code.family))

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


def _is_challenged(asked: Mapping[str, str]) -> bool:
    challenge = asked.get("code_challenge", "")
    is_sha = asked.get("code_challenge_method") == "S256"
    return is_sha and re.fullmatch(r"[\w-]{43}", challenge, re.ASCII) is not None
