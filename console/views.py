"""The pages that people look at: the line, an invoice, and signing in. Read-only, no JavaScript.

`app.py` registers the blueprint. `flask signin-link` prints the link that lets a person in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import SQLAlchemyError

from ledger.access import (
    SESSION_LIFE,
    AccessError,
    check_link,
    is_session,
    sign_session,
    use_link,
)
from ledger.database import is_unavailable
from ledger.events import as_utc_text
from ledger.held import (
    HELD_KINDS,
    SUMMED_UP_DAYS,
    Count,
    Held,
    count_held,
    first_held,
    list_held,
    passed_over,
)
from ledger.listings import find_invoice, find_timesheet, list_invoices
from ledger.overview import Refused, Waiting, recent_deliveries, refused, waiting
from ledger.timesheets import as_csv

from .current import current_line
from .invoice_facts import invoice_facts
from .texts import age_text, clipped

COOKIE: Final = "billhook_session"
SHOWN: Final = 20
"""The most rows of one kind on the page."""
PAGE: Final = 100
"""The most rows on a page of the whole list."""
REFUSED_DAYS: Final = 7
POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
BOXES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("normalize", ("normalize", "enrich"), ("delivery", "fact")),
    ("map", ("map",), ("subject",)),
    ("assemble", ("assemble",), ("customer", "invoice")),
    ("approve", ("approve",), ("approval",)),
    ("push", ("push",), ("push", "restore", "stray")),
    ("sync back", ("follow", "look", "report"), ("hint", "report")),
)
"""The boxes of the line behind receiving: name, the stages in it, and what is held there."""

blueprint = Blueprint(
    "console",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/console",
)
blueprint.add_app_template_filter(clipped)


@dataclass(frozen=True, slots=True)
class Box:
    """One stage of the line as the page shows it."""

    name: str
    figure: str
    note: str
    is_busy: bool = False
    held: int = 0


@blueprint.before_request
def _only_from_here() -> Response | None:
    """Turn away what another site has a browser send: it may neither sign in nor out.

    Browsers say so themselves in this header. `Origin` says nothing here, because pages with our
    Referrer-Policy send "null"; a client that sends neither is no browser, and has no cookie.
    https://fetch.spec.whatwg.org/#origin-header
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if request.method in ("GET", "HEAD", "OPTIONS") or site in ("same-origin", "none"):
        return None
    problem = "this came from another site - open Billhook yourself and do it there"
    return make_response(render_template("welcome.html", problem=problem), 403)


@blueprint.after_request
def _guard(response: Response) -> Response:
    response.headers.update(POLICY)
    return response


@blueprint.get("/")
def overview() -> Response:
    """Show how the line stands, to people who are signed in."""
    line = current_line()
    now = line.clock.now()
    if not is_session(line.settings.secret_key, request.cookies.get(COOKIE), now):
        return make_response(render_template("welcome.html", problem=None), 401)
    with line.database.read() as connection:
        counts = count_held(connection, now)
        deliveries = recent_deliveries(connection, SHOWN)
        turned_away = refused(connection, (now - timedelta(days=REFUSED_DAYS)).date())
        page = render_template(
            "overview.html",
            now=as_utc_text(now),
            boxes=_boxes(waiting(connection, now), counts, deliveries, turned_away, now),
            invoices=list_invoices(connection, limit=SHOWN, newest_first=True),
            counts=counts,
            held=[
                _shown(each, now)
                for kind in HELD_KINDS
                for each in first_held(connection, kind, SHOWN, now)
            ],
            passed_over=passed_over(connection, now),
            summed_up_days=SUMMED_UP_DAYS,
            turned_away=turned_away,
            deliveries=deliveries,
            shown=SHOWN,
            refused_days=REFUSED_DAYS,
        )
    return make_response(page)


@blueprint.get("/waiting")
def everything_that_waits() -> Response:
    """Show a page of what waits for a person, to people who are signed in."""
    line = current_line()
    now = line.clock.now()
    if not is_session(line.settings.secret_key, request.cookies.get(COOKIE), now):
        return make_response(render_template("welcome.html", problem=None), 401)
    after = request.args.get("after")
    try:
        with line.database.read() as connection:
            found = list_held(connection, now, after=after, limit=PAGE)
    except ValueError:
        problem = "there is no such place in the list"
        return make_response(render_template("welcome.html", problem=problem), 404)
    held = [_shown(each, now) for each in found]
    goes_on = found[-1].key if len(found) == PAGE else None
    return make_response(render_template("waiting.html", held=held, goes_on=goes_on))


def _shown(each: Held, now: datetime) -> dict[str, object]:
    """Return one thing that waits, as the pages show it."""
    age = None if each.since is None else age_text(max(timedelta(), now - each.since))
    return {
        "kind": each.kind,
        "where": each.where,
        "what": each.what,
        "reason": each.reason,
        "age": age,
        "at_risk": each.at_risk,
        "go_on": each.go_on,
    }


@blueprint.get("/invoices/<reference>/timesheet.csv")
def timesheet(reference: str) -> Response:
    """Give out the time entries that go with an invoice, to people who are signed in."""
    line = current_line()
    session = request.cookies.get(COOKIE)
    if not is_session(line.settings.secret_key, session, line.clock.now()):
        return make_response(render_template("welcome.html", problem=None), 401)
    rows = None
    # PostgreSQL stores no NUL, so nothing is called by one.
    if "\x00" not in reference:
        with line.database.read() as connection:
            rows = find_timesheet(connection, reference)
    if rows is None:
        return make_response("There is no such timesheet.\n", 404, {"Content-Type": "text/plain"})
    told = make_response(as_csv(rows))
    told.headers["Content-Type"] = "text/csv; charset=utf-8"
    told.headers.set("Content-Disposition", "attachment", filename=f"{reference}-timesheet.csv")
    return told


@blueprint.get("/invoices/<reference>")
def invoice(reference: str) -> Response:
    """Show an invoice, with its taxes and parties, to people who are signed in."""
    line = current_line()
    if not is_session(line.settings.secret_key, request.cookies.get(COOKIE), line.clock.now()):
        return make_response(render_template("welcome.html", problem=None), 401)
    # PostgreSQL stores no NUL, so nothing is called by one.
    with line.database.read() as connection:
        found = None if "\x00" in reference else find_invoice(connection, reference)
    if found is None:
        return make_response(
            render_template("welcome.html", problem="there is no such invoice"), 404
        )
    return make_response(render_template("invoice.html", invoice=found, facts=invoice_facts(found)))


def _boxes(
    stages: Sequence[Waiting],
    counts: Mapping[str, Count],
    deliveries: Sequence[Mapping[str, object]],
    turned_away: Sequence[Refused],
    now: datetime,
) -> list[Box]:
    by_name = {stage.stage: stage for stage in stages}
    boxes = [_receive_box(deliveries, now), _verify_box(turned_away)]
    for name, inside, held in BOXES:
        rows = sum(by_name[stage].rows for stage in inside)
        seconds = max(by_name[stage].age_seconds(now) for stage in inside)
        note = f"waiting, oldest {age_text(timedelta(seconds=seconds))}" if rows else "waiting"
        boxes.append(Box(name, str(rows), note, rows > 0, sum(counts[kind].count for kind in held)))
    return boxes


def _receive_box(deliveries: Sequence[Mapping[str, object]], now: datetime) -> Box:
    if not deliveries:
        return Box("receive", "–", "nothing came yet")
    last = datetime.fromisoformat(str(deliveries[0]["received_at"]))
    return Box("receive", "✓", f"last {age_text(now - last)} ago")


def _verify_box(turned_away: Sequence[Refused]) -> Box:
    count = sum(each.count for each in turned_away)
    return Box("verify", str(count), f"refused in {REFUSED_DAYS} days", count > 0)


@blueprint.get("/signin")
def show_link() -> Response:
    """Show a button that uses the link up: a chat's preview of the link must not do it."""
    line, link = current_line(), request.args.get("link", "")
    try:
        check_link(line.settings.secret_key, link, line.clock.now())
    except AccessError as error:
        return _turned_away(error)
    return make_response(render_template("signin.html", link=link))


@blueprint.post("/signin")
def sign_in() -> Response:
    """Use a one-time link up and begin a session."""
    line, link = current_line(), request.form.get("link", "")
    key, now = line.settings.secret_key, line.clock.now()
    try:
        line.database.write(lambda connection: use_link(connection, key, link, now))
    except AccessError as error:
        return _turned_away(error)
    response = make_response(redirect(url_for("console.overview"), 303))
    response.set_cookie(
        COOKIE,
        sign_session(key, now),
        max_age=SESSION_LIFE,
        # Behind a platform's router the request itself comes by plain http.
        secure=request.is_secure or (line.settings.base_url or "").startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
    return response


@blueprint.post("/signout")
def sign_out() -> Response:
    """End the session in this browser."""
    response = make_response(redirect(url_for("console.overview"), 303))
    response.delete_cookie(COOKIE)
    return response


def _turned_away(error: AccessError) -> Response:
    return make_response(render_template("welcome.html", problem=str(error)), 401)


@blueprint.errorhandler(SQLAlchemyError)
def _database_error(error: SQLAlchemyError) -> Response:
    if not is_unavailable(error):
        raise error
    problem = "the database cannot be used just now - look again in a moment"
    answer = make_response(render_template("welcome.html", problem=problem), 503)
    answer.headers["Retry-After"] = "5"
    return answer
