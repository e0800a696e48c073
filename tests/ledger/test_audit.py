"""`ledger.audit`: a good ledger passes, and each planted corruption is named by its invariant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, literal, select, text
from sqlalchemy.exc import IntegrityError

from ledger import auditlog
from ledger.audit import INVARIANTS, Anchor, audit, examine
from ledger.audit.prices import Price
from ledger.audit.remote import DEEP
from ledger.audit.secrecy import literal_secrets
from ledger.audit.side_by_side import AuditBrokenOffError, examine_side_by_side
from ledger.audit.violations import Violation
from ledger.corrections import LineItem
from ledger.events import Event
from ledger.tables import event as told
from ledger.tables import metadata
from tests.databases import PostgresDatabases, copy_sqlite
from tests.ledger.corruptions import CORRUPTIONS
from tests.ledger.planting import Corruption, copied, line
from tests.ledger.refused import REFUSED, Refused
from tests.ledger.seed import VERSION, SmallFirm, judge, month_of_work

EARLIER = "'2026-11-02T08:00:00.000000Z'"


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
        yield connection
        transaction.rollback()


def found(
    firm: SmallFirm, connection: Connection, *, later: int = 20, anchor: Anchor | None = None
) -> list[Violation]:
    return audit(connection, firm.now + timedelta(seconds=later), anchor=anchor)


def price_again(version: str, event: Event) -> list[Price]:
    return [
        Price(line.customer, line.rule, line.quantity, line.unit_price, line.currency, line.amount)
        for line in judge(event).lines
    ]


def sum_again(key: str, version: str, lines: Sequence[LineItem]) -> list[LineItem]:
    """Return what a pool of this firm comes to: five more, whatever is in it."""
    quantity, unit_price = Decimal(1), Decimal("5.00")
    return [replace(lines[0], kind="sum", quantity=quantity, unit_price=unit_price, amount=500)]


def everything_wrong(firm: SmallFirm, connection: Connection) -> list[Violation]:
    now = firm.now + timedelta(seconds=20)
    return audit(connection, now, price_again=price_again, sum_again=sum_again)


def test_a_good_ledger_passes(firm: SmallFirm) -> None:
    with firm.database.read() as snapshot:
        assert found(firm, snapshot) == []


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda each: each.name)
def test_a_planted_corruption_is_named_by_its_invariant(
    firm: SmallFirm, connection: Connection, corruption: Corruption
) -> None:
    def entity_now() -> object:
        entity = corruption.entity.format(version=VERSION[:12])
        is_asked = entity.startswith("select")
        return connection.exec_driver_sql(entity).scalar() if is_asked else entity

    entity = entity_now()
    assert connection.exec_driver_sql(corruption.sql).rowcount > 0
    entity = entity or entity_now()
    wrong = everything_wrong(firm, connection)
    assert {each.invariant for each in wrong} == {corruption.invariant, *corruption.also}
    named = {
        (each.entity, each.amount_at_risk, each.currency)
        for each in wrong
        if each.invariant == corruption.invariant
    }
    assert (entity, *(corruption.at_risk or (None, None))) in named


def test_every_invariant_has_a_corruption_that_breaks_it() -> None:
    assert [each.name for each in INVARIANTS] == list(
        dict.fromkeys(each.invariant for each in CORRUPTIONS)
    )


def test_most_corruptions_break_one_invariant_alone() -> None:
    alone = {each.invariant for each in CORRUPTIONS if not each.also}
    # A line too many, or of another kind than its rules say, is wrong in more than one way.
    assert {each.name for each in INVARIANTS} - alone == {"billed once", "one currency", "sums"}


@pytest.mark.parametrize("refused", REFUSED, ids=lambda each: each.name)
def test_the_database_refuses_what_its_constraints_make_impossible(
    firm: SmallFirm, refused: Refused
) -> None:
    with pytest.raises(IntegrityError):
        firm.database.write(lambda connection: connection.exec_driver_sql(refused.sql))


def test_a_fact_that_its_delivery_tells_in_two_ways_counts_once(
    firm: SmallFirm, connection: Connection
) -> None:
    names = [name for name in told.c.keys() if name not in ("id", "digest")]  # noqa: SIM118
    again = select(*(told.c[name] for name in names), literal("another").label("digest"))
    again = again.where(told.c.subject == "worklog:7").limit(1)
    connection.execute(insert(told).from_select([*names, "digest"], again))
    assert found(firm, connection) == []


def test_waiting_a_short_while_is_no_violation(firm: SmallFirm, connection: Connection) -> None:
    connection.exec_driver_sql("update customer set state = 'waiting'")
    assert found(firm, connection, later=29) == []
    assert {each.invariant for each in found(firm, connection, later=31)} == {"resting"}


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
    assert "doubts" in {each.invariant for each in found(firm, connection, later=901)}


def test_a_correction_that_was_withdrawn_takes_nothing_back(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(
        copied("corrects_id is not null", state="'withdrawn'", invoice_id="null")
    )
    assert found(firm, connection) == []


def test_a_request_in_doubt_may_wait_for_its_next_attempt(
    firm: SmallFirm, connection: Connection
) -> None:
    connection.exec_driver_sql(
        f"update intent set state = 'uncertain', changed_at = {EARLIER} "
        "where operation = 'customer:1'"
    )
    connection.exec_driver_sql("update invoice set state = 'approved' where state = 'pushed'")
    assert "doubts" not in {each.invariant for each in found(firm, connection)}


def test_a_log_that_was_cut_off_or_rewritten_does_not_hold_its_anchor(
    firm: SmallFirm, connection: Connection
) -> None:
    anchor = Anchor(*auditlog.head(connection))
    assert found(firm, connection, anchor=anchor) == []
    wrong = replace(anchor, hash="0" * 64)
    assert {each.invariant for each in found(firm, connection, anchor=wrong)} == {"audit log"}
    connection.exec_driver_sql(f"delete from audit_entry where position = {anchor.position}")
    assert "audit log" in {each.invariant for each in found(firm, connection, anchor=anchor)}


def test_pricing_again_gives_the_same_lines(firm: SmallFirm) -> None:
    with firm.database.read() as snapshot:
        assert audit(snapshot, firm.now, price_again=price_again) == []


@pytest.mark.parametrize(
    ("change", "which"),
    [
        ("set person = 'ben' where subject = 'worklog:9' and version = 2", ("worklog:9", "open")),
        ("set person = 'ana' where subject = 'worklog:3'", ("worklog:3", "billed")),
        ("set project = 'FREE' where subject = 'worklog:3'", ("worklog:3", "billed")),
    ],
)
def test_a_line_that_its_rules_would_price_differently_is_found(
    firm: SmallFirm, connection: Connection, change: str, which: tuple[str, str]
) -> None:
    connection.exec_driver_sql(f"update event {change}")
    wrong = audit(connection, firm.now, price_again=price_again)
    number = connection.exec_driver_sql(f"select id from line_item where {line(*which)}").scalar()
    assert [(each.invariant, each.entity) for each in wrong] == [
        ("priced again", f"line_item:{number}")
    ]


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


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the rows of a table in `docs/audit.md`, by its head."""
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text()
    table = page.partition(f"\n{heading}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_page_lists_every_promise_with_its_remedy_and_what_proves_it() -> None:
    head = "| promise | what it means | what to do if it is broken | proven by |"
    assert rows_of(head) == [
        [
            f"`{each.name}`",
            each.sentence,
            each.remedy,
            "; ".join(planted.name for planted in CORRUPTIONS if planted.invariant == each.name),
        ]
        for each in INVARIANTS
    ]
    head = "| promise | what it means | what to do if it is broken |"
    assert rows_of(head) == [[f"`{each.name}`", each.sentence, each.remedy] for each in DEEP]


def test_the_page_lists_what_the_database_refuses() -> None:
    assert rows_of("| what is refused | what it would break |") == [
        [each.name, f"`{each.invariant}`"] for each in REFUSED
    ]


def test_names_of_promises_and_corruptions_are_unique() -> None:
    for names in (
        [each.name for each in (*INVARIANTS, *DEEP)],
        [each.name for each in (*CORRUPTIONS, *REFUSED)],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("corruption", CORRUPTIONS[1::9], ids=lambda each: each.name)
def test_several_processes_find_what_one_finds(database_url: str, corruption: Corruption) -> None:
    firm = SmallFirm(database_url)
    month_of_work(firm)
    firm.add_token()
    firm.database.write(lambda connection: connection.exec_driver_sql(corruption.sql))
    now = firm.now + timedelta(seconds=20)
    with firm.database.read() as snapshot:
        alone = examine(snapshot, now, price_again=price_again, sum_again=sum_again)
    ways = {"price_again": price_again, "sum_again": sum_again}
    together, head = examine_side_by_side(firm.database, now, 2, auditlog.head, **ways)
    firm.close()
    assert (together.violations, together.figures) == (alone.violations, alone.figures)
    assert corruption.invariant in {each.invariant for each in together.violations}
    assert head[0] > 0


def test_a_process_that_breaks_off_is_told(sqlite_url: str) -> None:
    firm = SmallFirm(sqlite_url)
    month_of_work(firm)

    def broken(version: str, event: Event) -> list[Price]:
        raise ZeroDivisionError

    with pytest.raises(AuditBrokenOffError, match="ZeroDivisionError"):
        examine_side_by_side(firm.database, firm.now, 2, auditlog.head, price_again=broken)
    firm.close()
