"""The misbehaving billing system: it commits to its own store, and only then decides the reply.

One object serves the crash points in process (`port.py`) and real processes over HTTP
(`server.py`). Times are seconds of the clock that it was given.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from connectors.http import Request

from .faults import Asked, Plan
from .profiles import Profile, Timings
from .store import KeptAnswer, Row, Store

TOKEN: Final = "torture-access-token"
"""The access token that is good for ever, where tokens do not rotate."""
MOST_LINES_PER_CALL: Final = 100


class RefusalError(Exception):
    """The request is refused; nothing of it was carried out."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Reply:
    """What the system does about one request."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    held_seconds: float = 0.0
    """How long it waits before it answers or breaks the connection."""
    is_lost: bool = False
    """The connection breaks without an answer."""


@dataclass(frozen=True, slots=True)
class _Late:
    due_at: float
    request: Request


class BillingSystem:
    """One account at the misbehaving system."""

    def __init__(
        self,
        store: Store,
        profile: Profile,
        timings: Timings,
        plan: Plan,
        now: Callable[[], float],
        *,
        is_welcome: Callable[[str], bool] = lambda token: token == TOKEN,
    ) -> None:
        """Make the account; `is_welcome` says whether an access token is good now."""
        self.store, self.profile, self.timings, self.plan = store, profile, timings, plan
        self.now, self._is_welcome = now, is_welcome
        self.refuses = ""
        """What is refused until a person changes it: the last word of an address, `lines`."""
        self._late: list[_Late] = []
        self._lock = threading.RLock()

    def answer(self, request: Request) -> Reply:
        """Carry a request out, or not, and say how to answer it."""
        with self._lock:
            self.catch_up()
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not self._is_welcome(token):
                return _refused(RefusalError(401, "token_expired"))
            try:
                asked = self._asked(request)
            except RefusalError as refusal:
                return _refused(refusal)
            kind = self.plan.next(asked)
            if kind is None:
                return self._served(request)
            with self.store.transaction():
                self.store.count(kind)
            reply: Reply = getattr(self, f"_{kind}")(request)
            return reply

    def possible(self, request: Request) -> list[str]:
        """Return the faults that would be effective if this request came now."""
        with self._lock:
            self.catch_up()
            return sorted(self._asked(request).can_be_hit_by())

    def catch_up(self) -> None:
        """Carry out what was to be late, as far as it is due."""
        with self._lock:
            due = [each for each in self._late if each.due_at <= self.now()]
            self._late = [each for each in self._late if each.due_at > self.now()]
            for each in due:
                self._served(each.request, is_late=True)

    def truth(self) -> list[Row]:
        """Return every invoice with its lines: for the judge, never for the product."""
        with self._lock:
            self.catch_up()
            return self.store.invoices()

    def happen(self, what: str, reference: str, amount: int = 0) -> None:
        """Let a person do something there: `pay`, `finalize`, `void`, `delete`, `touch`."""
        with self._lock, self.store.transaction():
            for row in self.store.invoices(reference):
                number = _number(row["id"])
                if what == "delete":
                    self.store.delete(number)
                elif what == "touch":
                    header = {**row["header"], "memo": "A person was here"}
                    self.store.change(number, self.now(), header=json.dumps(header))
                elif what == "pay":
                    paid = row["paid"] + amount
                    self.store.change(number, self.now(), paid=paid, state="open")
                else:
                    state = {"finalize": "open", "void": "void"}[what]
                    self.store.change(number, self.now(), state=state)

    def _drop_before(self, _request: Request) -> Reply:
        return Reply(is_lost=True)

    def _500_before(self, _request: Request) -> Reply:
        return _json({"error": "internal"}, 500)

    def _429(self, _request: Request) -> Reply:
        wait = {"Retry-After": str(self.timings.retry_after)}
        return _json({"error": "too_many_requests"}, 429, wait)

    def _token_expired(self, _request: Request) -> Reply:
        return _json({"error": "token_expired"}, 401)

    def _redirect(self, request: Request) -> Reply:
        return _json({}, 302, {"Location": f"http://login.example{urlsplit(request.url).path}"})

    def _html_before(self, _request: Request) -> Reply:
        return Reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})

    def _html_after(self, request: Request) -> Reply:
        self._served(request)
        return self._html_before(request)

    def _delay(self, request: Request) -> Reply:
        served = self._served(request)
        return Reply(served.status, served.body, served.headers, self.timings.delay)

    def _lost_after(self, request: Request) -> Reply:
        self._served(request)
        return Reply(is_lost=True)

    def _slow_after(self, request: Request) -> Reply:
        self._served(request)
        return Reply(is_lost=True, held_seconds=self.timings.client_timeout + 0.2)

    def _500_after(self, request: Request) -> Reply:
        self._served(request)
        return _json({"error": "internal"}, 500)

    def _late_commit(self, request: Request) -> Reply:
        wait = self.timings.client_timeout
        key = request.headers.get("Idempotency-Key")
        if key and self.profile.has_keys and self._kept(key) is None:
            with self.store.transaction():
                self.store.keep(key, KeptAnswer(_signature(request), 0, {}, self.now()))
        self._late.append(_Late(self.now() + wait + self.timings.late, request))
        return Reply(is_lost=True, held_seconds=wait + 0.2)

    def _sticky500_effect(self, request: Request) -> Reply:
        return self._served(request, spoil="answer")

    def _sticky500_no_effect(self, request: Request) -> Reply:
        return self._served(request, spoil="all")

    def _partial_lines(self, request: Request) -> Reply:
        self._served(request, spoil="half")
        return _json({"error": "internal"}, 500)

    def _stale_list(self, request: Request) -> Reply:
        young = self.now() - self.timings.stale
        reference = _query(request).get("reference")
        old = [row for row in self.store.invoices(reference) if row["created_at"] < young]
        return _json({"data": old})

    def _wrong_total(self, request: Request) -> Reply:
        served = self._served(request)
        body = json.loads(served.body)
        if "total" in body:
            body["total"] += 1
        return Reply(served.status, json.dumps(body).encode(), served.headers)

    def _asked(self, request: Request) -> Asked:
        """Return what a request is; raise RefusalError if there is no such thing to ask."""
        method, parts = request.method, _parts(request)
        given = _given(request)
        is_new = method == "POST" and parts == ["invoices"]
        reference = _query(request).get("reference")
        young = self.now() - self.timings.stale
        is_list = method == "GET" and parts == ["invoices"]
        return Asked(
            what=f"{method} {'/'.join(part if part.isalpha() else '_' for part in parts)}",
            changes=method != "GET",
            has_key=self.profile.has_keys
            and method != "GET"
            and "Idempotency-Key" in request.headers,
            hides=is_list
            and any(row["created_at"] >= young for row in self.store.invoices(reference)),
            # Money is compared when it is written; a wrong total in passing hurts there.
            shows_total=is_new or parts[2:] == ["lines"] or parts[2:] == ["finalize"],
            lines=len(given.get("lines", ())),
        )

    def _served(self, request: Request, *, spoil: str = "", is_late: bool = False) -> Reply:
        """Carry a request out once for each key; `spoil` says what of it goes wrong, for ever."""
        key = request.headers.get("Idempotency-Key") if self.profile.has_keys else None
        key = key if request.method != "GET" else None
        kept = self._kept(key) if key else None
        if kept is not None and not (is_late and kept.status == 0):
            if kept.asked != _signature(request):
                return _refused(RefusalError(400, "key_used_for_something_else"))
            if kept.status == 0:
                return _refused(RefusalError(409, "key_in_use"))
            return _json(kept.body, kept.status, {"Idempotent-Replayed": "true"})
        try:
            with self.store.transaction():
                status, body = 200, {} if spoil == "all" else self._carried_out(request, spoil)
                if spoil in ("answer", "all"):
                    status, body = 500, {"error": "internal"}
                if key and spoil != "half":
                    answer = KeptAnswer(_signature(request), status, body, self.now())
                    self.store.keep(key, answer)
        except RefusalError as refusal:
            # A refusal leaves the key unused, as validation does.
            return _refused(refusal)
        return _json(body, status)

    def _kept(self, key: str) -> KeptAnswer | None:
        return self.store.kept(key, self.now() - self.timings.key_window)

    def _carried_out(self, request: Request, spoil: str) -> Row:
        """Return the answer to a request that is carried out; raise RefusalError."""
        method, parts, given = request.method, _parts(request), _given(request)
        lines = given.get("lines", [])
        if len(lines) > MOST_LINES_PER_CALL:
            raise RefusalError(400, "too_many_lines")
        if self.refuses and parts[-1] == self.refuses and method != "GET":
            raise RefusalError(400, "refused")
        given["lines"] = lines[: len(lines) // 2] if spoil == "half" else lines
        match [method, *parts]:
            case ["GET", "account"]:
                return {"id": "acct_1", "name": f"Torture {self.profile.name}"}
            case ["GET", "customers"]:
                return {"data": self.store.customers(_query(request).get("key", ""))}
            case ["POST", "customers"]:
                return self.store.add_customer(given["key"], {"name": given["name"]})
            case ["GET", "invoices"]:
                return {"data": self.store.invoices(_query(request).get("reference"))}
            case ["POST", "invoices"]:
                return self._created(given)
            case ["GET", "changes"]:
                since = float(_query(request).get("since", "0"))
                return {"data": self.store.changed_since(since), "until": self.now()}
            case [_, "invoices", invoice_id, *rest]:
                return self._changed(method, invoice_id, rest, given)
        raise RefusalError(404, "no_such_address")

    def _created(self, given: Row) -> Row:
        if self.profile.has_unique_references and self.store.invoices(given["reference"]):
            raise RefusalError(409, "number_taken")
        number = self.store.add_invoice(given, self.now())
        self.store.add_lines(number, given["lines"])
        return self._shown(number)

    def _changed(self, method: str, invoice_id: str, rest: list[str], given: Row) -> Row:
        number = _number(invoice_id)
        row = self.store.invoice(number)
        if row is None:
            raise RefusalError(404, "no_such_invoice")
        if method == "GET":
            return row
        named = given.get("version")
        if self.profile.has_versions and named is not None and named != row["version"]:
            raise RefusalError(409, "version_is_not_current")
        if row["state"] != "draft":
            raise RefusalError(400, "not_a_draft")
        match [method, *rest]:
            case ["DELETE"]:
                self.store.delete(number)
                return {"id": invoice_id, "deleted": True}
            case ["POST", "lines"]:
                self.store.add_lines(number, given["lines"])
                self.store.change(number, self.now())
            case ["PUT"]:
                # A new head; of the lines the first ones stay, the others are sent anew.
                self.store.remove_lines(number, given.get("keep", 0))
                self.store.change(number, self.now(), header=json.dumps(given.get("header", {})))
            case ["POST", "finalize"]:
                self.store.change(number, self.now(), state="open")
            case _:
                raise RefusalError(404, "no_such_address")
        return self._shown(number)

    def _shown(self, number: int) -> Row:
        row = self.store.invoice(number)
        if row is None:
            raise AssertionError("an invoice that was just written is there")
        return row


def _parts(request: Request) -> list[str]:
    path = urlsplit(request.url).path
    if "/v1/" not in path:
        raise RefusalError(404, "no_such_address")
    return path.partition("/v1/")[2].split("/")


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def _given(request: Request) -> Row:
    try:
        given = json.loads(request.body or b"{}")
    except ValueError:
        raise RefusalError(400, "no_json") from None
    if not isinstance(given, dict):
        raise RefusalError(400, "no_object")
    return given


def _signature(request: Request) -> str:
    return f"{request.method} {urlsplit(request.url).path} {(request.body or b'').decode()}"


def _number(invoice_id: str) -> int:
    number = invoice_id.removeprefix("inv_")
    if not number.isdigit():
        raise RefusalError(404, "no_such_invoice")
    return int(number)


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    kind = {"Content-Type": "application/json"}
    return Reply(status, json.dumps(body).encode(), {**kind, **(headers or {})})


def _refused(refusal: RefusalError) -> Reply:
    return _json({"error": refusal.code}, refusal.status)
