"""`torture/mutants.py`: the harness can fail. `python -m torture.mutants` hunts them all."""

from __future__ import annotations

from functools import partial

import pytest

from torture.mutants import MUTANTS, Mutant, hunt

QUICK = ("2xx before commit", "Redis-only dedupe", "unlocked token refresh")
"""One of each layer; all of them take longer than a test should."""


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_noticed_by_a_play_that_the_sound_product_passes(name: str) -> None:
    hunted = hunt([each for each in MUTANTS if each.name == name])
    assert [each.problem for each in hunted] == [None, None]
    assert {each.is_planted for each in hunted} == {True, False}


def test_every_safeguard_has_a_mutant() -> None:
    assert [each.name for each in MUTANTS] == [
        "2xx before commit",
        "no sweeper",
        "no fencing",
        "random key",
        "key without look-up",
        "key renewed on the first 500",
        "no quiet period",
        "Redis-only dedupe",
        "arrival-order apply",
        "float money",
        "unlocked token refresh",
        "draft key not unique",
        "approval not bound to content",
    ]


def test_a_mutant_that_survives_and_a_sound_play_that_fails_are_both_problems() -> None:
    (harmless,) = (each for each in MUTANTS if each.name == "float money")
    blind = Mutant("blind", harmless.plant, "model", list)
    loud = Mutant("loud", harmless.plant, "model", partial(list, ["a cent is lost"]))
    problems = [each.problem for each in hunt([blind, loud])]
    assert problems.count("the mutant survives: blind was not noticed") == 1
    assert problems.count("the sound product fails the play for loud: a cent is lost") == 1
