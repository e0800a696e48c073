"""A billing system that fails again and again rests: nothing is lost, repeated or counted by it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

import worker
from connectors.connector import BillingConnector
from connectors.http import Request, Response
from connectors.push import Pusher
from connectors.stripe.stand_in.rig import BASE
from ledger import breakers, tables
from ledger.audit import audit
from ledger.audit.resting import left_lying
from ledger.auditlog import seal
from ledger.breakers import FIRST_REST, LASTING, LONGEST_REST, MOST_FAILURES, PROBE
from ledger.claims import NEVER
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    RestingError,
    TransientError,
    UnsupportedError,
)
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

ACME, BETA = "acme-2026-10", "beta-2026-10"
REST = int(FIRST_REST.total_seconds())


class Stripe:
    """Stripe behind a door that can be shut: counts what knocks."""

    def __init__(self, office: Office) -> None:
        self.inside = office.outside._sites[BASE]
        self.fails: Exception | None = None
        self.refusal: Response | None = None
        self.asked = 0
        office.outside._sites = {**office.outside._sites, BASE: self}

    def send(self, request: Request) -> Response:
        """Answer, unless the door is shut."""
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self.refusal or self.inside.send(request)


def answered() -> bool:
    return True


@pytest.fixture
def stripe(office: Office) -> Stripe:
    """Give an office with a draft at Stripe's door and one at the folder's, both approved."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    office.tell(issue(9, project="BETA"), worklog(2, seconds=3600, issue_id=9))
    office.approve(ACME)
    return Stripe(office)


def row(office: Office) -> dict[str, Any]:
    return dict(office.rows(tables.breaker)[0])


def fail(office: Office, times: int, seconds: int = 10) -> None:
    """Let the push be tried so many times."""
    for _ in range(times):
        office.settle()
        office.line.database.write(
            lambda connection: connection.execute(
                tables.invoice.update().values(next_at=office.clock.now())
            )
        )
        office.clock.go_on(seconds)


def look_again(office: Office, moment: datetime) -> None:
    """Let what stands at Stripe be due for a look."""
    due = tables.invoice.update().where(tables.invoice.c.reference == ACME)
    office.line.database.write(
        lambda connection: connection.execute(due.values(sync_at=moment, next_at=moment))
    )


def rested(office: Office, stripe: Stripe) -> Stripe:
    stripe.fails = TransientError("api.stripe.com: cannot connect")
    fail(office, MOST_FAILURES)
    assert row(office)["rests_until"] is not None
    return stripe


def asked(office: Office, stripe: Stripe) -> int:
    """Settle; return how many requests that took."""
    before = stripe.asked
    office.settle()
    return stripe.asked - before


def test_a_rest_holds_what_waits_without_counting_a_try_and_ends_by_one_success(
    office: Office, stripe: Stripe
) -> None:
    rested(office, stripe)
    attempts = office.invoice(ACME)["attempts"]
    assert asked(office, stripe) == 0
    bill = office.invoice(ACME)
    assert (bill["state"], bill["attempts"], bill["unended"]) == ("approved", attempts, 0)
    office.bill(BETA)
    with office.line.database.read() as connection:
        office.clock.go_on(40)
        assert list(left_lying(connection, office.clock.now())) == []
    stripe.fails = None
    office.clock.go_on(REST)
    office.settle()
    assert office.invoice(ACME)["state"] == "pushed"
    assert len(office.remote(ACME)) == 1
    assert (row(office)["failures"], row(office)["rests_until"]) == (0, None)
    noted = [each["action"] for each in office.rows(tables.audit_entry)]
    assert noted.count("connector.rests") == noted.count("connector.goes_on") == 1
    with office.line.database.read() as connection:
        assert list(left_lying(connection, office.clock.now())) == []


def test_failures_within_half_a_minute_open_nothing(office: Office, stripe: Stripe) -> None:
    stripe.fails = OutcomeUnknownError("api.stripe.com: the connection broke")
    fail(office, 3 * MOST_FAILURES, seconds=1)
    assert int(LASTING.total_seconds()) > 3 * MOST_FAILURES
    assert row(office)["failures"] == 3 * MOST_FAILURES
    assert row(office)["rests_until"] is None
    stripe.fails = None
    office.clock.go_on(1)
    office.settle()
    assert office.invoice(ACME)["state"] == "pushed"
    assert row(office)["failures"] == 0


def test_rests_grow_to_a_quarter_of_an_hour_and_each_is_followed_by_one_try(
    office: Office, stripe: Stripe
) -> None:
    rested(office, stripe)
    lengths = []
    for _ in range(6):
        office.clock.moment = row(office)["rests_until"]
        fail(office, 1, seconds=0)
        lengths.append(row(office)["rests_until"] - office.clock.now())
        assert asked(office, stripe) == 0
    assert lengths == [
        *(FIRST_REST * 2, FIRST_REST * 4, FIRST_REST * 8),
        *(LONGEST_REST, LONGEST_REST, LONGEST_REST),
    ]


def test_what_is_refused_about_one_invoice_or_its_credentials_is_no_failure(
    office: Office, stripe: Stripe
) -> None:
    stripe.refusal = Response(401, {}, b'{"error": {"message": "no"}}')
    fail(office, 2 * MOST_FAILURES)
    assert office.rows(tables.breaker) == []
    assert "API key was refused" in office.invoice(ACME)["problem"]
    for error in (PermanentError("no"), RejectedError("no"), UnsupportedError("no")):
        for _ in range(2 * MOST_FAILURES):
            with (
                pytest.raises(type(error)),
                breakers.passing(office.line.database, office.clock, "stripe", answered),
            ):
                raise error
            office.clock.go_on(10)
    assert office.rows(tables.breaker) == []


def test_a_limit_rests_the_whole_connector_for_as_long_as_it_says(
    office: Office, stripe: Stripe
) -> None:
    stripe.refusal = Response(429, {"retry-after": "90"}, b'{"error": {"message": "slow"}}')
    office.settle()
    assert row(office)["rests_until"] == office.clock.now() + timedelta(seconds=90)
    assert row(office)["failures"] == 0
    stripe.refusal = None
    fail(office, 1, seconds=89)
    assert office.invoice(ACME)["state"] == "approved"
    assert asked(office, stripe) == 0
    office.clock.go_on(1)
    stripe.fails = TransientError("api.stripe.com: cannot connect")
    office.settle()
    # A limit that is over leaves nothing to be tried first: one failure is one failure.
    assert (row(office)["failures"], row(office)["rests"]) == (1, 0)
    with office.line.database.read() as connection:
        assert breakers.rests(connection, office.clock.now()) == {}
    stripe.fails = None
    fail(office, 2)
    assert office.invoice(ACME)["state"] == "pushed"
    assert row(office)["rests_until"] is None


def test_only_one_tries_a_system_again_and_if_it_dies_another_one_does(
    office: Office, stripe: Stripe
) -> None:
    rested(office, stripe)
    stripe.fails = None
    office.clock.moment = row(office)["rests_until"]
    line, now = office.line, office.clock.now()
    probe = breakers._probe(line.database, "stripe", now)
    assert probe == now == row(office)["rests_until"]
    assert row(office)["probe_until"] == now + PROBE
    assert asked(office, stripe) == 0
    with pytest.raises(RestingError, match=r"rests until .* after 5 failures in a row"):
        breakers._probe(line.database, "stripe", now)
    # Also one that has looked before the first took the right to try.
    assert not line.database.write(lambda connection: breakers._begin(connection, "stripe", now))
    office.clock.go_on(int(PROBE.total_seconds()))
    office.settle()
    assert office.invoice(ACME)["state"] == "pushed"


@pytest.mark.parametrize("works", [True, False])
def test_a_try_that_is_slow_counts_although_another_one_has_joined_it(
    office: Office, stripe: Stripe, works: bool
) -> None:
    rested(office, stripe)
    database, clock = office.line.database, office.clock
    clock.moment = row(office)["rests_until"]
    with breakers.passing(database, clock, "stripe", answered) as slow:
        clock.go_on(int(PROBE.total_seconds()))
        with breakers.passing(database, clock, "stripe", answered):
            clock.go_on(5)
            if not works:
                slow.error = TransientError("api.stripe.com: cannot connect")
                breakers._record(database, "stripe", slow, clock.now())
                until = row(office)["rests_until"]
                assert until > clock.now()
        # The second one began before the new rest, so it proves nothing about it.
        assert row(office)["rests_until"] == (None if works else until)
        slow.error = None
    assert row(office)["rests_until"] == (None if works else until)


def test_what_ends_late_neither_prolongs_a_rest_nor_cuts_it_short(
    office: Office, stripe: Stripe
) -> None:
    line = office.line
    with breakers.passing(line.database, office.clock, "stripe", answered) as good:
        rested(office, stripe)
        before = row(office)
    assert good.tries is None
    assert row(office) == before
    line.database.write(
        lambda connection: breakers.failed(
            connection, "stripe", "late", breakers.Passage(None, answered), office.clock.now()
        )
    )
    assert row(office)["rests_until"] == before["rests_until"]
    assert row(office)["failures"] == before["failures"] + 1


def test_failures_that_lie_far_apart_are_not_in_a_row(office: Office, stripe: Stripe) -> None:
    stripe.fails = TransientError("api.stripe.com: cannot connect")
    fail(office, MOST_FAILURES - 1)
    office.clock.go_on(3600)
    fail(office, 1)
    assert (row(office)["failures"], row(office)["rests_until"]) == (1, None)


def test_what_was_uncertain_before_a_rest_is_looked_up_after_it(
    office: Office, stripe: Stripe
) -> None:
    """The reply of the creation is lost, then Stripe is away: no second invoice afterwards."""

    def lose_reply(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/invoices"):
            raise OutcomeUnknownError("api.stripe.com: the connection broke")

    office.outside.after = lose_reply
    office.settle()
    office.outside.after = lambda request: None
    rested(office, stripe)
    stripe.fails = None
    office.clock.moment = row(office)["rests_until"] + timedelta(minutes=10)
    office.settle()
    assert office.invoice(ACME)["state"] == "pushed"
    assert len(office.remote(ACME)) == 1
    office.line.database.write(seal)
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now()) == []


def test_looks_rest_too_and_hints_wait_without_a_try(office: Office, stripe: Stripe) -> None:
    office.settle()
    remote = office.invoice(ACME)["remote_id"]
    rested_at = office.clock.now()
    stripe.fails = TransientError("api.stripe.com: cannot connect")
    for _ in range(MOST_FAILURES + 1):
        look_again(office, rested_at)
        office.settle()
        office.clock.go_on(10)
    assert row(office)["rests_until"] is not None
    hint = {"endpoint": "stripe", "subject": "payment:pi_1", "state": "waiting"}
    values = {**hint, "attempts": 0, "next_at": office.clock.now()}
    office.line.database.write(
        lambda connection: connection.execute(tables.hint.insert().values(values))
    )
    look_again(office, rested_at)
    assert "look" not in {stage.name for stage in worker.busy_stages(office.line)}
    attempts = office.invoice(ACME)["attempts"]
    assert asked(office, stripe) == 0
    assert office.invoice(ACME)["attempts"] == attempts
    (waiting,) = [each for each in office.rows(tables.hint) if each["subject"] == "payment:pi_1"]
    assert (waiting["state"], waiting["attempts"]) == ("waiting", 0)
    stripe.fails = None
    office.clock.go_on(300)
    office.settle()
    office.clock.go_on(10)
    office.settle()
    (followed,) = [each for each in office.rows(tables.hint) if each["subject"] == "payment:pi_1"]
    assert followed["state"] != "waiting"
    assert office.invoice(ACME)["sync_at"] > office.clock.now()
    assert remote == office.invoice(ACME)["remote_id"]


@pytest.mark.parametrize("error", [None, UnsupportedError("no"), PermanentError("no")])
def test_what_is_done_without_asking_the_system_ends_no_rest_and_leaves_the_try_to_the_next(
    office: Office, stripe: Stripe, error: Exception | None
) -> None:
    rested(office, stripe)
    office.clock.moment = row(office)["rests_until"]
    before = row(office)
    with (
        suppress(UnsupportedError, PermanentError),
        breakers.passing(office.line.database, office.clock, "stripe", lambda: False),
    ):
        assert row(office)["probe_until"] is not None
        if error is not None:
            raise error
    assert row(office) == before
    stripe.fails = None
    office.settle()
    assert row(office)["rests_until"] is None


def test_a_push_that_is_refused_before_anything_is_sent_ends_no_rest(
    office: Office, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, draft: object) -> None:
        raise UnsupportedError("stripe: has too many lines")

    rested(office, stripe)
    monkeypatch.setattr(BillingConnector, "must_fit", refuse)
    office.clock.moment = row(office)["rests_until"]
    monkeypatch.setattr(Pusher, "_delete_remains", lambda self: None)
    assert asked(office, stripe) == 0
    assert office.invoice(ACME)["state"] in ("draft", "blocked")
    assert row(office)["rests_until"] is not None


def test_a_hint_that_names_nothing_ends_no_rest(office: Office, stripe: Stripe) -> None:
    rested(office, stripe)
    office.clock.moment = row(office)["rests_until"]
    strange = {"endpoint": "stripe", "subject": "strange:1", "state": "waiting"}
    values = {**strange, "attempts": 0, "next_at": office.clock.now()}

    def keep(connection: Connection) -> None:
        connection.execute(tables.hint.insert().values(values))
        connection.execute(tables.invoice.update().values(next_at=NEVER))

    office.line.database.write(keep)
    assert asked(office, stripe) == 0
    assert row(office)["rests_until"] is not None


def test_a_rest_that_is_ended_by_hand_lets_everything_go_at_once(
    office: Office, stripe: Stripe
) -> None:
    rested(office, stripe)
    stripe.fails = None
    now = office.clock.now()
    assert office.line.database.write(
        lambda connection: breakers.close(connection, "stripe", "mia", now)
    )
    worker.work_off(office.line)
    assert office.invoice(ACME)["state"] == "pushed"
