"""Runs of the stateful test that once ended badly, shortened to what they need.

Each is a promise that was broken, as the steps that broke it: `torture/model_steps.py` lists what
the numbers choose. `world.play` holds the ledger against the truth after every one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from torture.model_firm import Firm
from torture.model_world import World


@pytest.fixture(scope="module")
def firm() -> Iterator[Firm]:
    """Give a firm for all runs of this file; each begins with an empty ledger."""
    firm = Firm()
    yield firm
    firm.close()


@pytest.fixture
def world(firm: Firm) -> World:
    """Give a new run."""
    return World(firm)


def test_what_is_held_after_its_correction_was_billed_is_not_billed_twice(world: World) -> None:
    # The old line is taken back on one draft while the new one goes out with another: then the
    # work moves to a project that is nobody's, and is held. The old line stays taken back.
    world.play("log", 1, 1, 2)
    world.play("approve", 0)
    world.play("other day", 1, 1)
    world.play("time passes", 0)
    assert [row["state"] for row in world.ledger.invoices.values()].count("pushed") == 2
    world.play("issue moves", 1, 5)
    assert world.ledger.subjects["worklog:2"]["state"] == "held"
    world.play("issue moves", 1, 2)
    world.end()


def test_a_discount_on_a_draft_that_was_finalized_there_stands_nowhere(world: World) -> None:
    # The invoice is amended, and gets a discount by hand; meanwhile somebody finalizes the draft at
    # Stripe. What stands there stays, and the discount is on no other invoice by itself.
    world.play("log", 2, 0, 0)
    world.play("approve", 3)
    world.play("more time", 2)
    world.play("discount", 0, 0)
    world.play("finalize", 0)
    world.play("hear", 3)
    query = "SELECT state FROM draft_edit"
    assert world.firm.database.raw.execute(query).fetchall() == [("without effect",)]
    world.end()


def test_a_restored_copy_hears_first_what_was_deleted_and_so_billed_again(world: World) -> None:
    # The copy still takes a deleted invoice for one that stands. Its work went out on another
    # since, which the copy can only recognize once it has looked.
    world.play("phase ends", 0)
    world.play("approve", 3)
    world.play("delete", 0, work=False)
    world.play("back up", work=False)
    world.play("hear", 3)
    world.play("approve", 3)
    world.play("put the copy back")
    world.end()


def test_a_conflict_about_a_draft_of_which_nothing_is_left_says_so(world: World) -> None:
    # Everything on the invoice was taken back, and somebody has changed the draft at Stripe: it is
    # blocked until a person decides, with the reason.
    world.play("log", 2, 0, 1)
    world.play("approve", 3)
    world.play("change there", 0)
    world.play("other day", 2, 3)
    world.play("approve", 3)
    world.play("restart")
    (reasons,) = world.firm.database.raw.execute(
        "SELECT reasons FROM invoice WHERE state = 'blocked'"
    ).fetchone()
    assert "somebody has changed the draft at stripe" in reasons
    world.end()


def test_a_correction_waits_until_the_push_of_what_it_corrects_has_come_to_its_end(
    world: World,
) -> None:
    # The push of an amendment loses its reply, and somebody finalizes the draft there as it was.
    # What corrects the amendment must not go out: the push will be handed back.
    world.play("log", 0, 0, 3)
    world.play("approve", 3, work=False)
    world.play("less time", 0)
    world.play("approve", 3, work=False)
    world.play("trouble at Stripe", 6)
    world.play("finalize", 0, work=False)
    world.play("more time", 0)
    query = "SELECT reasons FROM invoice WHERE state = 'blocked'"
    ((reasons,),) = world.firm.database.raw.execute(query).fetchall()
    assert "acme-2026-12 is just being pushed, and this corrects it" in reasons
    world.play("approve", 3)
    world.end()
    states = [row["state"] for row in world.ledger.invoices.values()]
    assert states.count("pushed") == len(states) - states.count("canceled")


def test_a_discount_on_one_of_two_new_drafts_stays_where_it_was_given(world: World) -> None:
    # The invoice with the discount is deleted there, and its period is billed again on a new draft.
    # In the same breath another new draft is made: it must not take the discount for its own.
    world.play("phase ends", 0, work=False)
    world.play("log", 1, 2, 2)
    world.play("log", 3, 0, 2)
    world.play("approve", 3)
    world.play("more time", 3)
    world.play("discount", 0, 0)
    world.play("other issue", 3, 2)
    world.play("delete", 1)
    world.play("other issue", 1, 1, work=False)
    world.play("log", 4, 1, 3)
    world.play("time passes", 2, work=False)
    world.play("issue moves", 1, 0)
    world.end()


def test_what_was_to_be_credited_goes_to_the_next_invoice_once_it_is_written_off(
    world: World,
) -> None:
    # The work is moved to another customer, so a credit note takes it back. Then the invoice is
    # written off, of which nothing can be credited any more: the note would only be refused.
    world.play("log", 4, 3, 1)
    world.play("approve", 3)
    world.play("issue moves", 3, 1, work=False)
    world.play("write_off", 0)
    world.play("hear", 3)
    (note,) = [row for row in world.ledger.invoices.values() if row["kind"] == "credit note"]
    assert (note["state"], note["credits_id"]) == ("canceled", 1)
    world.end()
