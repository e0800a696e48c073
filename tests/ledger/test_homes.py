"""`ledger.homes`: where late work goes, and that corrections are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.homes import HOLD, NEXT_INVOICE, OWN_INVOICE, Home, OpenLine, Period, homes_of, is_held
from tests.ledger.test_printing import entry

OCTOBER = Period("monthly", date(2026, 10, 1), date(2026, 10, 31))
NOVEMBER = Period("monthly", date(2026, 11, 1), date(2026, 11, 30))
BILLED = {("EUR", "monthly", OCTOBER.first): 1}
POLICIES = {"Next": NEXT_INVOICE, "Own": OWN_INVOICE, "Hold": HOLD, "Silent": None}


def line(
    number: int,
    rule: str = "Own",
    *,
    subject: int | None = None,
    placed: Home | None = None,
    **said: object,
) -> OpenLine:
    """Return an open line of October."""
    subject = number if subject is None else subject
    return OpenLine(number, subject, entry(number, "1", rule=rule, **said).line, placed)


def homes(*lines: OpenLine, billed: dict[tuple[str, str, date], int] = BILLED) -> dict[int, Home]:
    return homes_of(lines, billed, POLICIES.get, lambda schedule: NOVEMBER)


TODAY, OWN = Home("EUR", NOVEMBER, 1), Home("EUR", OCTOBER, 2)


@pytest.mark.parametrize(
    ("rule", "home"), [("Next", TODAY), ("Silent", TODAY), ("Own", OWN), ("Hold", OWN)]
)
def test_late_work_goes_where_its_rule_says(rule: str, home: Home) -> None:
    assert homes(line(1, rule)) == {1: home}


@pytest.mark.parametrize("rule", POLICIES)
def test_work_of_an_open_period_is_not_late(rule: str) -> None:
    assert homes(line(1, rule), billed={}) == {1: Home("EUR", OCTOBER, 1)}


def test_each_supplementary_invoice_has_the_next_number() -> None:
    assert homes(line(1), billed={("EUR", "monthly", OCTOBER.first): 3}) == {
        1: Home("EUR", OCTOBER, 4)
    }


def test_what_corrects_a_billed_line_is_no_late_work() -> None:
    back, new = line(1, subject=7, corrects_id=99), line(2, subject=7)
    assert homes(back, new, line(3)) == {1: TODAY, 2: TODAY, 3: OWN}


def test_the_pool_of_a_correction_stays_together() -> None:
    pool = "Own|2026-10-05"
    back = line(1, subject=7, corrects_id=99, kind="counted", pool=pool)
    others = [
        line(2, subject=8, kind="counted", pool=pool),
        replace(line(3, kind="sum", pool=pool), subject_id=None),
        replace(line(4, kind="sum", pool="another"), subject_id=None),
    ]
    assert homes(back, *others) == {1: TODAY, 2: TODAY, 3: TODAY, 4: OWN}


def test_an_agreement_follows_what_it_is_about() -> None:
    agreement = replace(line(1, kind="agreement"), subject_id=None)
    assert homes(agreement, line(2)) == {1: OWN, 2: OWN}
    back = line(2, subject=7, corrects_id=99)
    assert homes(agreement, back) == {1: TODAY, 2: TODAY}


def test_what_waits_on_a_draft_stays_there_unless_the_rules_say_otherwise() -> None:
    december = Home("EUR", Period("monthly", date(2026, 12, 1), date(2026, 12, 31)), 1)
    lines = [line(1, "Next", placed=december), line(2, "Own", placed=december)]
    assert homes(*lines) == {1: december, 2: OWN}
    assert homes(line(1, "Next", placed=replace(december, currency="USD"))) == {1: TODAY}


def test_only_late_work_under_hold_holds_a_supplementary_draft() -> None:
    held = line(1, "Hold").line
    assert is_held(OWN, [held], POLICIES.get)
    assert not is_held(Home("EUR", OCTOBER, 1), [held], POLICIES.get)
    assert not is_held(Home("EUR", NOVEMBER, 2), [held], POLICIES.get)
    assert not is_held(OWN, [line(1, "Own").line], POLICIES.get)
    assert not is_held(OWN, [replace(held, corrects_id=9)], POLICIES.get)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(POLICIES)),
            st.integers(1, 4),
            st.sampled_from([None, 99]),
            st.sampled_from(["", "a", "b"]),
            st.sampled_from(["entry", "agreement"]),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_lines_does_not_matter(
    those: list[tuple[str, int, int | None, str, str]], random: Random
) -> None:
    lines = [
        line(number, rule, subject=subject, corrects_id=corrects, pool=pool, kind=kind)
        for number, (rule, subject, corrects, pool, kind) in enumerate(those, 1)
    ]
    found = homes(*lines)
    assert homes(*random.sample(lines, len(lines))) == found
    assert set(found) == {each.id for each in lines}
    for each in lines:
        if each.line.corrects_id is not None and each.line.kind == "entry":
            assert found[each.id] == TODAY
