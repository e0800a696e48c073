"""`flask invoices`: look at drafts, approve them, have them pushed, explain every cent of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection

from console.commands.edits import edit
from console.current import current_line, person_at_the_keyboard
from console.explanations import drawn
from console.invoice_facts import invoice_facts
from console.terminal import AS_JSON, fail, print_json, print_table, without_traceback
from console.texts import one_line
from ledger.amending import KEEP
from ledger.amending import resolve as resolve_conflict
from ledger.approvals import approve as approve_draft
from ledger.explain import explain as explained
from ledger.held import list_held
from ledger.listings import MOST, find_invoice, find_timesheet, list_invoices
from ledger.pushing import try_again
from ledger.restoring import settle as settle_stray
from ledger.subjects import changed, is_known
from ledger.timesheets import as_csv

_STATES = ("draft", "blocked", "approved", "pushed", "canceled")


@click.group()
def invoices() -> None:
    """Drafts and invoices."""


invoices.add_command(edit)


@invoices.command("list")
@click.option("--customer", metavar="KEY", help="Only those of a customer.")
@click.option("--state", type=click.Choice(_STATES), help="Only those in a state.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
@with_appcontext
@without_traceback
def list_last(customer: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List the last invoices, newest first."""
    with current_line().database.read() as connection:
        found = list_invoices(
            connection, customer=customer, state=state, limit=limit, newest_first=True
        )
    if as_json:
        print_json(found)
        return
    print_table(
        ["reference", "customer", "state", "payment", "total", "why"],
        [
            [
                each["reference"],
                each["customer"],
                each["state"],
                each["payment"],
                _money(each["total"]),
                each["problem"] or "; ".join(each["reasons"] or each["warnings"]),
            ]
            for each in found
        ],
        empty="No invoice fits.",
    )


@invoices.command()
@click.argument("reference")
@AS_JSON
@with_appcontext
@without_traceback
def show(reference: str, as_json: bool) -> None:
    """Show an invoice as it stands: its lines, who approved it, what was paid."""
    found = _found(reference)
    if as_json:
        print_json(found)
        return
    about = {
        **invoice_facts(found),
        "state": found["state"],
        "payment": found["payment"],
        "at": " ".join(filter(None, (found["connector"], found["remote_id"], found["remote_url"]))),
        "content hash": found["content_hash"],
        "problem": found["problem"],
        "blocked": "; ".join(found["reasons"]),
        "look at": "; ".join(found["warnings"]),
    }
    click.echo(f"{found['reference']}: {_money(found['total'])}")
    for name, value in about.items():
        if value:
            click.echo(one_line(f"  {name}: {value}"))
    if found["waits_for"]:
        click.echo(one_line(f"  waits for: {_in_turn(found['waits_for'])}"))
    for each in found["approvals"]:
        is_this = " (an earlier content)" if each["is_void"] else ""
        click.echo(one_line(f"  approved: {each['approved_at']} by {each['approved_by']}{is_this}"))
    for each in found["edits"]:
        is_idle = f", {each['state']}" if each["state"] != "standing" else ""
        by = f"by {each['made_by']} at {each['made_at']}{is_idle}"
        click.echo(one_line(f"  edit {each['id']}: {each['kind']}: {each['said']} ({by})"))
    for each in found["notes"]:
        click.echo(one_line(f"  note: {each}"))
    for each in found["payments"]:
        paid = f"{_money(each['paid'])} of {_money(each['total'])}"
        click.echo(f"  seen {each['observed_at']}: {each['payment']}, paid {paid}")
    for each in found["recorded_payments"]:
        told = ", ".join(filter(None, (each["source"], each["recorded_by"], each["reason"])))
        told = f"{_money(each['amount'])} of {each['on']}, {each['state']} ({told})"
        click.echo(one_line(f"  payment {each['id']}: {told}"))
    click.echo()
    _print_lines(found["lines"])
    for tax in found["taxes"]:
        click.echo(one_line(f"  {tax['name']}: {tax['tax']}: {_taxed(tax)}"))
        if tax["text"]:
            click.echo(one_line(f"    {tax['text']}"))
    if found["taxes"]:
        click.echo(f"  net {_money(found['net'])}, to pay {_money(found['total'])}")
    _print_versions(found)


def _print_lines(lines: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            number,
            line["description"],
            line["quantity"] or "",
            line["unit_price"] or "",
            line["amount"]["text"],
            line["tax"] or "",
            ", ".join(f"{word} {_said(value)}" for word, value in line.get("coding", {}).items()),
        ]
        for number, line in enumerate(lines, 1)
    ]
    heads = ["", "description", "quantity", "price", "amount", "tax", "books"]
    if not any(line.get("coding") for line in lines):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    print_table(heads, rows, empty="No lines.")


def _said(value: str | Mapping[str, str]) -> str:
    """Return a word of `books:` as it is said; of tracking, each name with its value."""
    return (
        value if isinstance(value, str) else " ".join(f"{name} {it}" for name, it in value.items())
    )


def _print_versions(found: Mapping[str, Any]) -> None:
    """Print what stands at the billing system, as we pushed it and as somebody changed it."""
    versions = {"as it was pushed": found["stands_there"], "as it is there": found["conflict"]}
    for name, version in versions.items():
        if version is not None:
            click.echo(f"\n{name}: {_money(version['total'])}")
            _print_lines(version["lines"])
    for difference in found["conflict"]["differences"] if found["conflict"] else ():
        click.echo(one_line(f"  there {difference}"))


@invoices.command()
@click.argument("reference")
@click.option(
    "--keep", type=click.Choice(KEEP), required=True, help="Whose version of the draft counts."
)
@AS_JSON
@with_appcontext
@without_traceback
def resolve(reference: str, keep: str, as_json: bool) -> None:
    """Decide what counts where somebody has changed the draft at the billing system.

    theirs: it is left alone, and corrections go to the next invoice. ours: it is overwritten once
    our version is approved, as long as it is as it was seen.
    """
    line, actor = current_line(), person_at_the_keyboard()
    line.database.write(
        lambda connection: resolve_conflict(connection, reference, keep, actor, line.clock.now())
    )
    line.doorbell.ring("assemble")
    if as_json:
        print_json(_found(reference))
        return
    next_ = {
        "theirs": "corrections go to the next invoice",
        "ours": "approve it, then it is pushed over theirs",
    }
    click.echo(one_line(f"{reference}: {keep} counts - {next_[keep]}"))


@invoices.command()
@click.argument("reference")
@click.option("--by", "name", help="Who approves; if not given, who runs the command.")
@click.option("--hash", "content_hash", help="Approve only a content with this hash (see show).")
@AS_JSON
@with_appcontext
@without_traceback
def approve(reference: str, name: str | None, content_hash: str | None, as_json: bool) -> None:
    """Approve a draft as it stands; when all have who must, it is pushed."""
    line = current_line()
    approved_by = name or person_at_the_keyboard()
    left = line.database.write(
        lambda connection: approve_draft(
            connection,
            reference,
            approved_by=approved_by,
            content_hash=content_hash,
            now=line.clock.now(),
        )
    )
    if not left:
        line.doorbell.ring("push")
    if as_json:
        print_json(_found(reference))
    else:
        told = f"it waits for {_in_turn(left)}" if left else "it is pushed next"
        click.echo(one_line(f"{reference}: approved by {approved_by}, {told}"))


@invoices.command()
@click.argument("reference", required=False)
@click.option("--customer", metavar="KEY", help="Everything of a customer that has stopped.")
@AS_JSON
@with_appcontext
@without_traceback
def retry(reference: str | None, customer: str | None, as_json: bool) -> None:
    """Have an invoice go on that had stopped: it is assembled, pushed or looked at again.

    `push` is another name for it.
    """
    if (reference is None) == (customer is None):
        raise click.UsageError("name one REFERENCE, or a customer with --customer")
    if customer is not None:
        told = _retry_customer(customer)
    else:
        told = _retry(str(reference))
    if as_json:
        named = {"customer": customer} if reference is None else {"reference": reference}
        print_json({**named, "told": told})
    else:
        click.echo(one_line(f"{reference or customer}: {told}"))


invoices.add_command(retry, "push")


def _retry(reference: str) -> str:
    line = current_line()
    found, now, actor = _found(reference), line.clock.now(), person_at_the_keyboard()
    state = found["state"]
    if state == "canceled":
        fail(f"{reference}: is canceled, nothing is left to bill")
    if state == "draft" and not found["problem"]:
        fail(f"{reference}: is a draft - approve it first: `flask invoices approve {reference}`")
    if state == "pushed" and not found["problem"]:
        return f"is at {found['connector']} already, nothing is to be done"
    if state in ("blocked", "draft"):
        line.database.write(lambda connection: changed(connection, [found["customer"]], now))
        line.doorbell.ring("assemble")
    if state == "blocked":
        return "is assembled again; if nothing blocks it then, approve it"
    if not line.database.write(lambda connection: try_again(connection, reference, actor, now)):
        fail(f"{reference}: has changed just now - look at it: `flask invoices show {reference}`")
    stage, told = _AGAIN[state]
    line.doorbell.ring(stage)
    return told


_AGAIN: Final = {
    "draft": ("approve", "is judged again; approve it if it waits for you"),
    "approved": ("push", "is pushed again"),
    "pushed": ("look", "is looked at again"),
}


def _retry_customer(key: str) -> str:
    line = current_line()
    now, actor = line.clock.now(), person_at_the_keyboard()

    def retry_all(connection: Connection) -> int | None:
        if not is_known(connection, key):
            return None
        changed(connection, [key], now)
        stopped = list_held(connection, now, limit=MOST, kinds=("push",), customer=key)
        for each in stopped:
            try_again(connection, each.what, actor, now)
        return len(stopped)

    count = line.database.write(retry_all)
    if count is None:
        fail(f"{key}: has no work here - see `flask waiting --kind customer`")
    for stage in ("assemble", "push", "look"):
        line.doorbell.ring(stage)
    return f"its drafts are assembled again, and {count} stopped invoices go on"


@invoices.command()
@click.argument("name", metavar="REFERENCE")
@with_appcontext
@without_traceback
def settle(name: str) -> None:
    """Note that you have dealt with an invoice that a restored ledger does not know.

    Its billing system holds it under our REFERENCE; `flask waiting` lists it.
    """
    line, actor = current_line(), person_at_the_keyboard()
    line.database.write(lambda connection: settle_stray(connection, name, actor, line.clock.now()))
    click.echo(one_line(f"{name}: is left as it is; run `flask sync --restored` again"))


@invoices.command()
@click.argument("reference")
@click.option("--line", "number", type=click.IntRange(1), help="Only the line with this number.")
@AS_JSON
@with_appcontext
@without_traceback
def explain(reference: str, number: int | None, as_json: bool) -> None:
    """Explain an invoice down to the raw deliveries, with every number on the way."""
    with current_line().database.read() as connection:
        found = explained(connection, reference, number)
    if as_json:
        print_json(found)
        return
    for text in drawn(found):
        click.echo(text)


@invoices.command()
@click.argument("reference")
@with_appcontext
@without_traceback
def timesheet(reference: str) -> None:
    """Print the time entries that go with an invoice, as CSV: what was worked, what is billed."""
    _found(reference)
    with current_line().database.read() as connection:
        rows = find_timesheet(connection, reference)
    if rows is None:
        fail(f"{reference}: has no timesheet - write timesheet: yes in the customer's rule file")
    click.echo(as_csv(rows), nl=False)


def _found(reference: str) -> dict[str, Any]:
    with current_line().database.read() as connection:
        found = find_invoice(connection, reference)
    if found is None:
        fail(f"{reference}: no such invoice - see `flask invoices list`")
    return found


def _in_turn(names: list[str]) -> str:
    """Return who approves next, and who then."""
    return ", then ".join(names)


def _taxed(tax: dict[str, Any]) -> str:
    return f"{_money(tax['amount'])} on {_money(tax['net'])}"


def _money(amount: dict[str, Any]) -> str:
    return f"{amount['text']} {amount['currency']}"
