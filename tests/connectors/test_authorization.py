"""Connecting by a browser: only the answer to what was asked brings tokens, once and in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
from sqlalchemy import select

from connectors import authorization
from connectors.authorization import Connecting, ConsentError, UnaskedError
from connectors.http import Request, Response
from connectors.oauth import OAuth2
from connectors.stand_in import InProcess
from connectors.stand_in_identity import (
    AUTHORIZE_PATH,
    CLIENT,
    CODE_LIFE,
    REDIRECTS,
    TOKEN_PATH,
    IdentityStandIn,
)
from ledger import tables, tokens
from ledger.consents import LIFE
from ledger.database import Database
from ledger.errors import OutcomeUnknownError, PermanentError
from ledger.vault import Vault
from tests.journeys.house import TestClock

SITE = "https://id.ledgerly.example"
HERE, REGISTERED = REDIRECTS


class Person:
    """Somebody with a browser in front of the identity provider."""

    def __init__(self, database: Database) -> None:
        self.clock = TestClock()
        self.site = IdentityStandIn(self.clock)
        self.http = InProcess(self.site)
        self.vault = Vault("k" * 40)
        self.connecting = Connecting(
            database,
            self.clock,
            self.vault,
            self,
            "books",
            OAuth2(
                SITE + TOKEN_PATH,
                authorize_url=SITE + AUTHORIZE_PATH,
                scopes=("accounting", "offline_access"),
                tells={"realmId": "realm"},
            ),
            CLIENT,
        )
        self.sent: list[Request] = []
        self.answer: Response | Exception | None = None

    def send(self, request: Request) -> Response:
        """Be the port to the token endpoint."""
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or self.http.send(request)

    def allow(self, address: str) -> str:
        """Open an address in the browser; return where that is sent."""
        answer = self.http.send(Request("GET", address))
        assert answer.status == 302, answer.body
        return answer.headers["location"]

    def begin(self, redirect: str = HERE) -> str:
        """Begin, and allow it; return the address that the browser comes back to."""
        return self.allow(authorization.begin(self.connecting, redirect))

    def finish(self, address: str) -> Any:
        """Take the answer."""
        return authorization.finish(self.connecting, address, "mia")

    def stored(self) -> tokens.Stored | None:
        """Return the pair that is kept."""
        with self.connecting.database.read() as connection:
            return tokens.load(connection, self.vault, "books")


@pytest.fixture
def person(database_url: str) -> Iterator[Person]:
    """Give a person, and a fresh ledger."""
    database = Database(database_url)
    yield Person(database)
    database.close()


@pytest.mark.parametrize("redirect", [HERE, REGISTERED, "http://localhost:9000/callback"])
def test_what_a_person_allows_is_stored_sealed_and_tells_the_settings(
    person: Person, redirect: str
) -> None:
    person.site.tells = {"realmId": "4620816365"}
    assert person.finish(person.begin(redirect)) == {"realm": "4620816365"}
    stored = person.stored()
    assert stored is not None
    assert stored.pair.access.startswith("access-token-")
    assert stored.pair.expires_at > person.clock.now()
    assert person.site.scopes == ["accounting offline_access"]
    with person.connecting.database.read() as connection:
        rows = json.dumps(
            [dict(row) for row in connection.execute(select(tables.credential)).mappings()],
            default=str,
        )
        assert connection.execute(select(tables.consent)).all() == []
    assert "-token-" not in rows


def test_the_address_has_no_secret_and_what_is_kept_cannot_answer_for_the_provider(
    person: Person,
) -> None:
    address = authorization.begin(person.connecting, HERE)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert CLIENT[1] not in address
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43
    with person.connecting.database.read() as connection:
        (row,) = connection.execute(select(tables.consent)).mappings()
    kept = json.dumps(dict(row), default=str)
    assert asked["state"] not in kept
    assert asked["code_challenge"] not in kept
    person.finish(person.allow(address))
    (request,) = person.sent
    form = parse_qs((request.body or b"").decode())
    (verifier,) = form["code_verifier"]
    assert authorization.challenge(verifier) == asked["code_challenge"]
    assert "client_secret" not in form
    assert verifier not in kept


def changed(address: str, **parameters: str | None) -> str:
    """Return an address with other parameters; None takes one away."""
    parts = urlsplit(address)
    told: dict[str, str | None] = {name: each[0] for name, each in parse_qs(parts.query).items()}
    told |= parameters
    query = urlencode({name: value for name, value in told.items() if value is not None})
    return urlunsplit(parts._replace(query=query))


STRANGERS: dict[str, Callable[[str], str]] = {
    "another state": lambda address: changed(address, state="x" * 43),
    "no state": lambda address: changed(address, state=None),
    "an empty state": lambda address: changed(address, state=""),
    "a parameter twice": lambda address: f"{address}&code=another",
    "a text": lambda _: "code-000001",
    "nothing": lambda _: "",
    "a line break": lambda address: f"{address}\nSet-Cookie: a=b",
    "far too long": lambda address: f"{address}&x={'y' * 9000}",
    "a broken address": lambda _: "http://[::1/callback?code=1&state=2",
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_an_answer_to_nothing_changes_nothing_and_the_right_one_still_comes(
    person: Person, stranger: str
) -> None:
    address = person.begin()
    with pytest.raises(UnaskedError, match="books: "):
        person.finish(STRANGERS[stranger](address))
    assert person.stored() is None
    assert person.sent == []
    person.finish(address)
    assert person.stored() is not None


def test_an_answer_is_taken_once(person: Person) -> None:
    address = person.begin()
    person.finish(address)
    with pytest.raises(UnaskedError, match="used already"):
        person.finish(address)
    assert len(person.sent) == 1


def test_an_answer_comes_within_ten_minutes_or_not_at_all(person: Person) -> None:
    address = person.begin()
    person.clock.go_on(int(LIFE.total_seconds()))
    with pytest.raises(UnaskedError, match="within 10 minutes"):
        person.finish(address)
    assert person.sent == []
    authorization.begin(person.connecting, HERE)
    with person.connecting.database.read() as connection:
        assert len(connection.execute(select(tables.consent)).all()) == 1


def test_an_answer_for_another_connector_is_none(person: Person) -> None:
    address = person.begin()
    other = Connecting(
        *(person.connecting.database, person.clock, person.vault, person, "others"),
        person.connecting.oauth,
        CLIENT,
    )
    with pytest.raises(UnaskedError):
        authorization.finish(other, address, "mia")
    person.finish(address)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda address: changed(address, code=None), "has no code"),
        (lambda address: address.replace("8765", "8766"), "another address"),
        (lambda address: address.replace("/callback", "/elsewhere"), "another address"),
        (lambda address: changed(address, code="code-999999"), "not accepted"),
    ],
)
def test_a_spoiled_answer_brings_no_connection_and_says_why(
    person: Person, spoil: Any, told: str
) -> None:
    with pytest.raises(ConsentError, match=told) as caught:
        person.finish(spoil(person.begin()))
    assert "`flask connectors connect books`" in str(caught.value)
    assert person.stored() is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "was not allowed there"),
        ("invalid_scope", "these permissions"),
        ("temporarily_unavailable", "busy"),
        ("<script>alert(1)</script>", "does not say why"),
    ],
)
def test_what_the_provider_refuses_is_told_in_our_words(
    person: Person, error: str, told: str
) -> None:
    person.site.denies = error
    with pytest.raises(ConsentError, match=told) as caught:
        person.finish(person.begin())
    assert "stranger" not in str(caught.value)
    assert "<script>" not in str(caught.value)
    assert person.sent == []


def test_a_code_that_is_too_old_is_told(person: Person) -> None:
    address = person.begin()
    person.clock.go_on(int(CODE_LIFE.total_seconds()))
    with pytest.raises(ConsentError, match="too old"):
        person.finish(address)


def test_a_stolen_code_is_no_use_without_its_verifier(person: Person) -> None:
    mine, theirs = person.begin(), person.begin()
    code = parse_qs(urlsplit(theirs).query)["code"][0]
    with pytest.raises(ConsentError, match="not accepted"):
        person.finish(changed(mine, code=code))
    assert person.stored() is None


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (OutcomeUnknownError("id: the connection broke"), ConsentError, "may be used up"),
        (Response(500, {}, b"no"), ConsentError, "may be used up"),
        (Response(401, {}, b'{"error": "invalid_client"}'), PermanentError, "client_id"),
        (
            Response(200, {}, b'{"access_token": "a", "expires_in": 60}'),
            PermanentError,
            "no refresh token",
        ),
        (Response(200, {}, b'{"refresh_token": "a"}'), ConsentError, "has no token"),
    ],
)
def test_what_the_token_endpoint_answers_instead_is_told(
    person: Person, answer: Any, error: type[Exception], told: str
) -> None:
    address = person.begin()
    person.answer = answer
    with pytest.raises(error, match=told):
        person.finish(address)
    assert person.stored() is None


def test_connecting_again_takes_the_place_of_the_pair_before(person: Person) -> None:
    person.finish(person.begin())
    before = person.stored()
    person.finish(person.begin())
    after = person.stored()
    assert before is not None
    assert after is not None
    assert after.version == before.version + 1
    assert after.pair.refresh != before.pair.refresh
