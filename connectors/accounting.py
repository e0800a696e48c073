"""What connectors to accounting systems without idempotency keys share.

One request makes an invoice with all its lines; a look for our reference always goes before it.
`AccountingConnector` has the order of these steps. A system's own `connector.py` says in that
system's words how to look, enter, overwrite and erase, and reads what stands there.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import escape, unescape
from typing import Any, Final

from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.events import json_with_numbers
from ledger.invoices import BilledCustomer, Coding, InvoiceDraft
from ledger.money import Money, exponent
from ledger.payments import gone_there
from ledger.shown import Shown, ShownLine, differences

from .connector import BillingConnector, RemoteInvoice
from .customers import CustomerThere, identified
from .digits import Digits, PricedLine
from .http import Http, Response
from .rest import Rest, content
from .taxes import nets

Json = dict[str, Any]

MARK: Final = "billhook:"
"""Stands before our reference and our customer key, in fields where others write, too."""
LOOK_BACK: Final = timedelta(minutes=10)
"""How far the next poll reaches back, for changes that become visible late: many systems date them
by the beginning of a transaction."""
FIRST_POLL: Final = timedelta(days=30)


def mark(key: str) -> str:
    """Return our reference or key as it is written there."""
    return MARK + key


def marked(text: object) -> str | None:
    """Return the reference or key in the first line of a text; None if it is none of ours.

    >>> marked("billhook:acme-2026-10"), marked("S00012")
    ('acme-2026-10', None)
    """
    first = str(text or "").strip().partition("\n")[0].strip()
    return first.removeprefix(MARK) if first.startswith(MARK) else None


def with_mark(text: str, reference: str) -> str:
    """Return a text with our reference in a last line of its own: where no other field has room."""
    return texts(text, mark(reference))


def without_mark(text: object) -> tuple[str, str | None]:
    """Return a text without our reference, and the reference; see `with_mark`.

    >>> without_mark("Thank you\\n\\nbillhook:acme-1"), without_mark("Thank you")
    (('Thank you', 'acme-1'), ('Thank you', None))
    """
    told = str(text or "").strip()
    before, _, last = told.rpartition("\n")
    reference = marked(last)
    return (told, None) if reference is None else (before.strip(), reference)


class Api(Rest):
    """A vendor's API. What cannot be read after a change leaves open whether it was made."""

    def __init__(
        self,
        http: Http,
        url: str,
        headers: Mapping[str, str],
        *,
        tool: str,
        is_refusal: Callable[[Any], bool],
        advice: Mapping[int, str] | None = None,
    ) -> None:
        """Make it. `is_refusal` says whether the JSON of an answer is the vendor's own error."""
        super().__init__(http, url, headers, tool=tool, advice=advice)
        self._is_refusal = is_refusal
        self.told_at: int | None = None
        """The time there at the first good answer since this was None, in Unix seconds."""

    def is_own(self, answer: Response) -> bool:
        return answer.status < 300 or self._is_refusal(content(answer))

    def send(self, *args: Any, **keywords: Any) -> Response:
        """Return a good answer; see `Rest.send`."""
        answer = super().send(*args, **keywords)
        if self.told_at is None:
            self.told_at = _answered_at(answer)
        return answer

    def write(self, method: str, path: str, body: object, **query: object) -> Any:
        """Change something and return the answer. Decimals go out as exact JSON numbers."""
        return content(self.send(method, path, query, exact(body)))

    @contextmanager
    def made(self, what: str) -> Iterator[None]:
        """Look at what a change has made: what goes wrong here leaves it open."""
        try:
            with self.reading(what):
                yield
        except (TransientError, PermanentError) as error:
            raise OutcomeUnknownError(f"{error}; it may have been done") from error


def exact(body: object) -> bytes:
    """Return a body as JSON in which a decimal is a number with all its digits."""
    return json_with_numbers(body).encode()


def _answered_at(answer: Response) -> int | None:
    try:
        return int(parsedate_to_datetime(answer.headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Sheet:
    """An invoice as an accounting system has it."""

    there: Json
    """In its own words."""
    remote: RemoteInvoice
    days_until_due: int | None = None
    """From its date on; None where it is not said."""


class AccountingConnector(BillingConnector):
    """A connector to a system where one request makes an invoice and no request has a key."""

    digits: Digits
    """What it keeps of numbers."""

    @property
    @abstractmethod
    def api(self) -> Api:
        """Return the vendor's API."""

    # What each system says in its own words.

    @abstractmethod
    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        """Return the invoices there that carry a reference, and perhaps others.

        By a read that is never stale; the customer is known as a rule.
        """

    @abstractmethod
    def _read(self, remote_id: str) -> Sheet | None:
        """Return an invoice with lines and amounts; None if the system itself says it is gone."""

    @abstractmethod
    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        """Enter a draft in one request."""

    @abstractmethod
    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        """Bring a draft there up to ours in one request."""

    @abstractmethod
    def _erase(self, sheet: Sheet) -> None:
        """Delete a draft."""

    @abstractmethod
    def _changed(self, since: datetime) -> Iterable[Sheet | str]:
        """Yield what changed at a moment or later: sheets, or ids where the list says no more."""

    @abstractmethod
    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        """Return the customers there that may be meant."""

    @abstractmethod
    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        """Create a customer and return its id."""

    # The order of the steps.

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        there = self._candidates(draft.customer)
        found = identified(self.key, draft.customer, there)
        return found or self._enter_customer(draft.customer, draft.currency)

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        asked_at = datetime.now(UTC)
        there = self._with_reference(reference, remote_customer)
        found = [
            sheet
            for sheet in there
            if sheet.remote.reference == reference and sheet.remote.amounts.document != "deleted"
        ]
        if len(found) > 1:
            # A void one is out of the books; another one has taken its place.
            found = [s for s in found if s.remote.amounts.document != "void"] or found
        if len(found) > 1:
            ids = " and ".join(sheet.remote.remote_id for sheet in found)
            raise PermanentError(
                f'{self.key}: {ids} both carry the reference "{reference}" - delete one of them'
            )
        return _seen(found[0], asked_at) if found else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        self._must_have_lines(draft)
        found = self.find_invoice(draft.reference, remote_customer=remote_customer)
        if found is not None:
            return self.complete_draft(draft, found, idempotency_key=idempotency_key)
        asked_at = datetime.now(UTC)
        return _seen(self._enter(draft, remote_customer), asked_at)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        # One request makes all of it, so it is as it was sent, or somebody else's.
        if told := self._difference(draft, found):
            raise PermanentError(
                f"{self.key}: {found.remote_id} ({draft.reference}) has other content: {told} - "
                "compare it with the draft; delete it there to push anew"
            )
        return found

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        sheet = self._must_be_a_draft(remote_id, draft.reference)
        self._must_have_lines(draft)
        due = draft.days_until_due
        is_due_so = due is None or sheet.days_until_due in (None, due)
        if self._difference(draft, sheet.remote) or not is_due_so:
            sheet = self._overwrite(draft, sheet)
        return _seen(sheet, asked_at)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        sheet = self._read(remote_id)
        if sheet is not None and sheet.remote.amounts.document != "deleted":
            self._erase(self._draft(sheet, remote_id))

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        asked_at = datetime.now(UTC)
        sheet = self._read(remote_id)
        if sheet is None:
            return RemoteInvoice(remote_id, None, gone_there(asked_at))
        return _seen(sheet, asked_at)

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, remote_id = hint.partition(":")
        if kind == "invoice" and remote_id:
            return [remote_id]
        raise UnsupportedError(f'{self.key}: the hint "{hint}" names no invoice')

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        # A day more: the moment is our clock's. What was made since was changed since.
        for each in self._changed(moment - timedelta(days=1)):
            asked_at = datetime.now(UTC)
            sheet = self._read(each) if isinstance(each, str) else each
            if sheet is None or sheet.remote.reference is None:
                continue
            if sheet.remote.amounts.document != "deleted":
                yield _seen(sheet, asked_at)

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        since = datetime.now(UTC) - FIRST_POLL if cursor is None else _moment(cursor)
        self.api.told_at = None
        changed = dict.fromkeys(
            each if isinstance(each, str) else each.remote.remote_id
            for each in self._changed(since)
        )
        # The system's own clock, so that ours may be wrong.
        upto = self.api.told_at
        before = int(since.timestamp())
        look_back = int(LOOK_BACK.total_seconds())
        return list(changed), str(before if upto is None else max(before, upto - look_back))

    def shown(self, draft: InvoiceDraft) -> Shown:
        lines = tuple(
            ShownLine(line.description, line.amount, line.quantity, line.unit_price)
            for line in self._priced(draft)
        )
        return Shown(draft.total, lines, self._header(draft))

    # What they need.

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        """Return what stands above and below the lines, by the names that the sheets have it."""
        return header(purchase_order=draft.purchase_order, memo=draft.memo, footer=closing(draft))

    def _priced(self, draft: InvoiceDraft) -> list[PricedLine]:
        """Return the lines in numbers that the system keeps; raise UnsupportedError."""
        lines = []
        amounts = nets(self.key, self.name, draft)
        for line, net in zip(draft.lines, amounts, strict=True):
            priced = self.digits.priced(
                line,
                draft.currency,
                net=None if self._keeps_inside(draft) else net,
                # On what a system reckons its tax, a product or its rounded amount, is its own.
                is_whole=self.abilities.calculates_taxes and bool(line.tax),
            )
            if priced is None:
                raise UnsupportedError(
                    f"{self.key}: {draft.reference}: {Money(line.amount, draft.currency)} has more "
                    f"decimal places than {self.name} keeps - send {draft.currency} elsewhere with "
                    "send_to:"
                )
            lines.append(priced)
        return lines

    def _must_be_kept(self, draft: InvoiceDraft, places: int) -> None:
        """Raise UnsupportedError for an amount with more decimals than its currency has there."""
        taxes = (total.amount for total in draft.taxes)
        for amount in (*(line.amount for line in draft.lines), *taxes):
            if amount % 10 ** max(0, exponent(draft.currency) - places):
                raise UnsupportedError(
                    f"{self.key}: {draft.reference}: {Money(amount, draft.currency)} has more "
                    f"than the {places} decimals that {draft.currency} has there - send it "
                    "elsewhere with send_to:"
                )

    def _keeps_inside(self, draft: InvoiceDraft) -> bool:
        """Return whether prices that hold their tax go out as they are; if not, without it."""
        return False

    def _difference(self, draft: InvoiceDraft, remote: RemoteInvoice) -> str | None:
        if remote.shown is None:
            return None
        return next(differences(self.shown(draft), remote.shown), None)

    def _must_have_lines(self, draft: InvoiceDraft) -> None:
        if not draft.lines:
            raise RejectedError(
                f"{self.key}: {draft.reference} has no lines - there is nothing to bill"
            )

    def _must_be_a_draft(self, remote_id: str, reference: str) -> Sheet:
        sheet = self._read(remote_id)
        if sheet is None:
            raise RejectedError(
                f"{self.key}: {remote_id} ({reference}) is not there, so it is no draft any more"
            )
        return self._draft(sheet, f"{remote_id} ({reference})")

    def _draft(self, sheet: Sheet, called: str) -> Sheet:
        document = sheet.remote.amounts.document
        if document != "draft":
            raise RejectedError(
                f"{self.key}: {called} is {document} and no draft any more - it is left as it is"
            )
        return sheet

    def _again(self, remote_id: str) -> Sheet:
        """Return an invoice as it is after a change; the change is open if it cannot be read."""
        with self.api.made(remote_id):
            sheet = self._read(remote_id)
            if sheet is None:
                raise TransientError(f"{self.key}: {remote_id} is not there")
        return sheet

    def _erased(self, remote_id: str) -> None:
        """Raise OutcomeUnknownError unless an invoice is gone, whatever the answer was."""
        with self.api.made(remote_id):
            sheet = self._read(remote_id)
            if sheet is not None and sheet.remote.amounts.document != "deleted":
                raise TransientError(f"{self.key}: {remote_id} is still there")

    def _coded(self, coding: Coding, word: str) -> str | None:
        """Return where a line stands in the books: as it says, else as the settings say."""
        return getattr(coding, word) or self.configured.get(word) or None


def _seen(sheet: Sheet, asked_at: datetime) -> RemoteInvoice:
    return replace(sheet.remote, amounts=replace(sheet.remote.amounts, observed_at=asked_at))


def _moment(cursor: str) -> datetime:
    return datetime.fromtimestamp(int(cursor), UTC)


def header(**texts: str | None) -> dict[str, str]:
    """Return those texts that say something."""
    return {name: text for name, text in texts.items() if text and text.strip()}


def closing(draft: InvoiceDraft) -> str:
    """Return what has to stand at the end of the invoice."""
    agreed = draft.particulars
    methods = f"{', '.join(agreed.payment_methods)}." if agreed.payment_methods else None
    contract = f"Contract: {agreed.contract}" if agreed.contract else None
    sentences = (total.words.text for total in draft.taxes)
    return texts(
        *(draft.footer, *sentences, contract, methods),
        *(agreed.early_payment, agreed.late_payment),
    )


def texts(*parts: str | None) -> str:
    """Return texts one below the other."""
    return "\n\n".join(part for part in parts if part)


_TAG: Final = re.compile(r"<[^>]*>")


def as_html(text: str) -> str:
    """Return a text for a field that holds HTML.

    >>> as_html("R&D\\nin March")
    '<p>R&amp;D<br>in March</p>'
    """
    paragraphs = (escape(each).replace("\n", "<br>") for each in text.split("\n\n"))
    return "".join(f"<p>{each}</p>" for each in paragraphs)


def from_html(html: object) -> str:
    """Return the text of a field that holds HTML."""
    return unescape(_TAG.sub(" ", str(html or ""))).strip()


def today() -> date:
    """Return the day that a draft is dated: today, in UTC."""
    return datetime.now(UTC).date()


def due_on(draft: InvoiceDraft, dated: date) -> str | None:
    """Return when a draft that is dated so is due, in ISO 8601; None where it is not agreed."""
    if draft.days_until_due is None:
        return None
    return (dated + timedelta(days=draft.days_until_due)).isoformat()


def days_between(dated: object, due: object) -> int | None:
    """Return the days from one ISO date to another; None if one of them is missing."""
    if not dated or not due:
        return None
    return (date.fromisoformat(str(due)[:10]) - date.fromisoformat(str(dated)[:10])).days


def objects(told: object) -> Sequence[Json]:
    """Return a list of objects as it came; raise TypeError for anything else."""
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise TypeError("not a list of objects")
    return told
