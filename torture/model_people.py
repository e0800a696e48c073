"""What people do to drafts in the stateful test: edit them, decide conflicts, change them there.

`torture/model_steps.py` lists these steps. What the ledger refuses does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ledger import amending, edits, settling
from ledger.errors import BillhookError

if TYPE_CHECKING:
    from .model_world import World

ALL: Final = 3
"""The choice that means: all of them."""
EDITED: Final = frozenset({"draft", "blocked", "approved", "amended"})
"""The states of a draft that a person edits."""
CHANGEABLE: Final = frozenset({"draft there", "amended"})
"""The states of an invoice that is a draft at Stripe."""
_WANTED: Final[dict[str, Callable[[int], edits.Wanted]]] = {
    "new text": lambda line: edits.NewText(line + 1, "What we did for you"),
    "new order": lambda line: edits.NewOrder((line + 1,)),
    "keep back": lambda line: edits.HoldBack(line + 1),
    "discount": lambda choice: (
        edits.Discount("A discount", amount=Decimal("7.00"))
        if choice
        else edits.Discount("A discount", percent=Decimal(10))
    ),
}
EDITS: Final = tuple(_WANTED)


class People:
    """Everybody who looks after the drafts of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def editable(self) -> list[dict[str, Any]]:
        """Return the invoices that can be edited now."""
        ledger = self._world.ledger
        found = ledger.invoices.values()
        return [row for row in found if ledger.state_of_invoice(row["id"]) in EDITED]

    def edit(self, what: str, which: int, choice: int) -> None:
        """Edit a draft, as it is shown."""
        for row in self.editable()[which : which + 1]:
            self._do(
                edits.make,
                row["reference"],
                _WANTED[what](choice),
                made_by="mia",
                content_hash=row["content_hash"],
            )

    def edited(self) -> list[tuple[int, int]]:
        """Return the edits that can be undone: each one's id and its invoice's."""
        editable = {row["id"] for row in self.editable()}
        query = "SELECT id, invoice_id FROM draft_edit WHERE state != 'undone' ORDER BY id"
        found = self._world.firm.database.raw.execute(query).fetchall()
        return [(edit, invoice) for edit, invoice in found if invoice in editable]

    def undo(self, which: int) -> None:
        """Undo an edit."""
        for edit, invoice in self.edited()[which : which + 1]:
            reference = self._world.ledger.invoices[invoice]["reference"]
            self._do(edits.undo, reference, edit, undone_by="mia")

    def changeable(self) -> list[dict[str, Any]]:
        """Return the drafts at Stripe that can be changed there, with no push under way."""
        ledger = self._world.ledger
        found = self._world.remote("change there")
        return [row for row in found if ledger.state_of_invoice(row["id"]) in CHANGEABLE]

    def change_there(self, which: int) -> None:
        """Change the text of a draft at Stripe itself."""
        book = self._world.firm.stripe.book
        self._world.forget_copy()
        for row in self.changeable()[which : which + 1]:
            for line in book.table("lines")[row["remote_id"]]["data"][:1]:
                line["description"] = f"{line['description']}, as agreed"
                book.emit("invoice.updated", book.invoice(row["remote_id"]))
                self._world.firm.touched.add(row["remote_id"])

    def conflicts(self) -> list[dict[str, Any]]:
        """Return the invoices that somebody has to decide about."""
        ledger = self._world.ledger
        found = ledger.invoices.values()
        return [row for row in found if ledger.state_of_invoice(row["id"]) == "conflict"]

    def towards_conflict(self) -> tuple[str, tuple[int, ...]] | None:
        """Return the step that brings a conflict nearer; None if none does now."""
        ledger, firm = self._world.ledger, self._world.firm
        touched = {
            row["id"]: ledger.state_of_invoice(row["id"])
            for row in ledger.invoices.values()
            if row["remote_id"] in firm.touched
        }
        if "amended" in touched.values():
            return "approve", (ALL,)
        for number, invoice_id in self._world.placed():
            if touched.get(invoice_id) == "draft there":
                return "more time", (number - 1,)
        return ("change there", (0,)) if self.changeable() else None

    def decide(self, keep: str, which: int) -> None:
        """Decide a conflict."""
        for row in self.conflicts()[which : which + 1]:
            self._do(amending.resolve, row["reference"], keep, actor="mia")

    def settle(self, name: str, decision: str) -> bool:
        """Say what becomes of billed work that was opened again; return whether that was asked."""
        return self._do(settling.settle, name, decision, endpoint=None, actor="mia")

    def _do(self, change: Callable[..., object], *given: Any, **named: Any) -> bool:
        firm = self._world.firm
        self._world.forget_copy()
        try:
            firm.database.write(
                lambda connection: change(connection, *given, **named, now=firm.clock.now())
            )
        except BillhookError:
            return False
        return True
