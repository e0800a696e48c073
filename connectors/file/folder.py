"""A folder as a billing system: what the connectors `file` and `einvoice` have in common.

Each draft is kept as `<reference>.json`, and the papers that people read or send stand beside it.
What was paid is read from `payments.csv` in the same folder, which people keep by hand.
"""

from __future__ import annotations

import json
import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from connectors.connector import BillingConnector, RemoteCredit, RemoteInvoice
from connectors.http import Http
from connectors.whole_file import write_whole
from ledger.errors import PermanentError, RejectedError, TransientError, UnsupportedError
from ledger.invoices import InvoiceDraft, draft_from_json
from ledger.money import Money
from ledger.payments import Amounts, gone_there
from ledger.shown import Shown

from .payments import PAYMENTS_FILE, Paid, payments_of, references

FORMAT: Final = 1
ISSUED_ON: Final = "issued_on"
"""In a record: the date of an invoice that is final."""
REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
"""What may become a file name: no separators, no leading dot, nothing that leaves the folder."""


class FolderConnector(BillingConnector):
    """A folder; the same reference is always the same file."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._folder = Path(settings["folder"])

    @abstractmethod
    def _papers(self, draft: InvoiceDraft, issued_on: date | None) -> Mapping[str, bytes | None]:
        """Return the files that stand beside a draft's record, by name; None: none of that name.

        They are written before the record. Raise RejectedError if the draft cannot be such a paper.
        `issued_on` is None as long as it is a draft.
        """

    @abstractmethod
    def _paper_names(self, reference: str) -> tuple[str, ...]:
        """Return the names of all files that may stand beside a draft's record."""

    def _amounts(self, draft: InvoiceDraft, paid: Paid) -> Amounts:
        """Return what is known about an invoice, without what is credited."""
        return Amounts(
            # The first row in payments.csv, be it of 0.00, says that the invoice was sent.
            document="open" if paid.is_listed else "draft",
            currency=draft.currency,
            total=draft.total.minor,
            paid=paid.paid,
            refunded=paid.refunded,
            observed_at=datetime.now(UTC),
        )

    def has_answered(self) -> bool:
        return True

    def check(self) -> str:
        place = self._folder
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise PermanentError(
                f"{self.key}: {self._folder} cannot be written to - choose another `folder:` in "
                "workspace.yaml or change its permissions"
            )
        return str(self._folder)

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        return draft.customer.key

    def find_invoice(
        self,
        reference: str,
        *,
        remote_customer: str | None,
    ) -> RemoteInvoice | None:
        found = self._read(reference)
        return None if found is None else self._remote(found)

    def create_draft(
        self,
        draft: InvoiceDraft,
        *,
        remote_customer: str,
        idempotency_key: str,
    ) -> RemoteInvoice:
        self._fits(draft)
        found = self._read(draft.reference)
        if found is None:
            self._write_all(draft)
        elif found.content_hash() != draft.content_hash():
            raise _other_content(draft)
        return self._remote(draft)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        return self.create_draft(
            draft, remote_customer=found.remote_id, idempotency_key=idempotency_key
        )

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        self._fits(draft)
        there = self.fetch_invoice(remote_id)
        if there.amounts.document != "draft":
            raise RejectedError(
                f"{self.key}: {remote_id} is {there.amounts.document} and no draft any more - it "
                "is left as it is"
            )
        self._write_all(draft)
        return self._remote(draft)

    def find_credit(self, reference: str, remote_invoice: str) -> RemoteCredit | None:
        found = self._read(reference)
        return None if found is None else self._remote_credit(found)

    def credit(
        self, draft: InvoiceDraft, remote_invoice: str, *, idempotency_key: str
    ) -> RemoteCredit:
        self._fits(draft)
        found = self._read(draft.reference)
        if found is None:
            self._write_all(draft, self._today())
        elif found.content_hash() != draft.content_hash():
            raise _other_content(draft)
        return self._remote_credit(draft)

    def _today(self) -> date | None:
        """Return the date of what is issued now; None where nothing is ever issued."""
        return None

    def _remote_credit(self, note: InvoiceDraft) -> RemoteCredit:
        total = -note.total if note.credits else Money(0, note.currency)
        url = self._url(note.reference)
        return RemoteCredit(note.reference, note.reference, total, note.reference, url)

    def _credited(self, reference: str) -> int:
        """Return what credit notes take off an invoice, in minor units."""
        names = (path.stem for path in self._folder.glob(f"{_safe(reference)}-credit*.json"))
        notes = [self._read(name) for name in sorted(names)]
        return -sum(note.total.minor for note in notes if note and note.credits == reference)

    def shown(self, draft: InvoiceDraft) -> Shown:
        return replace(super().shown(draft), header=_header(draft))

    def _fits(self, draft: InvoiceDraft) -> None:
        if not draft.lines:
            raise RejectedError(
                f"{self.key}: {draft.reference} has no lines - there is nothing to bill"
            )
        if len(draft.lines) > self.abilities.most_lines:
            raise UnsupportedError(
                f"{self.key}: {draft.reference} has {len(draft.lines)} lines, more than "
                f"{self.abilities.most_lines} - group lines with `one_line_per`"
            )

    def _write_all(self, draft: InvoiceDraft, issued_on: date | None = None) -> None:
        content = as_content(draft)
        if issued_on is not None:
            content[ISSUED_ON] = issued_on.isoformat()
        # The record is written last: where it stands, the draft is complete.
        for name, paper in self._papers(draft, issued_on).items():
            if paper is None:
                self._remove(name)
            else:
                self._write(name, paper)
        text = json.dumps(content, indent=2, ensure_ascii=False)
        self._write(f"{draft.reference}.json", f"{text}\n".encode())

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        # The record goes first: papers without one count for nothing.
        for name in (f"{_safe(remote_id)}.json", *self._paper_names(remote_id)):
            self._remove(name)

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        # What somebody has edited is shown as it is now: it is not overwritten without a person.
        found = self._read(remote_id, also_edited=True)
        if found is None:
            return RemoteInvoice(remote_id, remote_id, gone_there(datetime.now(UTC)))
        return self._remote(found)

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, reference = hint.partition(":")
        return [reference] if kind == "invoice" and reference else []

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        since = int(cursor or 0)
        changed: dict[str, None] = {}
        latest = since
        for path in sorted(self._folder.glob("*.json")):
            changed_at = _changed_at(path)
            # "Not older" rather than "newer": two changes may share one tick of the file's clock.
            if changed_at >= since:
                changed[path.stem] = None
                latest = max(latest, changed_at)
        payments = self._path(PAYMENTS_FILE)
        changed_at = _changed_at(payments)
        if changed_at >= since:
            changed |= dict.fromkeys(references(payments))
            latest = max(latest, changed_at)
        return list(changed), str(latest)

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        for path in sorted(self._folder.glob("*.json")):
            found = self._read(path.stem)
            if found is not None and not found.credits:
                yield self._remote(found)

    def _remote(self, draft: InvoiceDraft) -> RemoteInvoice:
        reference = draft.reference
        paid = payments_of(self._path(PAYMENTS_FILE), reference, draft.currency)
        return RemoteInvoice(
            remote_id=reference,
            reference=reference,
            amounts=replace(self._amounts(draft, paid), credited=self._credited(reference)),
            lines=self.shown(draft).lines,
            header=_header(draft),
            content_hash=draft.content_hash(),
            number=reference,
            url=self._url(reference),
        )

    def _url(self, reference: str) -> str:
        """Return where a person looks at an invoice."""
        return self._path(f"{reference}.json").absolute().as_uri()

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _read(self, reference: str, *, also_edited: bool = False) -> InvoiceDraft | None:
        """Return the draft that was written; raise PermanentError if somebody has changed it.

        One that is `also_edited` is returned as it stands, as long as it can be read.
        """
        path = self._path(f"{_safe(reference)}.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            draft = draft_from_json(content)
            is_untouched = content["content_hash"] == draft.content_hash()
            is_readable = all(type(line.amount) is int for line in draft.lines)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError(f"file: {path} cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise _spoiled(path) from error
        is_wanted = is_untouched or (also_edited and is_readable)
        if not is_wanted or draft.reference != reference:
            raise _spoiled(path)
        return draft

    def _remove(self, name: str) -> None:
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        try:
            write_whole(path, content)
        except OSError as error:
            raise _unwritable(path, error) from error


def as_content(draft: InvoiceDraft) -> dict[str, Any]:
    """Return what the JSON file says: the draft, amounts also as decimal text."""
    content = draft.as_json()
    for amount in (content, *content["lines"], *content.get("taxes", ())):
        for name in ("net", "tax", "amount", "total"):
            if isinstance(amount.get(name), int):
                amount[f"{name}_decimal"] = f"{Money(amount[name], draft.currency).decimal():f}"
    return {"format": FORMAT, "content_hash": draft.content_hash(), **content}


def _header(draft: InvoiceDraft) -> dict[str, str]:
    """Return what stands above and below the lines: everything else that the file says."""
    lines = ("reference", "lines", "total", "currency", "taxes", "net", "tax")
    content = {name: value for name, value in draft.as_json().items() if name not in lines}
    return {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in content.items()
        if value is not None
    }


def _changed_at(path: Path) -> int:
    """Return when a file was changed, in nanoseconds; 0 for one that is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _safe(reference: str) -> str:
    if not REFERENCE.fullmatch(reference):
        raise RejectedError(
            f'file: "{reference}" cannot be a file name - use letters, digits, ".", "_" and "-"'
        )
    return reference


def _other_content(draft: InvoiceDraft) -> PermanentError:
    return PermanentError(
        f"file: {draft.reference}.json is there with other content - compare it with the "
        "draft; move it away to write it anew"
    )


def _spoiled(path: Path) -> PermanentError:
    return PermanentError(f"file: {path} is not what was written there - restore or remove it")


def _unwritable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(
        f"file: {path} cannot be written ({error.strerror}) - make room or allow the writing"
    )
