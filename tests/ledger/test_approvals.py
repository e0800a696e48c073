"""Several approvers: whatever is tried in whatever order, all sign the same content in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from ledger import tables
from ledger.approvals import ApprovalError, approve, outstanding
from tests.databases import copy_sqlite
from tests.ledger.seed import SmallFirm, month_of_work

DRAFT = "acme-2026-11"
CHAIN = ["Ana", "Ben", "Finance"]
ACTIONS = st.sampled_from([*CHAIN, "ANA", "zoe", "changes", "changes back"])


@pytest.fixture(scope="module")
def firm(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFirm]:
    """Give one small firm to all examples: each begins with a draft that nobody has approved."""
    folder = tmp_path_factory.mktemp("approvals")
    firm = SmallFirm(copy_sqlite(sqlite_template, folder / "billhook.sqlite3"))
    month_of_work(firm)
    yield firm
    firm.close()


@given(actions=st.lists(ACTIONS, max_size=10))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_chain_of_approvers_is_a_state_machine(firm: SmallFirm, actions: list[str]) -> None:
    here = tables.invoice.c.reference == DRAFT
    firm.database.write(
        lambda connection: [
            connection.execute(
                delete(tables.approval).where(
                    tables.approval.c.invoice_id == firm.invoices()[DRAFT]["id"]
                )
            ),
            connection.execute(
                update(tables.invoice)
                .where(here)
                .values(state="draft", approvers=CHAIN, content_hash="a" * 64, revision=1)
            ),
        ]
    )
    left, content, revision = list(CHAIN), "a" * 64, 1
    for action in actions:
        if action.startswith("changes"):
            content = ("a" if action.endswith("back") else "b") * 64
            revision += 1
            changed = {"content_hash": content, "revision": revision, "state": "draft"}
            firm.database.write(
                lambda connection: connection.execute(
                    update(tables.invoice).where(here).values(changed)  # noqa: B023
                )
            )
            left = list(CHAIN)
            continue
        is_next = bool(left) and left[0].casefold() == action.casefold()
        try:
            told = firm.database.write(
                lambda connection: approve(
                    connection,
                    DRAFT,
                    approved_by=action,  # noqa: B023
                    content_hash=content,  # noqa: B023
                    now=firm.now,
                )
            )
        except ApprovalError:
            assert not is_next
        else:
            assert is_next
            left = left[1:]
            assert told == left
        assert firm.invoices()[DRAFT]["state"] == ("draft" if left else "approved")


@given(st.lists(st.sampled_from([*CHAIN, "ben", "zoe"])))
def test_who_is_outstanding_keeps_the_order(approved: list[str]) -> None:
    left = outstanding(CHAIN, approved)
    done = {name.casefold() for name in approved}
    assert left == [name for name in CHAIN if name.casefold() not in done]
    assert outstanding([], approved) == []
