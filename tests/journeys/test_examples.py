"""The example contracts on the month that the demo plays: a plan, the money, and what comes of it.

The demo's agreements are active first. The examples divide the same events among other customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from sqlalchemy import select

import clock
import planning
import worker
from connectors.github.stand_in import GitHubStandIn
from connectors.jira.stand_in import JiraStandIn
from connectors.stripe.stand_in import StripeStandIn
from console.commands import COMMANDS
from console.commands.audit import _price_again as price_again
from demo.folder import Folder
from demo.world import World, world
from ledger import changes, tables, versions
from ledger.audit import audit
from ledger.database import Database
from ledger.money import Money
from line import Line
from mappings.book import Book
from planning import activation, rehearse
from settings import Settings
from tests.databases import copy_sqlite
from tests.journeys.house import TestClock
from tests.journeys.test_demo import SECRETS, TODAY, Played, Town
from tests.journeys.test_plan import price, written

EXAMPLES: Final = Path("mappings/rules/examples")
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Month:
    """A month that was played: the SQLite file that it is in, its rules, and what was played."""

    path: Path
    rules: Path
    world: World


def line_on(url: str, rules: Path, at: TestClock | None = None) -> Line:
    """Return the line of a Billhook on a database, with the demo's tools around it."""
    environ = {
        "DATABASE_URL": url,
        "BILLHOOK_RULES": str(rules),
        "BILLHOOK_SECRET_KEY": "k" * 40,
        **SECRETS,
    }
    town = Town(JiraStandIn(), GitHubStandIn(), StripeStandIn(api_key=SECRETS["STRIPE_API_KEY"]))
    settings = Settings.from_env(environ)
    return Line(settings, environ=environ, http=town, database=Database(url), clock=at)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Month:
    """Give the month of the demo, played once; its rules send nothing by themselves."""
    place, played_world = tmp_path_factory.mktemp("examples"), world(TODAY)
    with Folder(place / "demo") as folder:
        folder.copy_rules(played_world.first)
    # What is sent is billed, and no rules change it any more: here all stays a draft.
    sakura = folder.rules / "sakura.yaml"
    sakura.write_text(sakura.read_text().replace("approval: automatic", "approval: by hand"))
    path = place / "month.sqlite3"
    line = line_on(copy_sqlite(sqlite_template, path), folder.rules)
    book = Book.read_folder(folder.rules)
    line.database.write(
        lambda connection: versions.activate(
            connection, book.version, book.files, by="test", now=line.clock.now()
        )
    )
    Played(line, played_world).post(list(played_world.postings))
    line.database.close()
    return Month(path, folder.rules, played_world)


@pytest.fixture
def line(month: Month, tmp_path: Path) -> Iterator[Line]:
    """Give a Billhook of its own to which the month was told, under the rules of the demo."""
    later = TestClock()
    # It stands still, a little after the month was told by the real one.
    later.moment = datetime.now(UTC) + timedelta(hours=1)
    made = line_on(copy_sqlite(month.path, tmp_path / "copy.sqlite3"), month.rules, later)
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def book() -> Book:
    return Book.read_folder(EXAMPLES)


def test_every_example_has_an_invoice_in_the_plan(line: Line, month: Month, book: Book) -> None:
    assert line.missing(book) == []
    act = activation(line, book, since=month.world.first, by="mia")
    with rehearse(line, act) as rehearsal, rehearsal.look() as connection:
        drafts = {
            draft.reference: (draft.state_after, Money(draft.after, draft.currency))
            for draft in changes.drafts(connection)
            if draft.reference and draft.state_after != "canceled"
        }
        canceled = [
            draft.reference
            for draft in changes.drafts(connection)
            if draft.state_after == "canceled"
        ]
        assert rehearsal.failed == []
    assert {reference.rpartition("-2026")[0] for reference in drafts} == set(book.customers)
    assert {state for state, _ in drafts.values()} == {"draft"}
    assert canceled == [
        *("brightwater-2026-10", "halden-2026-10", "sakura-2026-10", "sakura-2026-10-27"),
    ]
    shop, phase = hours_on_the_shop(month.world), Decimal(38500) * 40 / 100
    for reference, expected in {
        "outfitters-2026-10": shop + cents(shop * 19 / 100),
        "teehaus-2026-10-27": phase,
        "guide-hosting-2026-10": Decimal(60) * 119 / 100,
        "brightwater-guide-2026-Q4": Decimal("178.50") * 2 * 90 / 100,
    }.items():
        assert drafts[reference][1].decimal() == expected, reference


def hours_on_the_shop(played: World) -> Decimal:
    """Return what the hours on the shop cost: each entry by its own day, by plain arithmetic."""
    hourly = {"lead": 135, "senior": 120, "designer": 98, "junior": 80}
    total = Decimal(0)
    for entry in played.entries:
        if entry.is_billed and entry.issue.project == "HAL":
            quarters = -(-entry.seconds // 900)
            rate = Decimal(hourly[entry.person.role])
            if entry.person.role == "senior" and entry.on >= date(2026, 10, 16):
                rate = Decimal("126.50")
            total += cents(rate * quarters / 4)
    return total


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def test_activating_the_examples_gives_what_was_planned(
    line: Line, month: Month, book: Book
) -> None:
    since = month.world.first
    before = written(line.database)
    with rehearse(line, activation(line, book, since=since, by="mia")) as rehearsal:
        planned = written(rehearsal.scratch)
    assert written(line.database) == before
    now = line.clock.now()
    line.database.write(
        lambda connection: planning.activate(
            connection, book, line.askable(book), since=since, by="mia", now=now
        )
    )
    price(line)
    assert written(line.database) == planned
    clock.tick(line, 1)
    worker.work_off(line)
    with line.database.read() as connection:
        assert audit(connection, line.clock.now(), price_again=price_again(line)) == []
        rows = connection.execute(select(tables.invoice.c.reference, tables.invoice.c.total))
        totals = dict(rows.all())
    # What is due without any work, from the day on which it was agreed.
    assert totals["bergblick-2026-01-15"] == 159032
    assert totals["bergblick-2026-02-01"] == 290000
    assert totals["brightwater-guide-2026-Q1"] == 58500 + 3 * 11900
    assert totals["brightwater-guide-2026-01-01"] == 9800


def test_the_command_prints_the_plan_of_the_folder(line: Line, month: Month) -> None:
    app = Flask("billhook", static_folder=None, template_folder=None)
    app.extensions["billhook"] = line
    for command in COMMANDS:
        app.cli.add_command(command)
    words = ["rules", "plan", str(EXAMPLES), "--since", f"{month.world.first}"]
    planned = app.test_cli_runner().invoke(args=words)
    assert planned.exit_code == 0, planned.output
    assert "  teehaus-2026-10-27, new draft: 0.00 -> 15400.00 EUR (+15400.00)\n" in planned.output
    assert "  halden-2026-10, draft -> canceled: 14540.77 -> 0.00 EUR" in planned.output
    assert "In all, outfitters: 0.00 -> 17303.52 EUR (+17303.52)\n" in planned.output
