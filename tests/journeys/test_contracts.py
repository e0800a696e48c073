"""A rich contract over the whole house: whatever comes in whatever order, the sums are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import clock
from console.commands.audit import _price_again as price_again
from ledger import auditlog, tables
from ledger.approvals import ApprovalError
from ledger.audit import audit
from ledger.money import line_amount
from mappings.judging import sum_up
from tests.databases import copy_sqlite
from tests.journeys.office import PATH_TOKEN, Office

WORKSPACE: Final = """\
format: 1
name: Studio
time_zone: Europe/Berlin
sources: {scripts: {tool: generic, unsigned: yes, path_token: "${PATH_TOKEN}"}}
connectors: {files: {system: file, folder: FOLDER}}
people: [{person: Ana, role: senior}, {person: Ben, role: junior}, {person: Cai}]
"""
COMMON: Final = """\
format: 1
shared: common
send_to: files
terms: net 30
rates:
  - {from: 2026-01-01, hourly: 95.00}
  - {role: senior, from: 2026-01-01, hourly: 120.00, daily: 960.00}
  - {role: senior, from: 2026-10-16, hourly: 126.00}
  - {role: junior, from: 2026-01-01, hourly: 77.77, daily: 610.00}
  - {activity: Travel, from: 2026-01-01, hourly: 60.01}
  - {labels: audit, from: 2026-01-01, hourly: 150.00}
"""
NORD: Final = """\
format: 1
customer: nord
name: Nord
extends: common
billing_email: ap@nord.example
currency: EUR
invoice: monthly
takes: {project: [NORD, NORD-D, NORD-B]}
timesheet: yes
late: next invoice
taxes:
  - {tax: DE19, rate: 19 %, name: VAT}
  - {tax: DE7, rate: 7 %, name: VAT}
tax: DE19
factors:
  - {factor: Weekend, when: {weekday: [saturday, sunday]}, times: 1.5}
exchange_rates:
  - {from: USD, to: EUR, rate: 0.9215, since: 2026-09-01, source: ECB}
overtime:
  - {overtime: Long day, after: 8 hours per person and day, times: 1.25, rules: [Building]}
  - {overtime: Long week, after: 20 hours per person and week, times: 1.5, rules: [Building]}
caps:
  - {cap: Ceiling, rules: [Hours], at_most: 900.00, per: period, over_the_cap: show}
discounts:
  - {discount: Volume, rules: [Hours, Care], over: 500.00, percent: 5 %, per: period,
        on: what is over}
  - {discount: Loyalty, percent: 2.5 %}
minimum_fee: {at_least: 300.00}
rules:
  - rule: Calls
    when: {event: time.logged, labels: call}
    bill: nothing
  - rule: Dollars
    when: {event: expense.logged, title: Dollars}
    currency: USD
    bill: {description: "{title} {date}", quantity: 1, unit_price: cost}
  - rule: Costs
    when: {event: expense.logged}
    bill: {description: "{title} {date}", quantity: 1, unit_price: cost, markup: 10 %, tax: DE7}
  - rule: Requests
    when: {event: usage.recorded, project: NORD}
    bill: {description: "Requests {month}", quantity: units,
          unit_price: {graduated: [{up_to: 10, price: 0.00, text: included}, {up_to: 50,
          price: 0.125}, {price: 0.0333, flat: 10.00}]}}
  - rule: Volume
    when: {event: usage.recorded}
    bill: {description: "Volume {month}", quantity: units, unit_price: {volume: [{up_to: 20,
          price: 0.333}, {price: 0.25}]}}
  - rule: Shared
    when: {event: time.logged, labels: shared}
    bill: {description: "Portal {item}", quantity: hours, unit_price: 110.01, minimum: 20.00}
    split: {nord: 33.3 %, west: 66.7 %}
  - rule: Care
    when: {event: time.logged, labels: care}
    bill: {description: "Care {person}", quantity: hours,
          round: "up to 15 minutes per person and day", unit_price: rate, one_line_per: person}
  - rule: Days
    when: {event: time.logged, project: NORD-D}
    bill: {description: "Days {person}", quantity: days, hours_in_a_day: 8,
          count_days: half and full days, a_half_day_from: 2 hours, unit_price: rate,
          one_line_per: person}
  - rule: Building
    when: {event: time.logged, project: NORD-B}
    bill: {description: "Building {item}", quantity: hours, unit_price: rate, one_line_per: item}
  - rule: Hours
    when: {event: time.logged}
    bill: {description: "{role} {item}", quantity: hours, round: up to 15 minutes per entry,
          unit_price: rate, discount: 5 %, one_line_per: [item, role]}
"""
WEST: Final = """\
format: 1
customer: west
name: West
extends: common
billing_email: ap@west.example
currency: EUR
invoice: weekly
takes: {project: [WEST]}
late: own invoice
taxes:
  - {tax: DE19, rate: 19 %, name: VAT}
tax: DE19
caps:
  - {cap: All, rules: [Work], at_most: 1500.00, per: contract, over_the_cap: hold}
prepaid:
  - {prepaid: Hours, rules: [Support], hours: 5, every: month, from: 2026-09-28,
        rolls_over: 1 month}
  - {prepaid: Retainer, rules: [Advice], amount: 400.00, from: 2026-10-01, until: 2026-11-15}
discounts:
  - {discount: Big, rules: [Advice], over: 300.00, percent: 3 %, per: month, on: everything}
rules:
  - rule: Support
    when: {event: time.logged, labels: care}
    bill: {description: "Support", quantity: hours, unit_price: rate, one_line_per: rule}
  - rule: Advice
    when: {event: time.logged, labels: [audit, shared]}
    bill: {description: "Advice {item}", quantity: hours, unit_price: 133.33}
  - rule: Work
    when: {event: time.logged}
    bill: {description: "Work {item}", quantity: hours,
          round: to the nearest 6 minutes per line, unit_price: rate, one_line_per: item}
  - rule: Costs
    when: {event: expense.logged}
    bill: {description: "{title}", quantity: 1, unit_price: 12.34}
  - rule: Use
    when: {event: usage.recorded}
    bill: {description: Packs, quantity: units, unit_price: {package: {size: 7, price: 5.00}}}
    invoice: monthly
"""
ISLE: Final = """\
format: 1
customer: isle
name: Isle
extends: common
billing_email: ap@isle.example
currency: USD
invoice: quarterly
takes: {project: [ISLE]}
late: hold
fees:
  - {fee: Plan, description: "Plan {month}", every: month, from: 2026-09-15,
        unit_price: 500.00, due: in advance, invoice: at once}
  - fee: Seats
    description: "Seats {from} to {to}"
    every: month
    from: 2026-09-01
    seats: [{from: 2026-09-01, seats: 5}, {from: 2026-10-12, seats: 8}]
    unit_price: 9.99
    due: in arrears
caps:
  - {cap: Month, rules: [Work], at_most: 400.00, per: period, over_the_cap: carry over}
rates:
  - {from: 2026-01-01, hourly: 101.00, currency: USD}
rules:
  - rule: Relaunch
    when: {event: milestone.completed}
    bill: {description: "Relaunch {title}", contract_sum: 10000.01,
          shares: {"Phase 1": 33.33 %, "Phase 2": 33.33 %}, rest: Acceptance}
    invoice: at once
  - rule: Work
    when: {event: time.logged}
    bill: {description: "Work {item}", quantity: hours, round: up to 6 minutes per entry,
          unit_price: rate, one_line_per: item}
    invoice: weekly
  - rule: Use
    when: {event: usage.recorded}
    bill: {description: Use, quantity: units, unit_price: 0.0123}
  - rule: Costs
    when: {event: expense.logged}
    bill: {description: "{title}", quantity: 2, unit_price: 10.00}
"""
CAPS: Final = {("nord", "Hours"): 90_000, ("west", "Work"): 150_000, ("isle", "Work"): 40_000}
"""What the lines of a rule come to at most: by period, but for west by contract. Minor units."""
Fact = Mapping[str, Any]


@contextmanager
def firm(folder: Path, url: str) -> Iterator[Office]:
    """Give a firm with three customers, on the evening of 22 November 2026."""
    with mock.patch("line.RULES_SECONDS", -1.0):
        office = Office(folder, url)
        office.rules = {
            "workspace.yaml": WORKSPACE.replace("FOLDER", str(folder / "out")),
            "common.yaml": COMMON,
            "nord.yaml": NORD,
            "west.yaml": WEST,
            "isle.yaml": ISLE,
        }
        office.activate()
        yield office
        office.line.database.close()


def tell(office: Office, subject: str, version: int, fact: Fact) -> None:
    """Post what a script knows of a subject by now."""
    changed = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(seconds=version)
    body = {"subject": subject, "changed_at": changed.isoformat(), **fact}
    assert office.post(body, f"scripts/{PATH_TOKEN}") == 202


def settle(office: Office) -> None:
    """Let the clock look and the worker work."""
    clock.tick(office.line, 1)
    office.settle()


def worked(project: str, seconds: int, day: int = 5, **said: Any) -> Fact:
    """Return a time entry of October 2026, Ana's if nobody else is said."""
    on = date(2026, 10, 1) + timedelta(day - 1)
    entry = {"kind": "time.logged", "on": on.isoformat(), "project": project, "seconds": seconds}
    return {**entry, "person": "Ana", "item": "A-1", "title": "Login", **said}


def used(project: str, quantity: str, day: int = 5) -> Fact:
    on = (date(2026, 10, 1) + timedelta(day - 1)).isoformat()
    fields = {"quantity": quantity}
    return {"kind": "usage.recorded", "on": on, "project": project, "fields": fields}


def spent(project: str, amount: str, currency: str, day: int = 5, title: str = "Train") -> Fact:
    on = (date(2026, 10, 1) + timedelta(day - 1)).isoformat()
    fields = {"amount": amount, "currency": currency}
    expense = {"kind": "expense.logged", "on": on, "project": project, "title": title}
    return {**expense, "fields": fields}


def reached(title: str, day: int = 5) -> Fact:
    on = (date(2026, 10, 1) + timedelta(day - 1)).isoformat()
    return {"kind": "milestone.completed", "on": on, "project": "ISLE", "title": title}


def undone(fact: Fact) -> Fact:
    """Return what a tool says when a fact is gone."""
    if fact["kind"] == "time.logged":
        return {"kind": "time.removed", "on": fact["on"], "project": fact["project"]}
    if fact["kind"] == "milestone.completed":
        return {**fact, "kind": "milestone.reopened"}
    return {**fact, "fields": {**fact["fields"], **dict.fromkeys(("quantity", "amount"), "0")}}


def is_sound(office: Office) -> bool:
    """Return whether every promise of the ledger is kept, and every printed cent is right."""
    while office.line.database.write(auditlog.seal):
        pass
    with office.line.database.read() as connection:
        found = audit(
            connection,
            office.clock.now(),
            price_again=price_again(office.line),
            sum_again=lambda key, version, lines: sum_up(office.line.book_of(version), key, lines),
        )
    assert found == []
    for row in office.rows(tables.invoice):
        for line in row["content"]["lines"]:
            quantity, price = Decimal(line["quantity"]), Decimal(line["unit_price"])
            assert line_amount(quantity, price, row["currency"]).minor == line["amount"], line
    check_caps(office)
    return True


def check_caps(office: Office) -> None:
    """Check that no cap is passed, and nothing is drawn below nothing."""
    due: dict[tuple[object, ...], int] = {}
    for row in office.rows(tables.line_item):
        key = (row["customer"], row["rule"])
        if row["state"] != "withdrawn" and key in CAPS:
            of = None if row["customer"] == "west" else row["period_from"]
            due[(key, of)] = due.get((key, of), 0) + row["amount"]
    assert all(0 <= amount <= CAPS[key] for (key, _), amount in due.items()), due  # type: ignore[index]


def billed_and_open(office: Office) -> dict[tuple[str, str], int]:
    """Return what all lines of a customer come to, net, by currency."""
    due: dict[tuple[str, str], int] = {}
    for row in office.rows(tables.line_item):
        if row["state"] != "withdrawn":
            key = (row["customer"], row["currency"])
            due[key] = due.get(key, 0) + row["amount"]
    return {key: amount for key, amount in due.items() if amount}


def drafts(office: Office) -> dict[str, tuple[str, Any]]:
    """Return state and content of each invoice that was not canceled."""
    return {
        row["reference"]: (row["state"], row["content"])
        for row in office.rows(tables.invoice)
        if row["state"] != "canceled"
    }


MONTH: Final = {
    "entry:1": worked("NORD", 36000),
    "entry:2": worked("NORD", 1000, 6, labels=["care"]),
    "entry:3": worked("NORD", 300, 6, labels=["care"]),
    "cost:1": spent("NORD", "84.20", "USD"),
    "use:1": used("NORD", "60"),
    "entry:4": worked("WEST", 21600, labels=["care"]),
    "entry:5": worked("ISLE", 18000),
    "mile:1": reached("Phase 1"),
}


def test_a_month_to_the_cent(tmp_path: Path, database_url: str) -> None:
    with firm(tmp_path, database_url) as office:
        for subject, fact in MONTH.items():
            tell(office, subject, 1, fact)
        office.settle()
        # 10 h x 114.00 up to 900.00, half an hour of care at 120.00, 15.33 of requests, less 5 %
        # of 460.00 and 2.5 % of 952.33; 84.20 USD x 0.9215 and 10 %, less 2.5 %; 19 % and 7 %.
        assert {text: (q, amount) for text, q, amount in office.printed("nord-2026-10")} == {
            "senior A-1": ("7.8947", 90000),
            "senior A-1, over the cap of 900.00 EUR": ("2.1053", 0),
            "Care Ana": ("0.50", 6000),
            "Train 2026-10-05": ("1.00", 8535),
            "Requests October 2026, included": ("10.00", 0),
            "Requests October 2026, 10 to 50": ("40.00", 500),
            "Requests October 2026, over 50": ("10.00", 33),
            "Requests October 2026, over 50, flat fee": ("1.00", 1000),
            "Volume, 5 % of what is over 500.00 EUR": ("-460.00", -2300),
            "Loyalty, 2.5 %": office_loyalty(office),
        }
        assert office.invoice("nord-2026-10")["net"] == 92852 + 8322
        assert office.invoices()["nord-2026-10"] == ("draft", 92852 + 17642 + 8322 + 583)
        # 6 h at 120.00, of which 5 are prepaid.
        assert office.invoices()["west-2026-W41"] == ("draft", 12000 + 2280)
        # 5 h at 120.00 with 400.00 at most in a week, and a third of 10,000.01.
        assert [office.invoice(f"isle-2026-W{week}")["total"] for week in (41, 42)] == [
            40000,
            20000,
        ]
        assert office.invoices()["isle-2026-10-05"] == ("draft", 333300)
        assert is_sound(office)


def office_loyalty(office: Office) -> tuple[str, int]:
    """Return the last of the two lines of a discount that have one text: one for each tax."""
    lines = [line for line in office.printed("nord-2026-10") if line[0].startswith("Loyalty")]
    assert sorted(amount for _, _, amount in lines) == [-2381, -213]
    return lines[-1][1:]


DAYS: Final = st.sampled_from([-2, 0, 1, 2, 5, 6, 7, 8, 16, 17, 19, 34, 35, 46])
PROJECTS: Final = st.sampled_from(["NORD", "NORD-D", "NORD-B", "WEST", "ISLE"])
ENTRIES: Final = st.builds(
    worked,
    PROJECTS,
    st.sampled_from([0, 1, 600, 1000, 3600, 5400, 20001, 36000]),
    DAYS,
    person=st.sampled_from(["Ana", "Ben", "Cai"]),
    item=st.sampled_from(["A-1", "A-2"]),
    labels=st.sampled_from([[], [], ["care"], ["audit"], ["shared"], ["call"]]),
    fields=st.sampled_from([{}, {"activity": "Travel"}]),
)
FACTS: Final[Mapping[str, st.SearchStrategy[Fact]]] = {
    "entry": ENTRIES,
    "use": st.builds(used, PROJECTS, st.sampled_from(["0", "3", "7.5", "30", "100"]), DAYS),
    "cost": st.builds(
        spent,
        PROJECTS,
        st.sampled_from(["0", "12.34", "500"]),
        st.sampled_from(["EUR", "USD"]),
        DAYS,
        st.sampled_from(["Train", "Dollars"]),
    ),
    "mile": st.builds(reached, st.sampled_from(["Phase 1", "Phase 2", "Acceptance"]), DAYS),
}
SUBJECTS: Final = [*(f"entry:{n}" for n in range(6)), "use:1", "use:2", "cost:1", "mile:1"]
STEPS: Final = st.lists(
    st.one_of(
        st.sampled_from(SUBJECTS).flatmap(
            lambda subject: st.tuples(st.just(subject), FACTS[subject.split(":")[0]])
        ),
        st.tuples(st.just("gone"), st.integers(0, 9)),
        st.tuples(st.just("again"), st.integers(0, 99)),
        st.tuples(st.just("bill"), st.integers(0, 99)),
        st.tuples(st.just("wait"), st.sampled_from([1, 3, 10, 31])),
    ),
    min_size=6,
    max_size=24,
)


@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate, Phase.shrink])
@given(steps=STEPS, data=st.data())
def test_any_journey_comes_to_what_one_assembly_of_its_facts_gives(
    sqlite_template: Path, steps: list[tuple[str, Any]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with firm(folder, copy_sqlite(sqlite_template, folder / "journey")) as office:
            office.clock.moment = datetime(2026, 10, 20, 9, tzinfo=UTC)
            settle(office)
            present = walk(office, steps)
            settle(office)
            assert is_sound(office)
            came_to, moment = billed_and_open(office), office.clock.moment
        seen: list[dict[str, tuple[str, Any]]] = []
        for order in (sorted(present), data.draw(st.permutations(sorted(present)))):
            url = copy_sqlite(sqlite_template, folder / f"{len(seen)}")
            with firm(folder, url) as office:
                office.clock.moment = moment
                for version, subject in enumerate(order):
                    tell(office, subject, version, present[subject])
                settle(office)
                seen.append(drafts(office))
                assert is_sound(office)
                assert billed_and_open(office) == came_to
        assert seen[0] == seen[1]


def walk(office: Office, steps: list[tuple[str, Any]]) -> dict[str, Fact]:
    """Tell, undo, repeat, bill and wait; return what is true in the end."""
    present: dict[str, Fact] = {}
    told: list[tuple[str, int, Fact]] = []
    for version, (what, which) in enumerate(steps):
        if what == "bill":
            open_ = [
                row["reference"] for row in office.rows(tables.invoice) if row["state"] == "draft"
            ]
            # What somebody else has to approve, or what is not over yet, is refused.
            with suppress(ApprovalError):
                if open_:
                    office.approve(open_[which % len(open_)])
            # Half of them are on their way when the next fact comes.
            if which % 2:
                office.settle()
            continue
        if what == "wait":
            office.clock.go_on(which * 86_400)
            settle(office)
            continue
        if what == "again" and told:
            tell(office, *told[which % len(told)])
        elif what == "gone" and present:
            subject = sorted(present)[which % len(present)]
            fact = undone(present.pop(subject))
            if "fields" in fact:
                present[subject] = fact
            told.append((subject, version, fact))
            tell(office, *told[-1])
        elif what not in ("again", "gone"):
            present[what] = which
            told.append((what, version, which))
            tell(office, *told[-1])
        office.settle()
    return present
