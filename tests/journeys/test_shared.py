"""One fact, several payers: their lines add up to it, whatever is changed, removed or billed."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Connection

from console.commands.audit import _price_again as price_again
from ledger import replay, tables
from ledger.audit import audit
from ledger.audit.balances import find as find_time
from ledger.audit.billing import find as find_billed
from ledger.certificate import certify
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone, total

ACME, BETA = "acme-2026-10", "beta-2026-10"
ACME_NOW, BETA_NOW = "acme-2026-11", "beta-2026-11"


@pytest.fixture
def shared(office: Office) -> Office:
    """Give an office in which beta pays 40 % of acme's engineering."""
    office.change("acme.yaml", "when_no_rule", "    split: {acme: 60 %, beta: 40 %}\nwhen_no_rule")
    office.activate()
    office.tell(issue(7))
    return office


def is_sound(office: Office) -> bool:
    """Return whether every promise of the ledger is kept."""
    with office.line.database.read() as connection:
        found = audit(connection, office.clock.now(), price_again=price_again(office.line))
        assert found == []
    return True


def remap(office: Office, key: str) -> int:
    """Have a customer's facts priced again."""
    count = office.line.database.write(
        lambda connection: replay.remap_customer(
            connection, key, actor="mia", now=office.clock.now()
        )
    )
    office.settle()
    return count


def seconds(office: Office) -> dict[str, int]:
    """Return the time that stands with each payer."""
    found: dict[str, int] = {}
    for row in office.rows(tables.line_item):
        if row["state"] != "withdrawn":
            found[row["customer"]] = found.get(row["customer"], 0) + row["seconds"]
    return found


def test_each_payer_has_its_share_on_its_own_draft(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3000))
    assert shared.printed(ACME) == [("senior engineering, ACME-7 Login (60 %)", "0.60", 7200)]
    assert shared.printed(BETA) == [("senior engineering, ACME-7 Login (40 %)", "0.40", 4800)]
    assert seconds(shared) == {"acme": 1800, "beta": 1200}
    assert is_sound(shared)
    shared.bill(ACME)
    with shared.line.database.read() as connection:
        october = (date(2026, 10, 1), date(2026, 10, 31))
        certificate = certify(connection, "jira", *october, events=())
    parts = {part.name: part.seconds for part in certificate.parts if part.seconds}
    assert parts == {"billed": 1800, "drafted": 1200}


def test_an_edit_and_a_removal_after_one_payer_was_billed(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3600))
    shared.bill(ACME)
    shared.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    assert shared.invoices() == {
        ACME: ("pushed", 7200),
        ACME_NOW: ("draft", 7200),
        BETA: ("draft", 9600),
    }
    assert seconds(shared) == {"acme": 4320, "beta": 2880}
    assert is_sound(shared)
    shared.bill(BETA)
    shared.tell(worklog(1, seconds=7200, version=3, kind="worklog_deleted"))
    assert shared.invoices()[BETA_NOW] == ("blocked", -9600)
    assert seconds(shared) == {"acme": 0, "beta": 0}
    assert is_sound(shared)


def test_another_split_leaves_what_is_billed_and_divides_what_comes(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3600), worklog(2, seconds=3600))
    shared.bill(ACME)
    shared.change("acme.yaml", "{acme: 60 %, beta: 40 %}", "{acme: 50 %, beta: 50 %}")
    shared.activate()
    # Once one payer was billed, the fact keeps its price for the other too.
    assert remap(shared, "acme") == 0
    assert shared.invoices() == {ACME: ("pushed", 14400), BETA: ("draft", 9600)}
    shared.tell(worklog(2, seconds=7200, version=2, kind="worklog_updated"))
    assert seconds(shared) == {"acme": 2160 + 3600, "beta": 1440 + 3600}
    assert shared.invoices()[BETA] == ("draft", 4800 + 12000)
    assert is_sound(shared)
    # And without any split, what the other payer was billed is taken back once the fact changes.
    shared.bill(BETA)
    shared.change("acme.yaml", "    split: {acme: 50 %, beta: 50 %}\n", "")
    shared.activate()
    shared.tell(worklog(2, seconds=3600, version=3, kind="worklog_updated"))
    assert seconds(shared) == {"acme": 2160 + 3600, "beta": 1440}
    assert is_sound(shared)


def test_a_payer_can_be_asked_for_anew_before_billing(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3600))
    shared.change("beta.yaml", "invoice: monthly", "invoice: weekly")
    shared.activate()
    assert remap(shared, "beta") == 1
    assert set(shared.invoices()) == {ACME, "beta-2026-W40"}
    assert is_sound(shared)


def test_a_shared_total_is_billed_by_its_change(shared: Office) -> None:
    shared.tell(total(3601, version=1))
    shared.bill(ACME)
    shared.tell(total(10800, version=2))
    assert sum(seconds(shared).values()) == 10800
    shared.bill(BETA)
    shared.tell(total(9001, version=3))
    assert sum(seconds(shared).values()) == 9001
    assert is_sound(shared)
    shared.tell(total(0, version=4))
    assert sum(seconds(shared).values()) == 0
    assert is_sound(shared)


def test_the_audit_sees_what_is_left_with_somebody_who_is_no_payer(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3600))
    with shared.line.database.read() as connection:
        assert list(find_time(connection, shared.clock.now())) == []

    def spoil(connection: Connection) -> None:
        connection.execute(tables.subject.update().values(payers="acme,gamma"))

    shared.line.database.write(spoil)
    with shared.line.database.read() as connection:
        (found,) = find_time(connection, shared.clock.now())
    assert "left with customer beta" in found.detail


def test_the_audit_sees_a_payer_without_a_line(shared: Office) -> None:
    shared.tell(worklog(1, seconds=3600))

    def spoil(connection: Connection) -> None:
        connection.execute(tables.subject.update().values(payers="acme,beta,gamma"))

    shared.line.database.write(spoil)
    with shared.line.database.read() as connection:
        found = [each.detail for each in find_billed(connection, shared.clock.now())]
    assert found == ["stands on 2 lines"]


def test_a_milestone_bills_its_share_and_takes_it_back_when_it_is_reopened(
    office: Office,
) -> None:
    bill = 'bill: {description: "{title}", quantity: 1, unit_price: 4500.00}'
    office.change(
        "acme.yaml",
        bill,
        'bill: {description: "{title}", contract_sum: 1000.01, '
        'shares: {"Phase 3": 33 %, "Phase 4": 67 %}}',
    )
    office.activate()
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z"), endpoint="github")
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z", number=4), endpoint="github")
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z", number=5), endpoint="github")
    assert office.invoices() == {"acme-2026-10-05": ("draft", 100001)}
    assert ["Phase 5" in reason for reason in office.held().values()] == [True]
    office.tell(milestone("opened", at="2026-10-06T08:00:00Z", number=4), endpoint="github")
    assert office.invoices() == {"acme-2026-10-05": ("draft", 33000)}
    assert is_sound(office)
