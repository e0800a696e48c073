"""What must hold after each step, and what must hold once the worker has nothing left to do.

Each check raises `Broken` with one sentence. Amounts are compared with the truth of
`torture/model_truth.py`, and invoices with what Stripe really holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ledger.audit import audit
from ledger.audit.prices import Price
from ledger.auditlog import seal
from mappings.judging import judge, sum_up

from .model_ledger import Ledger
from .model_truth import PHASE_PRICE, STAYS

if TYPE_CHECKING:
    from ledger.events import Event

    from .model_firm import Firm
    from .model_truth import Truth

CUSTOMERS: Final = ("acme", "beta", "gamma", "delta")
BY_HAND: Final = ("acme", "gamma")
"""The customers whose drafts a person approves."""


class Broken(AssertionError):
    """A promise is broken; the message says which, and by what."""


def check_always(before: Ledger, now: Ledger, firm: Firm) -> None:
    """Check what holds at every moment, whatever waits to be done."""
    _billed_stays(before, now)
    _billed_once(now)
    _one_at_stripe(firm)
    _as_approved(now, firm)


def check_at_rest(now: Ledger, firm: Firm, truth: Truth) -> None:
    """Check what holds once nothing waits: the ledger says what the truth says."""
    _nothing_is_stuck(firm)
    for number in truth.entries:
        _entry(now, truth, number)
    for number in truth.phases:
        _phase(now, truth, number)
    for customer in CUSTOMERS:
        _money(now, truth, customer)
    for row in now.invoices.values():
        _credit(now, row)
    _same_at_stripe(now, firm)
    _credited_at_stripe(now, firm)


def check_audit(firm: Firm) -> None:
    """Check that `flask audit` finds nothing, lines priced and summed again included."""
    line = firm.line
    line.database.write(seal)

    def price_again(version: str, event: Event) -> list[Price]:
        lines = judge(line.book_of(version), event).lines
        names = Price.__dataclass_fields__
        return [Price(**{name: getattr(each, name) for name in names}) for each in lines]

    with line.database.read() as connection:
        found = audit(
            connection,
            firm.clock.now(),
            price_again=price_again,
            sum_again=lambda key, version, lines: sum_up(line.book_of(version), key, lines),
        )
    if found:
        raise Broken("; ".join(f"audit: {each.entity} {each.detail}" for each in found[:3]))


def _billed_stays(before: Ledger, now: Ledger) -> None:
    """A billed line never changes, unless the push that billed it came to nothing as a whole."""
    present = {line["id"]: line for line in now.lines}
    for line in before.lines:
        if line["state"] == "open" or present.get(line["id"]) == line:
            continue
        row = now.invoices[line["invoice_id"]]
        is_over = row["state"] == "pushed" or not row["is_frozen"]
        if is_over and (line["billed_revision"] or 0) > (row["pushed_revision"] or 0):
            continue
        same = present.get(line["id"])
        raise Broken(f"line {line['id']} was billed, and changed from {line} to {same}")


def _billed_once(now: Ledger) -> None:
    """No piece of work stands on two invoices: all but one of its lines are taken back."""
    taken_back = {line["corrects_id"] for line in now.lines}
    standing: dict[int, int] = {}
    for line in now.lines:
        is_billed = line["state"] == "billed" and line["corrects_id"] is None
        if not is_billed or line["subject_id"] is None or line["id"] in taken_back:
            continue
        other = standing.setdefault(line["subject_id"], line["id"])
        if other != line["id"]:
            raise Broken(f"lines {other} and {line['id']} bill the same work")


def _one_at_stripe(firm: Firm) -> None:
    """Stripe holds at most one invoice for each reference."""
    seen: set[str] = set()
    for row in _at_stripe(firm):
        reference = row["metadata"].get("billhook_reference")
        if reference in seen:
            raise Broken(f"Stripe holds two invoices for {reference}")
        seen.add(reference)


def _as_approved(now: Ledger, firm: Firm) -> None:
    """What goes out by hand, or takes something back, a person has approved to the last letter."""
    takes_back = {
        line["invoice_id"]
        for line in now.lines
        if line["state"] == "billed" and line["corrects_id"] is not None
    }
    for row in now.invoices.values():
        content = row["pushed_content"]
        if row["state"] != "pushed" or not content or content in firm.approved:
            continue
        if row["customer"] in BY_HAND or row["id"] in takes_back:
            raise Broken(f"{row['reference']} went out, and nobody has approved it as it is")


def _at_stripe(firm: Firm) -> list[dict[str, Any]]:
    return list(firm.stripe.book.table("invoices").values())


def check_all_heard(firm: Firm) -> None:
    """Check that each hint was followed: what Stripe said was looked at."""
    _nothing_waits(firm, "hint")


def _nothing_is_stuck(firm: Firm) -> None:
    """What a delivery told has gone all the way to a draft."""
    for table in ("delivery", "subject", "customer"):
        _nothing_waits(firm, table)


def _nothing_waits(firm: Firm, table: str) -> None:
    rows = firm.database.raw.execute(
        f"SELECT id, state, attempts, reason FROM {table} "
        "WHERE state IN ('waiting', 'failed') OR attempts > 0"
    ).fetchall()
    if rows:
        raise Broken(f"{table} {rows[0]} waits, and no worker goes on with it")


def _entry(now: Ledger, truth: Truth, number: int) -> None:
    """An entry stands where it should, with its present time to the second."""
    row = now.subjects.get(f"worklog:{number}")
    if row is None:
        raise Broken(f"entry {number} was told, and the ledger does not know it")
    payer = truth.payer(number)
    said = row["customer"] if row["state"] == "priced" else row["state"]
    if said != payer:
        raise Broken(f"entry {number} is {said} in the ledger, and {payer} in truth")
    on_lines = sum(line["seconds"] for line in now.lines_of(row["name"]))
    total = on_lines + row["held_seconds"] + row["excluded_seconds"]
    if total != truth.seconds(number):
        raise Broken(f"entry {number} has {total} s in the ledger, {truth.seconds(number)} s told")
    if payer in CUSTOMERS and on_lines != truth.seconds(number):
        raise Broken(f"entry {number} is paid by {payer}, and {on_lines} s of it are on lines")


def _phase(now: Ledger, truth: Truth, number: int) -> None:
    """What was billed of a milestone and opened again stands as it was agreed, in plain sight."""
    row = now.subjects.get(f"milestone:{9000 + number}")
    if row is None:
        raise Broken(f"milestone {number} was told, and the ledger does not know it")
    if truth.phases[number].is_closed:
        stands, said = True, "priced"
    else:
        stands = now.is_billed(row["name"]) and truth.word(number) in STAYS
        said = ("held" if truth.word(number) == "hold" else "priced") if stands else "gone"
    amount = sum(line["amount"] for line in now.lines_of(row["name"]))
    if (row["state"], amount) != (said, PHASE_PRICE if stands else 0):
        raise Broken(f"milestone {number} is {row['state']} with {amount}, and {said} in truth")


def _credit(now: Ledger, row: dict[str, Any]) -> None:
    """What lowers a final invoice is on one credit note for it, where that is agreed."""
    if row["kind"] == "credit note" and row["state"] != "canceled" and row["net"] >= 0:
        raise Broken(f"{row['reference']} is a credit note of {row['net']}")
    own = {
        row["id"],
        *(each["id"] for each in now.invoices.values() if each["credits_id"] == row["id"]),
    }
    billed = {line["id"] for line in now.lines if line["invoice_id"] in own}
    # What a person keeps back is on no draft.
    unbilled = [line for line in now.lines if line["state"] == "open" and not line["edit_id"]]
    back = [line for line in unbilled if line["corrects_id"] in billed]
    notes = {line["invoice_id"] for line in back} & own
    if row["kind"] == "credit note" or not back:
        return
    if not now.is_creditable(row):
        wrong = bool(notes - {row["id"]})
    elif notes:
        wrong = len({line["invoice_id"] for line in back}) > 1
    else:
        # What a void invoice has set free ties together those that had corrected each other: then
        # what is left may go to the next invoice, below zero and so in plain sight.
        freed = {line["subject_id"] for line in now.lines if line["state"] == "released"}
        again = {line["subject_id"] for line in back} - freed
        noted = {each["id"] for each in now.invoices.values() if each["kind"] == "credit note"}
        new = [
            line
            for line in unbilled
            if line["subject_id"] in again and line["invoice_id"] not in noted
        ]
        wrong = sum(line["amount"] for line in new if line["customer"] == row["customer"]) < 0
    if wrong:
        raise Broken(f"{row['reference']} is not corrected where it was agreed")


def _money(now: Ledger, truth: Truth, customer: str) -> None:
    """The invoices of a customer come to what the truth says, and so do its lines.

    What is held for a person stays as it was billed, if it ever was.
    """
    held = {
        row["id"]
        for number in truth.entries
        if truth.payer(number) == "held" and (row := now.subjects.get(f"worklog:{number}"))
    }
    ours = [line for line in now.lines if line["customer"] == customer]
    work = [line for line in ours if line["kind"] != "discount"]
    billed = {each for each in truth.phases if now.is_billed(f"milestone:{9000 + each}")}
    owed = truth.owed(customer, billed) + sum(
        each["amount"] for each in work if each["subject_id"] in held
    )
    on_lines = sum(line["amount"] for line in work)
    if on_lines != owed:
        raise Broken(f"{customer} owes {owed}, and its lines come to {on_lines}")
    # A person has taken this off, or keeps it back for a later invoice.
    discounts = sum(line["amount"] for line in ours if line["kind"] == "discount")
    kept_back = sum(each["amount"] for each in work if each["edit_id"] and each["state"] == "open")
    loose = sum(line["amount"] for line in ours if line["invoice_id"] is None)
    invoiced = sum(
        row["net"]
        for row in now.invoices.values()
        if row["customer"] == customer and row["state"] != "canceled" and row["released_at"] is None
    )
    if loose != kept_back or invoiced != owed + discounts - kept_back:
        raise Broken(
            f"{customer} owes {owed}, less {discounts} taken off and {kept_back} kept back, and "
            f"its invoices come to {invoiced}"
        )


def _same_at_stripe(now: Ledger, firm: Firm) -> None:
    """Stripe holds just what was pushed: each invoice with our lines, and no other one."""
    there = {row["metadata"]["billhook_reference"]: row for row in _at_stripe(firm)}
    known = {
        row["reference"]: row
        for row in now.invoices.values()
        if row["kind"] == "invoice" and (row["is_frozen"] or row["pushed_content"])
    }
    for reference in there:
        if reference not in known:
            raise Broken(f"Stripe holds {reference}, and the ledger says that it never went out")
    for reference, row in known.items():
        if row["connector"] != "stripe" or not _is_settled(row):
            continue
        lines = _lines_of(row)
        if reference not in there:
            if lines and row["remote_id"] not in firm.deleted:
                raise Broken(f"{reference} was pushed, and Stripe does not hold it")
            continue
        remote = firm.stripe.book.invoice(there[reference]["id"])
        printed = sorted(line["amount"] for line in lines)
        sent = sorted(line["amount"] for line in remote["lines"]["data"])
        if (remote["id"], printed) != (row["remote_id"], sent):
            raise Broken(f"{reference} has lines {printed} here and {sent} at Stripe")
    written = {path.stem for path in (firm.folder / "out").glob("*.json")}
    for reference, row in known.items():
        if row["connector"] == "files":
            if _is_settled(row) and reference not in written and _lines_of(row):
                raise Broken(f"{reference} was pushed, and there is no file of it")
            written.discard(reference)
    if unknown := written - set(known):
        raise Broken(f"there is a file of {min(unknown)}, and it never went out")


def _credited_at_stripe(now: Ledger, firm: Firm) -> None:
    """Stripe has issued each of our credit notes once, for what it takes back, and no other one."""
    there: dict[str, dict[str, Any]] = {}
    for note in firm.stripe.book.table("credit_notes").values():
        # Without our number it is somebody else's.
        if reference := note["metadata"].get("billhook_reference"):
            if reference in there:
                raise Broken(f"Stripe has issued {reference} twice")
            there[reference] = note
    for row in now.invoices.values():
        if row["kind"] != "credit note":
            continue
        note = there.pop(row["reference"], {})
        if row["state"] != "pushed":
            if note and not row["is_frozen"]:
                raise Broken(f"Stripe has issued {row['reference']}, and here it is {row['state']}")
            continue
        credits = now.invoices[row["credits_id"]]
        due = (credits["remote_id"], -row["total"])
        if (note.get("invoice"), note.get("amount")) != due:
            raise Broken(f"{row['reference']} should credit {due}, and Stripe has {note}")
    if there:
        raise Broken(f"Stripe has issued {min(there)}, and the ledger does not know it")


def _is_settled(row: dict[str, Any]) -> bool:
    """Return whether it is known what stands there of an invoice: no push is under way."""
    return bool(row["pushed_content"]) and (row["state"] == "pushed" or not row["is_frozen"])


def _lines_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of an invoice as they were pushed last."""
    lines: list[dict[str, Any]] = json.loads(row["pushed_content"])["lines"]
    return lines
