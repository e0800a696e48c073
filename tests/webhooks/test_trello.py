"""What the shared contract does not ask of Trello."""

from __future__ import annotations

import pytest

from webhooks.registry import sources
from webhooks.trello.readers import is_done


def test_trello_finds_the_address_before_it_makes_a_webhook() -> None:
    assert sources()["trello"].answers_head


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("Done", True),
        ("DONE!", True),
        ("  🎉 done 🎉", True),
        ("Complete", True),
        ("Completed", True),
        ("Erledigt", True),
        ("完了", True),
        ("Doing", False),
        ("Not done", False),
        ("Done in March", False),
        ("Done?", False),
        ("Undone", False),
        ("Completely new", False),
        ("", False),
        ("✅", False),
    ],
)
def test_a_list_of_done_ones_is_known_by_its_whole_name(name: str, done: bool) -> None:
    assert is_done(name) is done
