"""`torture/model.py`: the ledger against a small model of it, in a budget of some seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from torture.model import machine_of, play_freely
from torture.model_checks import Broken
from torture.model_explorer import Coverage, Failure, Move, explore, replay, shortened, written
from torture.model_firm import Firm
from torture.model_truth import Entry, Issue, Truth
from torture.model_world import World

A_DAY: list[Move] = [
    ("log", (0, 0, 0), True),
    ("approve", (0,), True),
    ("more time", (0,), True),
    ("remove", (0,), False),
    ("restore", (0,), True),
]


@pytest.fixture(scope="module")
def firm() -> Iterator[Firm]:
    """Give a firm for all runs of this file; each begins with an empty ledger."""
    firm = Firm()
    yield firm
    firm.close()


@pytest.mark.parametrize("seed", range(1, 7))
def test_whatever_happens_the_ledger_says_what_the_truth_says(firm: Firm, seed: int) -> None:
    explore(firm, seed, Coverage())


def test_what_hypothesis_thinks_of_does_no_harm_either(firm: Firm) -> None:
    coverage = Coverage()
    play_freely(firm, 7, coverage, runs=2)
    assert coverage.runs >= 2
    assert coverage.steps > 100


def test_the_explorer_goes_where_least_was_tried(firm: Firm) -> None:
    coverage = Coverage()
    explore(firm, 9, coverage, steps=60)
    # By chance alone most steps would hit drafts, again and again.
    assert len(coverage.hits) > 40
    assert max(coverage.hits.values()) < 10


def test_a_wrong_amount_ends_a_run_and_is_told_as_the_steps_that_show_it(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Truth, "amount", lambda truth, number: 1)
    with pytest.raises(Failure) as failed:
        explore(firm, 1, Coverage())
    assert " owes 1, and its lines come to " in str(failed.value)
    assert len(failed.value.moves) <= 2
    assert "world.play('log'" in str(failed.value)


def test_a_lost_second_ends_a_run(firm: Firm) -> None:
    world = World(firm)
    world.play("log", 0, 0, 0)
    firm.database.raw.execute("UPDATE line_item SET seconds = seconds - 1")
    with pytest.raises(Broken, match="899 s in the ledger, 900 s told"):
        world.play("restart")


def test_a_billed_line_that_changes_ends_a_run(firm: Firm) -> None:
    world = World(firm)
    for name, numbers, work in A_DAY[:2]:
        world.play(name, *numbers, work=work)
    firm.database.raw.execute("UPDATE line_item SET amount = amount + 1 WHERE state = 'billed'")
    with pytest.raises(Broken, match="was billed, and changed"):
        world.play("restart")


def test_an_invoice_that_stripe_holds_twice_ends_a_run(firm: Firm) -> None:
    world = World(firm)
    for name, numbers, work in A_DAY[:2]:
        world.play(name, *numbers, work=work)
    invoices = firm.stripe.book.table("invoices")
    invoices["in_again"] = dict(next(iter(invoices.values())))
    with pytest.raises(Broken, match="Stripe holds two invoices for acme-2026-10"):
        world.play("restart")


def test_a_run_that_is_written_down_can_be_played_again(firm: Firm) -> None:
    replay(firm, A_DAY)
    assert written(A_DAY).splitlines()[3] == "world.play('remove', 0, work=False)"


def test_a_failing_run_is_shortened_to_the_steps_that_it_needs() -> None:
    moves: list[Move] = [("log", (number, 0, 0), True) for number in range(20)]
    needed = {3, 17}
    short = shortened(moves, lambda some: needed <= {numbers[0] for _, numbers, _ in some})
    assert [numbers[0] for _, numbers, _ in short] == [3, 17]


def test_the_truth_goes_by_version_and_prices_by_the_day() -> None:
    truth = Truth()
    truth.hear(1, Issue(1, "ACME"))
    truth.hear(1, Entry(3, 901, 1, on=date(2026, 11, 3)))
    truth.hear(1, Entry(2, 9000, 1))
    assert (truth.payer(1), truth.seconds(1), truth.owed("acme")) == ("acme", 901, 6300)
    truth.hear(1, Issue(2, "LOST"))
    assert (truth.payer(1), truth.owed("acme")) == ("held", 0)


def test_the_machine_has_a_rule_for_every_step(firm: Firm) -> None:
    machine = machine_of(firm, Coverage(), [])
    names = set(vars(machine))
    assert {name.replace(" ", "_") for name in World(firm).steps} <= names
