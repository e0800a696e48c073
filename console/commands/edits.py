"""`flask invoices edit`: change a draft by hand, and undo that again."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import click
from flask.cli import with_appcontext

from console.current import current_line, person_at_the_keyboard
from console.terminal import AS_JSON, fail, print_json, without_traceback
from console.texts import one_line
from ledger.edits import Discount, HoldBack, NewOrder, NewText, Wanted, make, undo


@click.command()
@click.argument("reference")
@click.option("--line", type=click.IntRange(1), help="The number of a line, see show.")
@click.option("--text", help="With --line: what the line says from now on.")
@click.option("--order", metavar="N,N,...", help="Put these lines first, in this order.")
@click.option("--hold", type=click.IntRange(1), metavar="N", help="Hold a line back.")
@click.option("--let-go", type=click.IntRange(1), metavar="ID", help="Let a held line go.")
@click.option(
    "--discount",
    nargs=2,
    metavar="HOW_MUCH TEXT",
    help='Take something off: 10% or 50.00, and the text of its line: "as agreed".',
)
@click.option("--undo", "undone", type=click.IntRange(1), metavar="ID", help="Undo an edit.")
@click.option("--by", "name", help="Who edits; if not given, who runs the command.")
@click.option("--hash", "content_hash", help="Edit only a content with this hash (see show).")
@AS_JSON
@with_appcontext
@without_traceback
def edit(
    reference: str,
    line: int | None,
    text: str | None,
    order: str | None,
    hold: int | None,
    let_go: int | None,
    discount: tuple[str, str] | None,
    undone: int | None,
    name: str | None,
    content_hash: str | None,
    as_json: bool,
) -> None:
    """Edit a draft by hand. What is done outlasts every change of its work, and voids approvals."""
    if (line is None) != (text is None):
        raise click.UsageError('--line and --text go together: --line 2 --text "Design, as agreed"')
    given = [each for each in (line, order, hold, let_go, discount, undone) if each is not None]
    if len(given) != 1:
        raise click.UsageError(
            "say one of --line with --text, --order, --hold, --let-go, --discount and --undo"
        )
    here = current_line()
    person, now = name or person_at_the_keyboard(), here.clock.now()
    if edit_id := let_go or undone or 0:
        here.database.write(
            lambda connection: undo(connection, reference, edit_id, undone_by=person, now=now)
        )
        told = f"edit {edit_id} is undone"
    else:
        wanted = _wanted(line, text, order, hold, discount)
        edit_id = here.database.write(
            lambda connection: make(
                connection,
                reference,
                wanted,
                made_by=person,
                content_hash=content_hash,
                now=now,
            )
        )
        told = f"edit {edit_id} is made, undo it with --undo {edit_id}"
    here.doorbell.ring("assemble")
    if as_json:
        print_json({"reference": reference, "edit": edit_id, "told": told})
    else:
        click.echo(one_line(f"{reference}: {told}; it is assembled again"))


def _wanted(
    line: int | None,
    text: str | None,
    order: str | None,
    hold: int | None,
    discount: tuple[str, str] | None,
) -> Wanted:
    if line is not None:
        return NewText(line, text or "")
    if hold is not None:
        return HoldBack(hold)
    if order is not None:
        numbers = [each.strip() for each in order.split(",")]
        if not all(each.isascii() and each.isdecimal() and len(each) < 6 for each in numbers):
            fail(f"--order {order}: is no list of lines - write their numbers: 3,1,2")
        return NewOrder(tuple(int(each) for each in numbers))
    much, what = discount or ("", "")
    number = much.strip().removesuffix("%")
    is_percent = number != much.strip()
    value = _decimal(number.strip())
    if value is None:
        fail(f"--discount {much}: is no percentage and no amount - write 10% or 50.00")
    return Discount(what, percent=value) if is_percent else Discount(what, amount=value)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if len(text) < 20 and text.isascii() else None
    except InvalidOperation:
        return None
