"""The API under /api/v1: events, line items, invoices, held things; approving and editing a draft.

`app.py` registers it. Programs call it with a bearer token of `flask tokens create`; its
OpenAPI document is at /api/v1/openapi.json.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, Flask, Response, g, jsonify, request
from pydantic import BaseModel, ValidationError
from spectree import Response as Responses
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ledger.approvals import ApprovalError, approve
from ledger.database import is_unavailable
from ledger.edits import Discount, EditError, HoldBack, NewOrder, NewText, Wanted, make, undo
from ledger.errors import BillhookError
from ledger.held import count_held, list_held, passed_over
from ledger.listings import MOST, find_invoice, list_events, list_invoices, list_lines
from ledger.money import Money, to_minor
from ledger.recording import NoInvoiceError, PaymentError, list_recorded, record

from . import payment_shapes, shapes
from .bearer import NoTokenError, bearer_token
from .current import current_line, recorder

PREFIX: Final = "/api/v1"
MOST_BODY: Final = 4096
"""Bytes of a request's body: a line's longest text in escapes has some 3,000."""

blueprint = Blueprint("api", __name__, url_prefix=PREFIX)

_BEARER: Final = SecuritySchemeData(
    type=SecureType.HTTP, scheme="bearer", description="A token of `flask tokens create`."
)


def register(app: Flask) -> None:
    """Add the API to the application."""
    app.register_blueprint(blueprint)
    # Also what no view was found for is answered in JSON here, and as ever elsewhere.
    app.register_error_handler(HTTPException, _http_error)


def _before(_request: Any, response: Any, invalid: Exception | None, *_: Any) -> None:
    """Give a refused request the shape of our errors."""
    if isinstance(invalid, ValidationError):
        first = invalid.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        told = _problem(where, first["msg"], f"see {PREFIX}/openapi.json")
        response.set_data(jsonify(told).get_data())


spec = SpecTree(
    "flask",
    title="Billhook",
    version="1",
    mode="strict",
    before=_before,
    validation_error_model=shapes.Error,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _, child: child,
    security_schemes=[SecurityScheme(name="bearer", data=_BEARER)],
    security={"bearer": []},
)


def _answers(found: type[BaseModel], *also: int) -> Responses:
    """Return what a view answers: what was found, or an error of ours."""
    errors = {f"HTTP_{status}": shapes.Error for status in (401, 422, 503, *also)}
    return Responses(HTTP_200=found, **errors)


@blueprint.before_request
def _let_in() -> Response | None:
    """Answer 401, 403 or 415 before anything of the request is read."""
    if request.endpoint == "api.openapi":
        return None
    g.token = bearer_token()
    if request.method not in ("POST", "DELETE"):
        return None
    request.max_content_length = MOST_BODY
    if not g.token.may_approve:
        todo = "use one that was made with --role approver"
        return _error(403, "token", f"{g.token.name} may look but not change anything", todo)
    if request.method == "POST" and request.mimetype != "application/json":
        return _error(415, "request", "its body is no JSON", "send Content-Type: application/json")
    return None


@blueprint.after_request
def _never_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI document."""
    return jsonify(spec.spec)


@blueprint.get("/events")
@spec.validate(resp=_answers(shapes.Events), operation_id="listEvents")
def events(query: shapes.EventsAsked) -> shapes.Events:
    """List events, oldest first."""
    with current_line().database.read() as connection:
        found = list_events(connection, **query.model_dump())
    return shapes.Events.model_validate({"events": found, "next": _next(found, query.limit)})


@blueprint.get("/lines")
@spec.validate(resp=_answers(shapes.Lines), operation_id="listLines")
def lines(query: shapes.LinesAsked) -> shapes.Lines:
    """List line items, oldest first."""
    chosen = query.model_dump(exclude={"invoice"})
    with current_line().database.read() as connection:
        found = list_lines(connection, reference=query.invoice, **chosen)
    return shapes.Lines.model_validate({"lines": found, "next": _next(found, query.limit)})


@blueprint.get("/invoices")
@spec.validate(resp=_answers(shapes.Invoices), operation_id="listInvoices")
def invoices(query: shapes.InvoicesAsked) -> shapes.Invoices:
    """List invoices, oldest first."""
    with current_line().database.read() as connection:
        found = list_invoices(connection, **query.model_dump())
    return shapes.Invoices.model_validate({"invoices": found, "next": _next(found, query.limit)})


@blueprint.get("/invoices/<reference>")
@spec.validate(resp=_answers(shapes.WholeInvoice, 404), operation_id="getInvoice")
def invoice(reference: str) -> Any:
    """Return one invoice with its lines, approvals and payments."""
    return _invoice(reference)


@blueprint.post("/invoices/<reference>/approve")
@spec.validate(
    resp=_answers(shapes.WholeInvoice, 403, 404, 409, 413, 415), operation_id="approveInvoice"
)
def approve_invoice(reference: str, json: shapes.Approval) -> Any:
    """Approve a draft whose content has the hash that was looked at.

    It is 409 if it is no draft, has changed since, or waits for somebody else: where the customer
    names its approvers, each of them approves in turn, and the token is called like the approver.
    """
    line, token = current_line(), g.token
    if _found(reference) is None:
        return _no_invoice(reference)
    try:
        left = line.database.write(
            lambda connection: approve(
                connection,
                reference,
                approved_by=token.name,
                content_hash=json.content_hash,
                now=line.clock.now(),
            )
        )
    except ApprovalError as error:
        return _told(409, error)
    if not left:
        line.doorbell.ring("push")
    return _invoice(reference)


@blueprint.post("/invoices/<reference>/edits")
@spec.validate(
    resp=_answers(shapes.WholeInvoice, 403, 404, 409, 413, 415), operation_id="editInvoice"
)
def edit_invoice(reference: str, json: shapes.NewEdit) -> Any:
    """Edit a draft whose content has the hash that was looked at; it is assembled again next.

    It is 409 if it is no draft, has changed since, or cannot be edited like that.
    """
    return _edited(
        reference,
        lambda connection, now: make(
            connection,
            reference,
            _wanted(json),
            made_by=g.token.name,
            content_hash=json.content_hash,
            now=now,
        ),
    )


@blueprint.delete("/invoices/<reference>/edits/<int:edit_id>")
@spec.validate(resp=_answers(shapes.WholeInvoice, 403, 404, 409), operation_id="undoEdit")
def undo_edit(reference: str, edit_id: int) -> Any:
    """Undo an edit of a draft, or let a line go that was held back."""
    if edit_id > shapes.BIGGEST_ID:
        return _no_invoice(reference)
    return _edited(
        reference,
        lambda connection, now: undo(
            connection, reference, edit_id, undone_by=g.token.name, now=now
        ),
    )


def _edited(reference: str, act: Callable[[Connection, datetime], object]) -> Any:
    line = current_line()
    if _found(reference) is None:
        return _no_invoice(reference)
    try:
        line.database.write(lambda connection: act(connection, line.clock.now()))
    except EditError as error:
        return _told(409, error)
    line.doorbell.ring("assemble")
    return _invoice(reference)


def _wanted(said: shapes.NewEdit) -> Wanted:
    if said.line is not None:
        return NewText(said.line, said.text or "")
    if said.hold is not None:
        return HoldBack(said.hold)
    if said.order is not None:
        return NewOrder(tuple(said.order))
    return Discount(said.text or "", percent=said.percent, amount=said.amount)


@blueprint.get("/payments")
@spec.validate(resp=_answers(payment_shapes.RecordedPayments), operation_id="listPayments")
def payments(query: payment_shapes.PaymentsAsked) -> payment_shapes.RecordedPayments:
    """List recorded payments, oldest first."""
    chosen = query.model_dump(exclude={"invoice"})
    with current_line().database.read() as connection:
        found = list_recorded(connection, reference=query.invoice, **chosen)
    return payment_shapes.RecordedPayments.model_validate(
        {"payments": found, "next": _next(found, query.limit)}
    )


@blueprint.post("/payments")
@spec.validate(
    resp=_answers(payment_shapes.RecordedPayments, 403, 404, 409, 413, 415),
    operation_id="recordPayment",
)
def record_payment(json: payment_shapes.NewPayment) -> Any:
    """Record a payment on an invoice; answer all that are recorded on it.

    It is 409 if its billing system knows its payments itself, if it is not there, or if the amount
    does not fit. The same payment once more changes nothing.
    """
    line = current_line()
    by = recorder(g.token.name, "api")
    try:
        amount = Money(to_minor(Decimal(json.amount), json.currency), json.currency)
        on = date.fromisoformat(json.on)
    except ValueError as error:
        return _error(409, json.invoice, str(error), "write the amount and the day exactly")
    try:
        line.database.write(
            lambda connection: record(connection, json.invoice, amount, on, json.reference, by)
        )
    except NoInvoiceError:
        return _no_invoice(json.invoice)
    except PaymentError as error:
        return _told(409, error)
    line.doorbell.ring("look")
    with line.database.read() as connection:
        found = list_recorded(connection, reference=json.invoice, limit=MOST)
    return payment_shapes.RecordedPayments.model_validate({"payments": found, "next": None})


@blueprint.get("/held")
@spec.validate(resp=_answers(shapes.HeldThings), operation_id="listHeld")
def held(query: shapes.HeldAsked) -> shapes.HeldThings:
    """List what waits for a person: why, since when, how much is at risk, and how it goes on."""
    line = current_line()
    now = line.clock.now()
    with line.database.read() as connection:
        counts = count_held(connection, now)
        found = list_held(
            connection,
            now,
            after=query.after,
            limit=query.limit,
            kinds=() if query.kind is None else (query.kind,),
            customer=query.customer,
        )
        summed_up = passed_over(connection, now)
    return shapes.HeldThings(
        counts={name: each.count for name, each in counts.items()},
        held=[shapes.Held.model_validate(each.as_json(now)) for each in found],
        passed_over=[shapes.PassedOver.model_validate(each.as_json()) for each in summed_up],
        next=found[-1].key if len(found) == query.limit else None,
    )


def _next(found: Sequence[dict[str, Any]], limit: int) -> int | None:
    return found[-1]["id"] if len(found) == limit else None


def _found(reference: str) -> dict[str, Any] | None:
    # PostgreSQL stores no NUL, so nothing is called by one.
    if "\x00" in reference:
        return None
    with current_line().database.read() as connection:
        return find_invoice(connection, reference)


def _invoice(reference: str) -> Any:
    found = _found(reference)
    return _no_invoice(reference) if found is None else shapes.WholeInvoice.model_validate(found)


def _no_invoice(reference: str) -> Response:
    return _error(404, reference[:128], "no such invoice", f"see {PREFIX}/invoices")


@blueprint.errorhandler(NoTokenError)
def _unauthorized(error: NoTokenError) -> Response:
    response = _told(401, error)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@blueprint.errorhandler(SQLAlchemyError)
def _database_error(error: SQLAlchemyError) -> Response:
    if not is_unavailable(error):
        raise error
    response = _error(503, "database", "cannot be used just now", "ask again in a moment")
    response.headers["Retry-After"] = "5"
    return response


def _http_error(error: HTTPException) -> Any:
    if error.response is not None or not request.path.startswith(PREFIX + "/"):
        return error
    response = error.get_response()
    told = _problem("request", error.name.lower(), f"see {PREFIX}/openapi.json")
    response.set_data(jsonify(told).get_data())
    response.content_type = "application/json"
    response.headers["Cache-Control"] = "no-store"
    return response


def _told(status: int, error: BillhookError) -> Response:
    """Return an error of ours, whose message reads *where: what - todo*."""
    where, _, rest = str(error).partition(": ")
    what, _, todo = rest.rpartition(" - ")
    return _error(status, where, what or todo, todo)


def _error(status: int, where: str, what: str, todo: str) -> Response:
    response = jsonify(_problem(where, what, todo))
    response.status_code = status
    return response


def _problem(where: str, what: str, todo: str) -> dict[str, Any]:
    return {"error": {"where": where, "what": what, "todo": todo}}
