"""`ledger.sums`: what stands beside the entries keeps to its project, its period and its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from ledger.corrections import KnownLine, LineItem
from ledger.sums import brought_together, change_of_sums, difference, nothing_counts
from mappings.clauses.caps import Cap
from mappings.clauses.portions import Scope
from tests.mappings.small_ledger import AT, entry, total

SEPTEMBER, OCTOBER = date(2026, 9, 30), date(2026, 10, 1)


def surcharge(on: date, project: str = "ACME") -> LineItem:
    return entry(on, "2", "30.00", project=project, kind="sum", pool="week", grouping=("Long",))


def test_what_is_due_in_two_projects_stays_apart() -> None:
    wanted = [surcharge(OCTOBER, "ACME"), surcharge(OCTOBER, "SITE")]
    assert [(line.project, line.amount) for line in difference(wanted, ())] == [
        ("ACME", 6_000),
        ("SITE", 6_000),
    ]


def test_the_sums_of_a_week_stay_in_the_months_of_its_days() -> None:
    due = difference([surcharge(SEPTEMBER), surcharge(OCTOBER)], ())
    assert [(line.period_from.month, line.amount) for line in due] == [(9, 6_000), (10, 6_000)]


def test_a_sum_is_explained_by_the_newest_rules() -> None:
    asked = []

    def sum_up(version: str, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        asked.append((version, len(counted)))
        return ()

    line = replace(surcharge(OCTOBER), kind="counted")
    older = KnownLine(1, True, replace(line, mapping_version="old"))
    newer = KnownLine(2, False, replace(line, mapping_version="new"))
    change_of_sums([older, newer], sum_up)
    change_of_sums([newer, older], sum_up)
    assert asked == [("new", 2), ("new", 2)]


def test_a_later_agreement_sees_what_an_earlier_one_has_taken_off() -> None:
    caps = [
        Cap(f"Up to {at_most}", Scope("EUR"), at_most, "EUR", "contract", "hold", AT)
        for at_most in (100_000, 80_000)
    ]
    known = brought_together(
        [entry(OCTOBER, "15", "100.00")], nothing_counts, [cap.of_version("v1") for cap in caps]
    )
    assert total(each.line for each in known) == 80_000
    assert [each.line.quantity for each in known] == [Decimal(15), Decimal(-5), Decimal(-2)]


def test_an_agreement_counts_what_entries_come_to_together() -> None:
    cap = Cap("Ceiling", Scope("EUR"), 1_000, "EUR", "period", "hold", AT).of_version("v1")
    known = brought_together([surcharge(OCTOBER)], nothing_counts, [cap])
    assert total(each.line for each in known) == 1_000
