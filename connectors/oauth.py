"""OAuth 2 with refresh tokens that rotate: a connector's requests carry a token that holds.

A connector to such a system declares where its tokens come from and nothing else:

    class LedgerlyConnector(BillingConnector):
        oauth = OAuth2(token_url="https://id.ledgerly.example/oauth/token")
        settings = (Setting("client_id", ...), Setting("client_secret", ..., secret=True))

`line.py` then hands it an HTTP port that is an `AuthorizedHttp`: every request sent through
`self.http` gets `Authorization: Bearer ...`, and a 401 renews the token once. The first pair is
brought in by a person: with `flask connectors connect CONNECTOR` where there is an `authorize_url`
(`authorization.py`), else with `flask secrets store CONNECTOR`. Both addresses can be other ones by
the settings `token_url` and `authorize_url`, for a sandbox or a stand-in.

One worker at a time renews, because a refresh token that is used twice may end the whole
connection (`ledger/tokens.py` has the lease). The new pair is stored before it is used. What goes
wrong is one of our errors: TransientError where waiting helps, PermanentError where a person must
connect again; drafts wait meanwhile, as for any other connector error.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import quote_plus, urlencode

from sqlalchemy.exc import DBAPIError

from ledger import tokens
from ledger.database import Database, is_unavailable
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    StillUnderWayError,
    TransientError,
)
from ledger.ports import Clock
from ledger.tokens import Pair, Stored
from ledger.vault import SealedError, Vault

from .http import Http, Request, Response

EARLY: Final = timedelta(minutes=1)
"""How long before its end an access token is renewed."""
WAIT_SECONDS: Final = 5.0
"""How long to wait for another worker that is just renewing, before the work is put off."""
_LOOK_SECONDS: Final = 0.05
_SAVE_TRIES: Final = 10
_SAVE_WAIT_SECONDS: Final = 1.0
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}")
_MOST_SECONDS: Final = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class OAuth2:
    """Where a system's tokens come from; a connector's class declares it as `oauth`."""

    token_url: str
    authentication: Literal["basic", "body"] = "basic"
    """Where `client_id` and `client_secret` go: into the Authorization header or into the form."""
    lasts_seconds: int = 1800
    """How long an access token is good where the answer does not say."""
    authorize_url: str = ""
    """Where a person allows the connection; empty: the first token is brought in by hand."""
    scopes: tuple[str, ...] = ()
    """What is asked for there."""
    tells: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the redirect back that name a setting: `{"realmId": "realm"}`."""

    def advice(self, name: str) -> str:
        """Return what a person does to connect the connector `name`, for the first time or again.

        >>> OAuth2("https://id.example/token").advice("books")
        'connect it again with `flask secrets store books`'
        """
        if self.authorize_url:
            return f"connect it with `flask connectors connect {name}`"
        return f"connect it again with `flask secrets store {name}`"


class RefusedGrantError(PermanentError):
    """The identity provider takes the refresh token, or the code, no (more): `invalid_grant`."""


class AccessTokens:
    """The access token of one connection, renewed when it is about to end."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        http: Http,
        *,
        name: str,
        oauth: OAuth2,
        client: tuple[str, str],
        delay: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make it for the connection `name`; `client` is the id and the secret of our own app."""
        self._database = database
        self._clock = clock
        self._vault = vault
        self._http = http
        self._name = name
        self._oauth = oauth
        self._client = client
        self._delay = delay

    def current(self, *, refused: str | None = None) -> str:
        """Return an access token that holds; renew it first if it is about to end.

        `refused` is a token that the system has just turned away: it is not returned again.
        Raise TransientError if another worker is still renewing or the identity provider is away,
        PermanentError if a person has to connect it again.
        """
        waited = 0.0
        while True:
            stored = self._load()
            now = self._clock.now()
            is_good = stored.pair.access != refused and now < stored.pair.expires_at
            if is_good and now < stored.pair.expires_at - EARLY:
                return stored.pair.access
            lease = None
            if not stored.is_being_renewed(now):
                lease = self._database.write(
                    lambda connection: tokens.begin(connection, self._name, stored.version, now)  # noqa: B023
                )
            if lease is not None:
                return self._renewed(stored, lease)
            if is_good:
                # Another worker is at it, and this token holds a little longer.
                return stored.pair.access
            if waited >= WAIT_SECONDS:
                raise StillUnderWayError(
                    f"{self._name}: another worker is renewing its token",
                    retry_after=_seconds_until(stored.lease_until, now),
                )
            self._delay(_LOOK_SECONDS)
            waited += _LOOK_SECONDS

    def _load(self) -> Stored:
        try:
            with self._database.read() as connection:
                stored = tokens.load(connection, self._vault, self._name)
        except SealedError as error:
            raise PermanentError(str(error)) from error
        if stored is None:
            raise PermanentError(
                f"{self._name}: is not connected yet - {self._oauth.advice(self._name)}"
            )
        if stored.needs_reauth is not None:
            raise PermanentError(f"{self._name}: {stored.needs_reauth}")
        return stored

    def _renewed(self, stored: Stored, lease: str) -> str:
        """Return the access token of a new pair, which is stored before it is used."""
        try:
            pair = self._ask(stored.pair)
        except RefusedGrantError:
            return self._sibling_or_reauth(stored)
        except OutcomeUnknownError as error:
            self._end(lease, in_doubt=True)
            raise TransientError(f"{error} - whether the token was renewed is not known") from error
        except (TransientError, PermanentError):
            self._end(lease, in_doubt=stored.refreshing_since is not None)
            raise
        return pair.access if self._save(pair, stored.version) else self._load().pair.access

    def _save(self, pair: Pair, version: int) -> bool:
        """Store a new pair, of which this is the only copy: a database that is away is waited for.

        Return False if a newer pair is stored already.
        """
        for tries_left in reversed(range(_SAVE_TRIES)):
            try:
                return self._database.write(
                    lambda connection: tokens.save(
                        connection,
                        self._vault,
                        self._name,
                        pair,
                        version=version,
                        now=self._clock.now(),
                    )
                )
            except DBAPIError as error:
                if not tries_left or not is_unavailable(error):
                    raise
                self._delay(_SAVE_WAIT_SECONDS)
        raise AssertionError("unreachable")

    def _sibling_or_reauth(self, stored: Stored) -> str:
        """Look once whether another worker has a newer pair; if not, only a person can go on."""
        reason = f"its refresh token is not accepted any more - {self._oauth.advice(self._name)}"
        if stored.refreshing_since is not None:
            since = stored.refreshing_since.strftime("%Y-%m-%d %H:%M UTC")
            reason = (
                f"a renewal of its token that began {since} was cut off, and its answer is lost - "
                f"{self._oauth.advice(self._name)}"
            )
        self._database.write(
            lambda connection: tokens.refused(
                connection,
                self._name,
                reason,
                version=stored.version,
                now=self._clock.now(),
            )
        )
        return self._load().pair.access

    def _end(self, lease: str, *, in_doubt: bool) -> None:
        self._database.write(
            lambda connection: tokens.end(connection, self._name, lease, in_doubt=in_doubt)
        )

    def _ask(self, pair: Pair) -> Pair:
        """Return the pair that the identity provider gives for the refresh token of the old one."""
        form = {"grant_type": "refresh_token", "refresh_token": pair.refresh}
        return pair_for(
            form,
            self._http,
            self._clock.now(),
            name=self._name,
            oauth=self._oauth,
            client=self._client,
        )


def pair_for(
    form: Mapping[str, str],
    http: Http,
    now: datetime,
    *,
    name: str,
    oauth: OAuth2,
    client: tuple[str, str],
) -> Pair:
    """Return the pair that the token endpoint gives for a grant, RFC 6749, section 4.1.3 or 6.

    Raise RefusedGrantError if it takes this grant no (more), and our other errors.
    """
    sent = dict(form)
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": "billhook",
    }
    client_id, client_secret = client
    if oauth.authentication == "basic":
        named = f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(named).decode()
    else:
        sent |= {"client_id": client_id, "client_secret": client_secret}
    answer = http.send(Request("POST", oauth.token_url, headers, urlencode(sent).encode()))
    told = _object(answer)
    if answer.status == 200:
        return _pair(name, oauth, told, form.get("refresh_token"), now)
    problem = told.get("error")
    if answer.status in (400, 401) and problem == "invalid_grant":
        raise RefusedGrantError(f"{name}: invalid_grant")
    if answer.status == 429:
        raise RateLimitedError(f"{name}: too many renewals", retry_after=60)
    if 400 <= answer.status < 500:
        code = problem if problem in _CODES else f"HTTP {answer.status}"
        raise PermanentError(
            f"{name}: the token endpoint refuses us ({code}) - check client_id, "
            "client_secret and token_url of this connector in workspace.yaml"
        )
    raise OutcomeUnknownError(f"{name}: the token endpoint answered {answer.status}")


def _pair(
    name: str, oauth: OAuth2, told: Mapping[str, Any], refresh_before: str | None, now: datetime
) -> Pair:
    access, refresh = told.get("access_token"), told.get("refresh_token", refresh_before)
    seconds = told.get("expires_in", oauth.lasts_seconds)
    is_whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if _is_token(access) and refresh is None:
        raise PermanentError(
            f"{name}: gives no refresh token - let its app ask for access that lasts (often the "
            "scope offline_access)"
        )
    if not (_is_token(access) and _is_token(refresh) and is_whole):
        raise OutcomeUnknownError(f"{name}: the token endpoint's answer has no token")
    # Counted from before the question, so that our own slowness never stretches a life.
    ends = now + timedelta(seconds=max(0, min(seconds, _MOST_SECONDS)))
    return Pair(str(access), str(refresh), ends)


class AuthorizedHttp:
    """The HTTP port with one connection's access token in every request."""

    def __init__(self, http: Http, access: AccessTokens) -> None:
        self._http = http
        self._access = access

    def send(self, request: Request) -> Response:
        """Return the answer; see `Http.send`. After a 401 the token is renewed and sent once more.

        That repeats nothing: what was turned away at the door was not carried out.
        """
        token = self._access.current()
        answer = self._http.send(_with_token(request, token))
        if answer.status != 401:
            return answer
        return self._http.send(_with_token(request, self._access.current(refused=token)))


_CODES: Final = frozenset(
    ("invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type")
)
"""The codes of RFC 6749, section 5.2, that go into a message; nothing else of an answer does."""


def _with_token(request: Request, token: str) -> Request:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _object(answer: Response) -> Mapping[str, Any]:
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _is_token(value: object) -> bool:
    """Return whether a value can stand in a header and in a form, as RFC 6749 has it."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _seconds_until(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else max(1, int((moment - now).total_seconds()) + 1)
