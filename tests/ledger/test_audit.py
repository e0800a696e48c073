"""`ledger.audit`: a good ledger passes, and each planted corruption is named by its invariant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from ledger import auditlog
from ledger.audit import INVARIANTS, Anchor, audit
from ledger.audit.prices import Price
from ledger.audit.secrecy import literal_secrets
from ledger.audit.violations import Violation
from ledger.events import Event
from ledger.tables import line_item, metadata
from tests.databases import PostgresDatabases, copy_sqlite
from tests.ledger.seed import SmallFirm, judge, month_of_work


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def firm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallFirm]:
    """Give the small firm after a month of work; tests roll back what they do to it."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        firm = SmallFirm(copy_sqlite(template, tmp_path_factory.mktemp("audit") / "firm.sqlite3"))
    else:
        server: PostgresDatabases = request.getfixturevalue("postgres_server")
        firm = SmallFirm(server.create(request.getfixturevalue("postgres_template")))
    month_of_work(firm)
    firm.add_token()
    yield firm
    firm.close()


@pytest.fixture
def connection(firm: SmallFirm) -> Iterator[Connection]:
    """Give a connection on which anything may be written, also what the schema forbids."""
    with firm.database.engine.connect() as connection, connection.begin() as transaction:
        if firm.database.is_sqlite:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DROP INDEX uq_line_item_taken_back"))
        yield connection
        transaction.rollback()


def found(
    firm: SmallFirm, connection: Connection, *, later: int = 20, anchor: Anchor | None = None
) -> list[Violation]:
    return audit(connection, firm.now + timedelta(seconds=later), anchor=anchor)


def line_of(subject: str, state: str) -> str:
    """Return a condition for the line item of a subject that takes nothing back."""
    return (
        f"corrects_id is null and state = '{state}' and "
        f"subject_id = (select id from subject where name = '{subject}')"
    )


LONG_AGO = "'2026-11-02T08:00:00.000000Z'"
NOVEMBER = "(select id from invoice where reference = 'acme-2026-11')"
COLUMNS = ", ".join(f'"{column.name}"' for column in line_item.columns if column.name != "id")
COPIED = COLUMNS.replace('"state"', "'open'").replace('"invoice_id"', "null")

CORRUPTIONS = {
    "a delivery in a state that nobody knows": (
        "update delivery set state = 'lost' where id = 1",
        {"deliveries"},
    ),
    "a delivery that is ignored without a word": (
        "update delivery set reason = ' ' where state = 'ignored'",
        {"deliveries"},
    ),
    "a delivery that nobody has read": (
        f"update delivery set state = 'waiting', next_at = {LONG_AGO} where id = 1",
        {"deliveries"},
    ),
    "a subject whose worker has died": (
        f"update subject set state = 'waiting', next_at = {LONG_AGO}, lease_until = {LONG_AGO} "
        "where name = 'worklog:6'",
        {"deliveries"},
    ),
    "a customer whose drafts nobody assembles": (
        f"update customer set state = 'waiting', next_at = {LONG_AGO} where \"key\" = 'acme'",
        {"deliveries"},
    ),
    "an invoice that nobody asks about": (
        f"update invoice set sync_at = {LONG_AGO}, next_at = {LONG_AGO} "
        "where reference = 'acme-2026-10'",
        {"deliveries"},
    ),
    "an event that its delivery did not tell": (
        "update event set delivery_id = 1 where subject = 'worklog:7'",
        {"deliveries"},
    ),
    "a line with a minute too much": (
        f"update line_item set seconds = seconds + 60 where {line_of('worklog:9', 'open')}",
        {"time"},
    ),
    "held time that is forgotten": (
        "update subject set held_seconds = 0 where state = 'held'",
        {"time"},
    ),
    "excluded time that grew": (
        "update subject set excluded_seconds = 901 where state = 'nothing'",
        {"time"},
    ),
    "a subject that overlooked a newer event": (
        "update event set version = 9 where subject = 'worklog:8' and kind = 'time.logged'",
        {"time"},
    ),
    "a subject that stands at another time than its event": (
        "update subject set seconds = 701, held_seconds = 701 where name = 'worklog:6'",
        {"time"},
    ),
    "a line that stays with a former customer": (
        "update subject set customer = 'beta' where name = 'worklog:9'",
        {"time"},
    ),
    "a billed line that is open again": (
        f"update line_item set state = 'open' where {line_of('worklog:3', 'billed')}",
        {"billed once"},
    ),
    "billed lines on an invoice that may still change": (
        "update invoice set is_frozen = false where reference = 'beta-2026-10'",
        {"billed once"},
    ),
    "a withdrawn line that is on an invoice": (
        f"update line_item set invoice_id = {NOVEMBER} where state = 'withdrawn'",
        {"billed once"},
    ),
    "an open line that is on no draft": (
        f"update line_item set invoice_id = null where {line_of('worklog:9', 'open')}",
        {"billed once", "contents"},
    ),
    "a milestone that is billed twice": (
        f"insert into line_item ({COLUMNS}) select {COPIED} from line_item "
        f"where {line_of('milestone:1', 'billed')}",
        {"billed once"},
    ),
    "time that is billed twice": (
        f"insert into line_item ({COLUMNS}) select {COPIED} from line_item "
        f"where {line_of('worklog:3', 'billed')}",
        {"billed once", "time"},
    ),
    "a line that is taken back twice": (
        "update line_item set corrects_id = (select min(corrects_id) from line_item) "
        "where corrects_id is not null",
        {"billed once"},
    ),
    "a correction of another line than its own": (
        "update line_item set corrects_id = (select id from line_item where "
        f"{line_of('worklog:3', 'billed')}) "
        "where corrects_id = (select max(corrects_id) from line_item)",
        {"billed once"},
    ),
    "a cent too much on a line": (
        f"update line_item set amount = amount + 1 where {line_of('worklog:9', 'open')}",
        {"prices", "contents"},
    ),
    "a line without a rule": (
        f"update line_item set rule = '' where {line_of('worklog:7', 'billed')}",
        {"prices"},
    ),
    "a line by rules that are nowhere": (
        f"update line_item set mapping_version = 'gone' where {line_of('worklog:9', 'open')}",
        {"prices"},
    ),
    "a line that names another subject's event": (
        "update line_item set event_id = (select id from event where subject = 'worklog:3') "
        f"where {line_of('worklog:9', 'open')}",
        {"prices"},
    ),
    "a delivery that is gone from under its line": (
        "delete from delivery where id = "
        "(select delivery_id from event where subject = 'worklog:3')",
        {"prices"},
    ),
    "a total that is not the sum": (
        "update invoice set total = total + 1 where reference = 'acme-2026-11'",
        {"contents"},
    ),
    "a content that somebody has edited": (
        "update invoice set content = replace(content, 'Search', 'Lookup') "
        "where reference = 'acme-2026-11'",
        {"contents"},
    ),
    "a billed line that was changed": (
        f"update line_item set description = 'More' where {line_of('worklog:3', 'billed')}",
        {"contents"},
    ),
    "two currencies on one invoice": (
        f"update line_item set currency = 'USD' where {line_of('worklog:9', 'open')}",
        {"contents"},
    ),
    "another customer's line": (
        f"update line_item set customer = 'beta' where {line_of('worklog:9', 'open')}",
        {"contents", "time"},
    ),
    "a push that was not written down": (
        "delete from intent where operation = 'create:1' and remote_id = 'create-beta-2026-10'",
        {"intents"},
    ),
    "a push of another content than was intended": (
        f"update intent set content_hash = '{'0' * 64}' where operation = 'create:1'",
        {"intents"},
    ),
    "a push that nobody confirmed": (
        "update intent set state = 'refused' where remote_id = 'create-beta-2026-10'",
        {"intents"},
    ),
    "a request in doubt that nobody looks after": (
        f"update intent set state = 'uncertain', changed_at = {LONG_AGO} "
        "where operation = 'customer:1'",
        {"intents"},
    ),
    "two invoices that are one at the billing system": (
        "update invoice set remote_id = 'create-beta-2026-10' where state = 'pushed'",
        {"intents"},
    ),
    "a draft that is at the billing system already": (
        "update invoice set remote_id = 'in_1' where reference = 'acme-2026-11'",
        {"intents"},
    ),
    "a pushed invoice that is a draft again": (
        "update invoice set state = 'draft' where reference = 'acme-2026-10'",
        {"states"},
    ),
    "a draft that was canceled by nobody": (
        "update invoice set state = 'canceled' where reference = 'acme-2026-11'",
        {"states"},
    ),
    "a push without an approval": ("delete from approval where invoice_id = 1", {"states"}),
    "an approval of something else": (
        f"update approval set content_hash = '{'0' * 64}' where invoice_id = 1",
        {"states"},
    ),
    "an invoice of which nothing is logged": (
        "update invoice set reference = 'acme-0', content = replace(content, 'acme-2026-11\"', "
        "'acme-0\"') where reference = 'acme-2026-11'",
        {"states", "contents"},
    ),
    "an invoice whose log was cut off": (
        "delete from audit_entry where entity = 'invoice:acme-2026-11'",
        {"states"},
    ),
    "an approval that is gone from the log": (
        "delete from audit_entry where action = 'invoice.approved' and position = "
        "(select min(position) from audit_entry where action = 'invoice.approved')",
        {"states", "audit log"},
    ),
    "an approval that was logged from another state": (
        'update audit_entry set detail = replace(detail, \'"before":"draft"\', '
        "'\"before\":\"blocked\"') where action = 'invoice.approved'",
        {"states", "audit log"},
    ),
    "an approval of what was blocked": (
        "update audit_entry set detail = replace(detail, '\"draft\"', '\"blocked\"') "
        "where entity = 'invoice:acme-2026-10'",
        {"states", "audit log"},
    ),
    "an audit entry with another name": (
        "update audit_entry set actor = 'eve' where position = 3",
        {"audit log"},
    ),
    "an audit entry that was never sealed": (
        f"update audit_entry set position = null, hash = null, at = {LONG_AGO} "
        "where position = (select max(position) from audit_entry)",
        {"audit log"},
    ),
    "a payment that is gone from the log": (
        "delete from audit_entry where position = "
        "(select min(position) from audit_entry where action = 'invoice.payment')",
        {"audit log"},
    ),
    "a secret in the rules": (
        "update mapping_version set files = replace(files, '${JIRA_SECRET}', 'hunter2hunter2')",
        {"secrets"},
    ),
    "a token that is kept as it is": ("update api_token set token_hash = 'tiger'", {"secrets"}),
}


def test_a_good_ledger_passes(firm: SmallFirm) -> None:
    with firm.database.read() as snapshot:
        assert found(firm, snapshot) == []


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_planted_corruption_is_named_by_its_invariant(
    firm: SmallFirm, connection: Connection, corruption: str
) -> None:
    statement, expected = CORRUPTIONS[corruption]
    assert connection.exec_driver_sql(statement).rowcount > 0
    assert {each.invariant for each in found(firm, connection)} == expected


def test_every_invariant_has_a_corruption_of_its_own() -> None:
    alone = {
        name for _, expected in CORRUPTIONS.values() if len(expected) == 1 for name in expected
    }
    assert alone == {invariant.name for invariant in INVARIANTS}


def test_what_is_billed_twice_is_named_with_its_amount(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(CORRUPTIONS["a milestone that is billed twice"][0])
    (doubled,) = [each for each in found(firm, connection) if each.entity.startswith("subject")]
    assert (doubled.amount_at_risk, doubled.currency) == (900000, "EUR")


def test_a_line_that_is_taken_back_twice_is_named_itself(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(CORRUPTIONS["a line that is taken back twice"][0])
    details = {each.entity: each.detail for each in found(firm, connection)}
    taken_back = connection.exec_driver_sql("select min(corrects_id) from line_item").scalar()
    assert details[f"line_item:{taken_back}"] == "is taken back 2 times"


def test_waiting_a_short_while_is_no_violation(firm: SmallFirm, connection: Connection) -> None:
    connection.exec_driver_sql("update customer set state = 'waiting'")
    assert found(firm, connection, later=29) == []
    assert {each.invariant for each in found(firm, connection, later=31)} == {"deliveries"}


def test_an_entry_that_was_just_written_may_wait_for_its_seal(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(
        "update audit_entry set position = null, hash = null "
        "where position = (select max(position) from audit_entry)"
    )
    assert found(firm, connection, later=20) == []
    assert {each.invariant for each in found(firm, connection, later=61)} == {"audit log"}


def test_a_request_may_be_in_doubt_for_a_quarter_of_an_hour(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql("update intent set state = 'sent' where operation = 'customer:1'")
    assert found(firm, connection) == []
    assert "intents" in {each.invariant for each in found(firm, connection, later=901)}


def test_a_correction_that_was_withdrawn_takes_nothing_back(
    firm: SmallFirm, connection: Connection
) -> None:
    withdrawn = COPIED.replace("'open'", "'withdrawn'")
    connection.exec_driver_sql(
        f"insert into line_item ({COLUMNS}) select {withdrawn} from line_item "
        "where corrects_id is not null"
    )
    assert found(firm, connection) == []


def test_a_request_in_doubt_may_wait_for_its_next_attempt(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(CORRUPTIONS["a request in doubt that nobody looks after"][0])
    connection.exec_driver_sql("update invoice set state = 'approved' where state = 'pushed'")
    assert "intents" not in {each.invariant for each in found(firm, connection)}


def test_a_log_that_was_cut_off_or_rewritten_does_not_hold_its_anchor(
    firm: SmallFirm, connection: Connection
) -> None:
    anchor = Anchor(*auditlog.head(connection))
    assert found(firm, connection, anchor=anchor) == []
    wrong = replace(anchor, hash="0" * 64)
    assert {each.invariant for each in found(firm, connection, anchor=wrong)} == {"audit log"}
    connection.exec_driver_sql(f"delete from audit_entry where position = {anchor.position}")
    assert "audit log" in {each.invariant for each in found(firm, connection, anchor=anchor)}


def price_again(version: str, event: Event) -> list[Price]:
    return [
        Price(line.customer, line.rule, line.quantity, line.unit_price, line.currency, line.amount)
        for line in judge(event).lines
    ]


def test_pricing_again_gives_the_same_lines(firm: SmallFirm) -> None:
    with firm.database.read() as snapshot:
        assert audit(snapshot, firm.now, price_again=price_again) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("set person = 'ben' where subject = 'worklog:9' and version = 2", ("worklog:9", "open")),
        ("set person = 'ana' where subject = 'worklog:3'", ("worklog:3", "billed")),
        ("set project = 'FREE' where subject = 'worklog:3'", ("worklog:3", "billed")),
    ],
)
def test_a_line_that_its_rules_would_price_differently_is_found(
    firm: SmallFirm, connection: Connection, change: str, line: tuple[str, str]
) -> None:
    connection.exec_driver_sql(f"update event {change}")
    wrong = audit(connection, firm.now, price_again=price_again)
    number = connection.exec_driver_sql(f"select id from line_item where {line_of(*line)}").scalar()
    assert [(each.invariant, each.entity) for each in wrong] == [("prices", f"line_item:{number}")]


def test_the_audit_writes_nothing(firm: SmallFirm) -> None:
    def everything() -> list[object]:
        return [firm.rows(table) for table in metadata.sorted_tables]

    before = everything()
    with firm.database.read() as snapshot:
        audit(snapshot, firm.now, price_again=price_again)
    assert everything() == before


@pytest.mark.parametrize(
    "line",
    [
        "secret: ${JIRA_SECRET}",
        "    secret: [${NEW}, ${OLD}]  # while it is being rotated",
        "secret:\n  - ${NEW}\n  - ${OLD}",
        "jira: {tool: jira, token: ${JIRA_TOKEN}, url: https://acme.example}",
        'api_key: "${STRIPE_API_KEY}"',
        "# the secret: is in the environment",
        "title: Keyboard",
    ],
)
def test_a_named_secret_is_fine(line: str) -> None:
    assert literal_secrets(f"format: 1\n{line}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "secret: hunter2hunter2",
        "token: '123'",
        "secret: [${NEW}, hunter2hunter2]",
        "jira: {tool: jira, api_key: abc, url: https://acme.example}",
        "password: ${lower}",
        f"memo: sk_{'live'}_51H8example0000",
    ],
)
def test_a_written_secret_is_found(line: str) -> None:
    assert literal_secrets(f"format: 1\n{line}\n") == [2]
