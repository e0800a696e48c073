"""Bills through the misbehaving system: as thin as any connector, one class for each profile.

It is registered in the processes of torture only (`register`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from connectors.connector import Abilities, BillingConnector, RemoteInvoice, Setting
from connectors.http import Http, Response
from connectors.registry import BILLING
from connectors.rest import NotThereError, Rest, content
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
)
from ledger.invoices import InvoiceDraft
from ledger.money import printed
from ledger.payments import Amounts
from ledger.shown import Shown, ShownLine

from .profiles import REAL, Timings
from .store import Row
from .system import MOST_LINES_PER_CALL

MOST_LINES: Final = 10_000


class TortureConnector(BillingConnector):
    """What the three profiles share."""

    docs_url = "https://billhook.example/torture"
    settings = (
        Setting("url", "Where the system listens"),
        Setting("token", "An access token", secret=True),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=MOST_LINES,
        quantity_places=12,
        finalize=True,
        lines_per_call=MOST_LINES_PER_CALL,
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = _Api(http, settings["url"], settings["token"], tool=self.name)

    def check(self) -> str:
        return str(self._api.get("/v1/account")["name"])

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        key, name = draft.customer.key, draft.customer.name
        with self._api.reading("the list of customers"):
            found = [str(row["id"]) for row in self._api.get("/v1/customers", key=key)["data"]]
        if found:
            # An earlier attempt may have made two of them; the first one is ours for ever.
            return found[0]
        made = self._api.write("POST", "/v1/customers", {"key": key, "name": name}, idempotency_key)
        return str(made["id"])

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        with self._api.reading("the list of invoices"):
            found = list(self._api.get("/v1/invoices", reference=reference)["data"])
            if len(found) > 1:
                ids = " and ".join(str(row["id"]) for row in found)
                raise PermanentError(f"torture: {ids} both have reference {reference}")
            return _remote(found[0]) if found else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        sent = {
            "reference": draft.reference,
            "customer": remote_customer,
            "currency": draft.currency,
            "header": _header(draft),
        }
        return _remote(self._api.write("POST", "/v1/invoices", sent, idempotency_key))

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        there = self._invoice(found.remote_id)
        if there["header"]["content"] == draft.content_hash():
            return _remote(there)
        return self.update_draft(draft, found.remote_id, idempotency_key=idempotency_key)

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        there, lines = self._invoice(remote_id), _lines(draft)
        if there["state"] != "draft":
            raise RejectedError(f"torture: {remote_id} is {there['state']} and no draft any more")
        pairs = enumerate(zip(there["lines"], lines, strict=False))
        keep = next((number for number, (theirs, ours) in pairs if theirs != ours), None)
        keep = min(len(there["lines"]), len(lines)) if keep is None else keep
        if there["header"] == _header(draft) and keep == len(there["lines"]):
            return _remote(there)
        sent = {"header": _header(draft), "keep": keep, "version": there["version"]}
        path = f"/v1/invoices/{remote_id}"
        return _remote(self._api.write("PUT", path, sent, f"{idempotency_key}-{keep}"))

    def add_lines(
        self, draft: InvoiceDraft, remote_id: str, first: int, *, idempotency_key: str
    ) -> RemoteInvoice:
        lines = _lines(draft)[first : first + (self.abilities.lines_per_call or MOST_LINES)]
        sent: Row = {"lines": lines}
        if not self.abilities.idempotency_keys:
            there = self._invoice(remote_id)
            if len(there["lines"]) != first:
                raise OutcomeUnknownError(f"torture: {remote_id} has other lines than a while ago")
            sent["version"] = there["version"]
        path = f"/v1/invoices/{remote_id}/lines"
        return _remote(self._api.write("POST", path, sent, idempotency_key))

    def shown(self, draft: InvoiceDraft) -> Shown:
        return replace(super().shown(draft), header=_shown_header(_header(draft)))

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        try:
            self._api.write("DELETE", f"/v1/invoices/{remote_id}", None, idempotency_key)
        except NotThereError:
            return

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        try:
            return _remote(self._invoice(remote_id))
        except NotThereError:
            return RemoteInvoice(remote_id, None, Amounts("deleted", currency="XXX", total=0))

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        invoice = self._invoice(remote_id)
        if invoice["state"] == "draft":
            path = f"/v1/invoices/{remote_id}/finalize"
            sent = {"version": invoice["version"]}
            invoice = self._api.write("POST", path, sent, f"{idempotency_key}-finalize")
        return _remote(invoice)

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, remote_id = hint.partition(":")
        return [remote_id] if kind == "invoice" and remote_id else []

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        with self._api.reading("the list of changes"):
            told = self._api.get("/v1/changes", since=cursor or "0")
            return [str(each) for each in told["data"]], str(told["until"])

    def _invoice(self, remote_id: str) -> Row:
        with self._api.reading(remote_id):
            return dict(self._api.get(f"/v1/invoices/{remote_id}"))


class StripeLikeConnector(TortureConnector):
    """Idempotency keys, and 500s that are kept under them."""

    key = "torture_stripe_like"
    name = "Torture, like Stripe"
    abilities = replace(
        TortureConnector.abilities, idempotency_keys=True, key_life=timedelta(hours=24)
    )


class AccountingLikeConnector(TortureConnector):
    """No keys, but a document's number is unique and a change names the version it is made to."""

    key = "torture_accounting_like"
    name = "Torture, like an accounting system"


class WorstConnector(TortureConnector):
    """Neither: only looking, after a quiet time, keeps it from billing twice."""

    key = "torture_worst"
    name = "Torture, the worst"


CONNECTORS: Final = {
    "stripe-like": StripeLikeConnector,
    "accounting-like": AccountingLikeConnector,
    "worst": WorstConnector,
}
"""The connector of each profile."""


def register(timings: Timings = REAL, *, lines_per_call: int = MOST_LINES_PER_CALL) -> None:
    """Make the three known to this process; every process of torture begins with it.

    Where the system runs on a scaled clock, what it is trusted with is scaled as well.
    """
    settles_after = timedelta(seconds=timings.client_timeout + timings.late + 1)
    for each in CONNECTORS.values():
        has_keys = each.abilities.idempotency_keys
        each.abilities = replace(
            each.abilities,
            key_life=timedelta(seconds=timings.key_window if has_keys else 0),
            settles_after=max(settles_after, timedelta(seconds=timings.stale)),
            lines_per_call=lines_per_call,
        )
        BILLING[each.key] = each


class _Api(Rest):
    """The system's own words for what it refuses."""

    def __init__(self, http: Http, url: str, token: str, *, tool: str) -> None:
        super().__init__(http, url, {"Authorization": f"Bearer {token}"}, tool=tool)

    def write(self, method: str, path: str, body: object, idempotency_key: str) -> Row:
        """Return the answer to a change; it must name what it is about."""
        key = {"Idempotency-Key": idempotency_key}
        answer = content(self.send(method, path, body=body, headers=key))
        if not isinstance(answer, dict) or "id" not in answer:
            raise OutcomeUnknownError(f"{self.tool}: the answer to {method} {path} says nothing")
        return answer

    def _coded(self, answer: Response, where: str) -> ConnectorError | None:
        """Return the error of a refusal that has a code of its own."""
        code = (content(answer) or {}).get("error")
        if code == "token_expired":
            return TransientError(f"{where}: the access token has expired", 1)
        if code in ("number_taken", "version_is_not_current"):
            return OutcomeUnknownError(f"{where}: {code} - look before trying again")
        return None

    def _judge(self, answer: Response, where: str, *, is_read: bool) -> None:
        if answer.status in (401, 409) and (error := self._coded(answer, where)):
            raise error
        super()._judge(answer, where, is_read=is_read)


def _header(draft: InvoiceDraft) -> dict[str, Any]:
    return {
        "content": draft.content_hash(),
        "lines": len(draft.lines),
        "memo": draft.memo or "",
        "purchase_order": draft.purchase_order or "",
    }


def _shown_header(header: Row) -> dict[str, str]:
    return {name: header[name] for name in ("memo", "purchase_order")}


def _lines(draft: InvoiceDraft) -> list[Row]:
    return [
        {
            "description": line.description,
            "quantity": printed(line.quantity),
            "unit_price": f"{line.unit_price:f}",
            "amount": line.amount,
        }
        for line in draft.lines
    ]


def _remote(row: Row) -> RemoteInvoice:
    lines = row["lines"]
    return RemoteInvoice(
        remote_id=str(row["id"]),
        reference=row["reference"],
        amounts=Amounts(
            document=row["state"],
            currency=row["currency"],
            total=row["total"],
            paid=row["paid"],
            credited=row["credited"],
            version=str(row["version"]),
            observed_at=datetime.now(UTC),
        ),
        lines=tuple(
            ShownLine(
                line["description"],
                line["amount"],
                Decimal(line["quantity"]),
                Decimal(line["unit_price"]),
            )
            for line in lines
        ),
        header=_shown_header(row["header"]),
        is_complete=len(lines) == row["header"]["lines"],
    )
