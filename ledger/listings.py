"""What is in the ledger, page by page: events, line items and invoices as plain JSON values.

The API and the command line print these. Pages go by key (`after` the last id that was
seen), so that the thousandth page costs as little as the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, select

from .approvals import outstanding, who_approved
from .breakers import Rest, rests
from .deliveries import event_from_row
from .edits import list_edits
from .events import as_utc_text
from .invoices import USUAL_LANGUAGE, coding_of
from .money import Money, printed
from .recording import list_recorded
from .reopening import OPENED_AGAIN
from .tables import approval, event, invoice, line_item, payment, subject
from .timesheets import TimesheetRow, timesheet_from_json

MOST: Final = 200
"""The longest page."""


def list_events(
    connection: Connection,
    *,
    endpoint: str | None = None,
    kind: str | None = None,
    project: str | None = None,
    since: date | None = None,
    after: int | None = None,
    limit: int = 50,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Return a page of events; `since` is the first day of work that counts."""
    conditions = _given(
        (event.c.endpoint, endpoint), (event.c.kind, kind), (event.c.project, project)
    )
    if since is not None:
        conditions.append(event.c.on >= since)
    rows = _page(connection, select(event), event, conditions, after, limit, newest_first)
    return [event_json(row) for row in rows]


def list_lines(
    connection: Connection,
    *,
    customer: str | None = None,
    state: str | None = None,
    reference: str | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return a page of line items; `reference` is that of the invoice that they stand on."""
    conditions = _given((line_item.c.customer, customer), (line_item.c.state, state))
    if reference is not None:
        found = connection.scalar(select(invoice.c.id).where(invoice.c.reference == reference))
        if found is None:
            return []
        conditions.append(line_item.c.invoice_id == found)
    query = select(line_item, invoice.c.reference).outerjoin(
        invoice, invoice.c.id == line_item.c.invoice_id
    )
    rows = _page(connection, query, line_item, conditions, after, limit, newest_first=False)
    return [line_json(row) for row in rows]


def list_invoices(
    connection: Connection,
    *,
    customer: str | None = None,
    state: str | None = None,
    after: int | None = None,
    limit: int = 50,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Return a page of invoices."""
    conditions = _given((invoice.c.customer, customer), (invoice.c.state, state))
    rows = _page(connection, select(invoice), invoice, conditions, after, limit, newest_first)
    resting = rests(connection)
    return [invoice_json(row, resting) for row in rows]


def find_invoice(connection: Connection, reference: str) -> dict[str, Any] | None:
    """Return an invoice with its lines, approvals and payments, None if there is none like it."""
    row = (
        connection.execute(select(invoice).where(invoice.c.reference == reference))
        .mappings()
        .first()
    )
    if row is None:
        return None
    content, currency = row["content"], row["currency"]
    payer, particulars = content["customer"], content.get("particulars", {})
    return invoice_json(row, rests(connection)) | {
        "net": money_json(content.get("net", content["total"]), currency),
        "taxes": [_tax_json(each, currency) for each in content.get("taxes", ())],
        "customer_name": payer["name"],
        "legal_name": payer.get("legal_name"),
        "address": payer.get("address"),
        "tax_id": payer.get("tax_id"),
        "contact": payer.get("contact"),
        "language": payer.get("language", USUAL_LANGUAGE),
        "billing_email": payer["email"],
        "contract": particulars.get("contract"),
        "agreed": particulars.get("agreed"),
        "late_payment": particulars.get("late_payment"),
        "early_payment": particulars.get("early_payment"),
        "payment_methods": particulars.get("payment_methods", []),
        "order_use": _order_use_json(row["order_use"], currency),
        "purchase_order": content["purchase_order"],
        "days_until_due": content["days_until_due"],
        "memo": content["memo"],
        "footer": content["footer"],
        "lines": _lines_json(content["lines"], currency),
        "approvers": row["approvers"],
        "waits_for": _waits_for(connection, row),
        "approvals": _approvals(connection, row),
        "payments": _payments(connection, row),
        "recorded_payments": list_recorded(connection, reference=reference, limit=MOST),
        "edits": list_edits(connection, row["id"]),
        "notes": _notes(connection, row["id"]),
        "released_at": as_utc_text(row["released_at"]) if row["released_at"] else None,
        "stands_there": _stands_there(row),
        "conflict": _conflict_json(row),
    }


def _stands_there(row: RowMapping) -> dict[str, Any] | None:
    """Return what was pushed last, where that is another content than the present one."""
    if row["pushed_content"] is None or row["pushed_revision"] == row["revision"]:
        return None
    if row["state"] == "pushed":
        return None
    content, currency = row["pushed_content"], row["currency"]
    return {
        "revision": row["pushed_revision"],
        "total": money_json(content["total"], currency),
        "lines": _lines_json(content["lines"], currency),
    }


def _conflict_json(row: RowMapping) -> dict[str, Any] | None:
    """Return how somebody has changed the draft at the billing system, and what counts."""
    if row["conflict"] is None:
        return None
    found = row["conflict"]
    theirs, currency = found["theirs"], found["theirs"]["currency"]
    return {
        "seen_at": found["seen_at"],
        "kept": found["kept"],
        "differences": found["differences"],
        "total": money_json(theirs["total"], currency),
        "lines": _shown_lines_json(theirs["lines"], currency),
    }


def _lines_json(lines: Sequence[Mapping[str, Any]], currency: str) -> list[dict[str, Any]]:
    return [{"coding": {}, **each} for each in _shown_lines_json(lines, currency)]


def _shown_lines_json(lines: Sequence[Mapping[str, Any]], currency: str) -> list[dict[str, Any]]:
    return [{"tax": None, **each, "amount": money_json(each["amount"], currency)} for each in lines]


def _tax_json(each: Mapping[str, Any], currency: str) -> dict[str, Any]:
    amounts = {name: money_json(each[name], currency) for name in ("net", "amount")}
    return {**each, **amounts}


def _order_use_json(use: Mapping[str, int] | None, currency: str) -> dict[str, Any] | None:
    if use is None:
        return None
    return {name: money_json(minor, currency) for name, minor in use.items()}


def _waits_for(connection: Connection, row: RowMapping) -> list[str]:
    """Return who has yet to approve a draft, the next one first; only where somebody is named."""
    if row["state"] not in ("draft", "blocked"):
        return []
    return outstanding(row["approvers"], who_approved(connection, row["id"], row["revision"]))


def find_timesheet(connection: Connection, reference: str) -> tuple[TimesheetRow, ...] | None:
    """Return the time entries that go with an invoice, None if none do or there is no invoice."""
    query = select(invoice.c.content).where(invoice.c.reference == reference)
    content = connection.scalar(query)
    return None if content is None else timesheet_from_json(content)


def _approvals(connection: Connection, row: RowMapping) -> list[dict[str, Any]]:
    found = connection.execute(
        select(approval).where(approval.c.invoice_id == row["id"]).order_by(approval.c.id)
    )
    revision = row["pushed_revision"] if row["state"] == "pushed" else row["revision"]
    return [
        {
            "approved_by": each.approved_by,
            "approved_at": as_utc_text(each.approved_at),
            "content_hash": each.content_hash,
            "is_void": each.content_hash != row["content_hash"]
            or each.revision not in (None, revision),
        }
        for each in found
    ]


def _payments(connection: Connection, row: RowMapping) -> list[dict[str, Any]]:
    found = connection.execute(
        select(payment).where(payment.c.invoice_id == row["id"]).order_by(payment.c.id)
    ).mappings()
    amounts = ("total", "paid", "credited", "refunded", "disputed", "overpaid", "remaining")
    return [
        {
            "payment": each["payment"],
            "observed_at": as_utc_text(each["observed_at"]),
            **{name: money_json(each[name], each["currency"]) for name in amounts},
        }
        for each in found
    ]


def _notes(connection: Connection, invoice_id: int) -> list[str]:
    """Return what there is to know of work on an invoice that stays billed though opened again."""
    found = connection.execute(
        select(subject.c.name, subject.c.reason)
        .where(
            subject.c.kind.in_(OPENED_AGAIN),
            subject.c.state.in_(("held", "priced")),
            subject.c.id.in_(
                select(line_item.c.subject_id).where(line_item.c.invoice_id == invoice_id)
            ),
        )
        .order_by(subject.c.id)
    )
    return [f"{row.name}: {row.reason}" for row in found]


def event_json(row: RowMapping) -> dict[str, Any]:
    """Return a stored event as the API promises it, with its id and its delivery's."""
    told = event_from_row(row).as_json()
    return {"id": row["id"], "delivery": row["delivery_id"], **told}


def line_json(row: RowMapping) -> dict[str, Any]:
    """Return a stored line item; the row also says its invoice's reference."""
    return {
        "id": row["id"],
        "customer": row["customer"],
        "invoice": row["reference"],
        "state": row["state"],
        "kind": row["kind"],
        "pool": row["pool"] or None,
        "project": row["project"],
        "item": row["item"],
        "person": row["person"],
        "on": row["on"].isoformat(),
        "description": row["description"],
        "quantity": printed(row["quantity"]),
        "unit_price": f"{row['unit_price']:f}",
        "amount": money_json(row["amount"], row["currency"]),
        "seconds": row["seconds"],
        "tax": row["tax"] or None,
        "coding": coding_of(row["coding"]).as_json(),
        "rule": row["rule"],
        "rules_version": row["mapping_version"],
        "steps": row["steps"],
        "event": row["event_id"],
        "corrects": row["corrects_id"],
    }


def invoice_json(row: RowMapping, resting: Mapping[str, Rest] | None = None) -> dict[str, Any]:
    """Return a stored invoice without its lines; `resting` are the systems that rest."""
    rest = (resting or {}).get(row["connector"]) if row["state"] == "approved" else None
    problems = [row["problem"], None if rest is None else rest.told()]
    return {
        "id": row["id"],
        "reference": row["reference"],
        "customer": row["customer"],
        "kind": row["kind"],
        "credits": row["content"].get("credits"),
        "state": row["state"],
        "payment": row["payment"],
        "is_overdue": row["is_overdue"],
        "total": money_json(row["total"], row["currency"]),
        "period_from": row["period_from"].isoformat(),
        "period_to": row["period_to"].isoformat(),
        "revision": row["revision"],
        "content_hash": row["content_hash"],
        "reasons": row["reasons"],
        "warnings": row["warnings"],
        "problem": "; ".join(filter(None, problems)) or None,
        "connector": row["connector"],
        "remote_id": row["remote_id"],
        "remote_number": row["remote_number"],
        "remote_url": row["remote_url"],
        "created_at": as_utc_text(row["created_at"]),
    }


def money_json(minor: int, currency: str) -> dict[str, Any]:
    """Return an amount in minor units together with its decimal text."""
    return Money(minor, currency).as_json()


def _given(*wanted: tuple[ColumnElement[Any], Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in wanted if value is not None]


def _page(
    connection: Connection,
    query: Select[Any],
    table: Table,
    conditions: list[ColumnElement[bool]],
    after: int | None,
    limit: int,
    newest_first: bool,
) -> list[RowMapping]:
    if after is not None:
        conditions = [*conditions, table.c.id < after if newest_first else table.c.id > after]
    order = table.c.id.desc() if newest_first else table.c.id
    found = connection.execute(query.where(*conditions).order_by(order).limit(min(limit, MOST)))
    return list(found.mappings())
