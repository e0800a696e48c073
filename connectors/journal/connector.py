"""Invoices as transactions in the journal of hledger or beancount.

Each draft is one file below `invoices/`, a pending transaction (`!`) with our reference as its link
(beancount) or code (hledger). A person makes it final by changing `!` into `*`. What was paid is
read from the person's own journal, and recorded in Billhook. The worker calls it through
`connectors.connector.BillingConnector`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import ClassVar, Final

from connectors.connector import (
    ANY_PLACES,
    BOOKS,
    Abilities,
    BillingConnector,
    RemoteCredit,
    RemoteInvoice,
    Setting,
)
from connectors.http import Http
from connectors.whole_file import write_whole
from ledger.errors import PermanentError, RejectedError, TransientError, UnsupportedError
from ledger.invoices import InvoiceDraft
from ledger.money import Money, to_minor
from ledger.payments import Amounts, gone_there
from ledger.shown import Shown, ShownLine

from .books import Paid, changed_files, payments_of, references_in
from .reading import Posting, Transaction, read_beancount, read_hledger
from .writing import BEANCOUNT, ENDINGS, Accounts, account, header, plain, written

REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
"""What may become a file name, a link of beancount and a code of hledger."""
_DOCUMENTS: Final = {"!": "draft", "*": "open"}
_OURS: Final = ("invoices", "accounts")


class JournalConnector(BillingConnector):
    """A folder of journal files; the same reference is always the same file."""

    key = "journal"
    name = "hledger and beancount"
    docs_url = "https://plaintextaccounting.org/"
    settings = (
        Setting("folder", "The folder below which Billhook writes its files"),
        Setting("format", "hledger or beancount"),
        Setting(
            "ledger",
            "The file that your journal begins with: payments are read there; without it from "
            "`payments` in the folder",
            required=False,
        ),
        Setting("receivable", "The account above those of the customers", required=False),
        Setting("account", "The account of revenue, where a line has none", required=False),
        Setting("tax_account", "The account of taxes", required=False),
        Setting("open_accounts", "no: you open the accounts of beancount", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=10_000,
        quantity_places=ANY_PLACES,
        taxes=True,
        credit=True,
        knows_payments=False,
        books=BOOKS - {"create"},
        # Files are written by this process itself: when it is gone, nothing comes any more.
        settles_after=timedelta(0),
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._folder = Path(settings["folder"])
        self._dialect = settings["format"]

    def has_answered(self) -> bool:
        return True

    def check(self) -> str:
        if self._dialect not in ENDINGS:
            raise PermanentError(
                f'journal: format "{self._dialect}" is not known - write hledger or beancount'
            )
        place = self._folder
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise PermanentError(
                f"journal: {self._folder} cannot be written to - choose another `folder:` in "
                "workspace.yaml or change its permissions"
            )
        self._books()
        self._accounts("Assets:Receivable:X")
        return f"{self._folder} ({self._dialect})"

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        named = draft.customer.remote_id
        if named and ":" in named:
            return account(named, self._dialect, f"customer {draft.customer.key}")
        own = named or re.sub(r"[^A-Za-z0-9]+", "-", draft.customer.key).strip("-")
        receivable = self.configured.get("receivable", "Assets:Receivable")
        name = f"{receivable}:{own[:1].upper()}{own[1:]}"
        return account(name, self._dialect, f"customer {draft.customer.key}")

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        found = self._read(reference)
        return None if found is None else self._remote(reference, found)

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        self._fits(draft)
        found = self._read(draft.reference)
        if found is None:
            self._write(draft, remote_customer)
        elif found.said.get("billhook") != draft.content_hash():
            raise _other_content(draft)
        return self._must_be_there(draft)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        there = self._read(draft.reference)
        customer = (
            there.postings[0].account
            if there
            else self.resolve_customer(draft, idempotency_key=idempotency_key)
        )
        return self.create_draft(draft, remote_customer=customer, idempotency_key=idempotency_key)

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        self._fits(draft)
        there = self._read(remote_id)
        document = self.fetch_invoice(remote_id).amounts.document
        if there is None or document != "draft":
            raise RejectedError(
                f"journal: {remote_id} is {document} and no draft any more - it is left as it is"
            )
        self._write(draft, there.postings[0].account)
        return self._must_be_there(draft)

    def find_credit(self, reference: str, remote_invoice: str) -> RemoteCredit | None:
        found = self._read(reference)
        return None if found is None else self._remote_credit(reference, found)

    def credit(
        self, draft: InvoiceDraft, remote_invoice: str, *, idempotency_key: str
    ) -> RemoteCredit:
        self._fits(draft)
        credited, found = self._read(remote_invoice), self._read(draft.reference)
        if found is not None and found.said.get("billhook") != draft.content_hash():
            raise _other_content(draft)
        if found is None:
            customer = (
                credited.postings[0].account
                if credited
                else self.resolve_customer(draft, idempotency_key=idempotency_key)
            )
            self._write(draft, customer)
            found = self._read(draft.reference)
        if found is None:
            raise _spoiled(self._path(draft.reference))
        return self._remote_credit(draft.reference, found)

    def shown(self, draft: InvoiceDraft) -> Shown:
        lines = tuple(
            ShownLine(
                plain(line.description, self._dialect), line.amount, line.quantity, line.unit_price
            )
            for line in draft.lines
        )
        return Shown(draft.total, lines, header(draft, self._dialect))

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        path = self._path(remote_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        found = self._read(remote_id)
        if found is None:
            return RemoteInvoice(remote_id, remote_id, gone_there(datetime.now(UTC)))
        return self._remote(remote_id, found)

    def invoices_for(self, hint: str) -> list[str]:
        kind, _, reference = hint.partition(":")
        return [reference] if kind == "invoice" and reference else []

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        since = int(cursor or 0)
        ours = {path.stem: path for path in self._folder.glob(f"invoices/*.{self._ending}")}
        ours = {name: path for name, path in ours.items() if REFERENCE.fullmatch(name)}
        changed = {name: at for name, path in ours.items() if (at := _changed_at(path)) >= since}
        latest = max([since, *changed.values()])
        for path, changed_at in changed_files(self._books(), self._dialect, self._skipped()):
            if changed_at >= since:
                changed |= dict.fromkeys(references_in(path, ours), changed_at)
                latest = max(latest, changed_at)
        return sorted(changed), str(latest)

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        for path in sorted(self._folder.glob(f"invoices/*.{self._ending}")):
            found = self._read(path.stem) if REFERENCE.fullmatch(path.stem) else None
            if found is not None and "credits" not in found.said:
                yield self._remote(path.stem, found)

    @property
    def _ending(self) -> str:
        return ENDINGS.get(self._dialect, "journal")

    def _path(self, reference: str) -> Path:
        if not REFERENCE.fullmatch(reference):
            raise RejectedError(
                f'journal: "{reference}" cannot be a file name - use letters, digits, ".", "_" and '
                '"-"'
            )
        return self._folder / "invoices" / f"{reference}.{self._ending}"

    def _books(self) -> Path:
        """Return the file in which payments are looked for, and in what it includes."""
        ledger = self.configured.get("ledger")
        if ledger and not Path(ledger).is_file():
            # No journal is not the same as one without payments.
            raise PermanentError(f"journal: {ledger} is not there - mend `ledger:`")
        return Path(ledger or self._folder / f"payments.{self._ending}")

    def _skipped(self) -> tuple[Path, ...]:
        """Return the folders in which only we write."""
        return tuple((self._folder / name).resolve() for name in _OURS)

    def _accounts(self, receivable: str) -> Accounts:
        revenue = self.configured.get("account", "Income:Services")
        tax = self.configured.get("tax_account", "Liabilities:Tax")
        return Accounts(
            account(receivable, self._dialect, "receivable"),
            account(revenue, self._dialect, "account"),
            account(tax, self._dialect, "tax_account"),
        )

    def _fits(self, draft: InvoiceDraft) -> None:
        if not draft.lines:
            raise RejectedError(
                f"journal: {draft.reference} has no lines - there is nothing to bill"
            )
        if len(draft.lines) > self.abilities.most_lines:
            raise UnsupportedError(
                f"journal: {draft.reference} has {len(draft.lines)} lines, more than "
                f"{self.abilities.most_lines} - group lines with `one_line_per`"
            )

    def _write(self, draft: InvoiceDraft, receivable: str) -> None:
        path = self._path(draft.reference)
        accounts = self._accounts(receivable)
        named = {line.coding.account for line in draft.lines if line.coding.account}
        for each in named:
            account(each, self._dialect, f"{draft.reference}, account")
        named |= {accounts.receivable, accounts.revenue}
        named |= {accounts.tax} if draft.taxes else set()
        text = written(draft, accounts, self._dialect)
        try:
            self._write_around(sorted(named))
            # It is written last: where it stands, all is there that it needs.
            write_whole(path, text.encode())
        except OSError as error:
            raise _unwritable(path, error) from error

    def _write_around(self, accounts: list[str]) -> None:
        """Write what stands once: the file that includes all others, and the accounts' openings."""
        files = {f"invoices/_.{self._ending}": "; One file for each invoice.\n"}
        main = 'include "invoices/*.beancount"\n'
        if self._dialect != BEANCOUNT:
            main = "include invoices/*.journal\n"
        elif self.configured.get("open_accounts", "yes") != "no":
            for name in accounts:
                opened = f"1970-01-01 open {name}\n"
                files[f"accounts/{name.replace(':', '.')}.beancount"] = opened
            main += 'include "accounts/*.beancount"\n'
        files[f"billhook.{self._ending}"] = "; Include this file into your journal.\n" + main
        for name, text in files.items():
            if not (self._folder / name).exists():
                write_whole(self._folder / name, text.encode())

    def _read(self, reference: str) -> Transaction | None:
        """Return the transaction of a file of ours; raise PermanentError if it is none any more."""
        path = self._path(reference)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError(f"journal: {path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise _spoiled(path) from error
        read = read_beancount if self._dialect == BEANCOUNT else read_hledger
        found = list(read(text, str(path)))
        if len(found) != 1 or reference not in found[0].links or not found[0].postings:
            raise _spoiled(path)
        return found[0]

    def _must_be_there(self, draft: InvoiceDraft) -> RemoteInvoice:
        """Return a draft as it was read back: only that counts."""
        found = self._read(draft.reference)
        if found is None or found.said.get("billhook") != draft.content_hash():
            raise _spoiled(self._path(draft.reference))
        return self._remote(draft.reference, found)

    def _remote(self, reference: str, found: Transaction) -> RemoteInvoice:
        path = self._path(reference)
        total, currency = self._total(path, found)
        receivable = found.postings[0].account
        paid = payments_of(
            self._books(), self._dialect, self._skipped(), reference, receivable, currency
        )
        return RemoteInvoice(
            remote_id=reference,
            reference=reference,
            amounts=_amounts(found.flag, currency, total, paid, self._credited(reference)),
            lines=tuple(
                _line(path, each, currency) for each in found.postings if "text" in each.said
            ),
            header=_header(found),
            content_hash=found.said.get("billhook"),
            number=reference,
            url=path.absolute().as_uri(),
        )

    def _total(self, path: Path, found: Transaction) -> tuple[int, str]:
        """Return what stands on the customer's account, once all accounts sum to zero."""
        _, currency = found.postings[0].amount()
        amounts = [_minor(path, each, currency) for each in found.postings]
        if sum(amounts) != 0:
            raise _spoiled(path)
        return amounts[0], currency

    def _credited(self, reference: str) -> int:
        """Return what credit notes take off an invoice, in minor units."""
        credited = 0
        for path in sorted(self._folder.glob(f"invoices/{reference}-credit*.{self._ending}")):
            note = self._read(path.stem)
            if note is not None and note.said.get("credits") == reference:
                credited -= self._total(path, note)[0]
        return credited

    def _remote_credit(self, reference: str, found: Transaction) -> RemoteCredit:
        path = self._path(reference)
        total, currency = self._total(path, found)
        is_credit = "credits" in found.said
        amount = Money(-total if is_credit else 0, currency)
        return RemoteCredit(reference, reference, amount, reference, path.absolute().as_uri())


def _amounts(flag: str, currency: str, total: int, paid: Paid, credited: int) -> Amounts:
    document = _DOCUMENTS.get(flag, "unknown")
    if document == "draft" and paid:
        # Money came in: somebody has sent it, and not changed the mark.
        document = "open"
    return Amounts(
        document=document,
        currency=currency,
        total=total,
        paid=paid.paid,
        credited=credited,
        refunded=paid.refunded,
        is_settling=paid.is_pending,
        observed_at=datetime.now(UTC),
    )


def _header(found: Transaction) -> dict[str, str]:
    return {name: value for name, value in found.said.items() if name != "billhook"}


def _line(path: Path, posting: Posting, currency: str) -> ShownLine:
    said = posting.said
    try:
        inside = to_minor(Decimal(said.get("tax-inside", "0")), currency)
        amount = inside - _minor(path, posting, currency)
        quantity, price = Decimal(said["quantity"]), Decimal(said["unit-price"])
    except (InvalidOperation, ValueError, KeyError) as error:
        raise _spoiled(path) from error
    return ShownLine(said["text"], amount, quantity, price)


def _minor(path: Path, posting: Posting, currency: str) -> int:
    number, written_currency = posting.amount()
    try:
        if written_currency == currency:
            return to_minor(number, currency)
    except ValueError as error:
        raise _spoiled(path) from error
    raise _spoiled(path)


def _changed_at(path: Path) -> int:
    """Return when a file was changed, in nanoseconds; 0 for one that is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _other_content(draft: InvoiceDraft) -> PermanentError:
    return PermanentError(
        f"journal: {draft.reference} is there with other content - compare it with the draft; move "
        "its file away to write it anew"
    )


def _spoiled(path: Path) -> PermanentError:
    return PermanentError(f"journal: {path} is not what was written there - restore or remove it")


def _unwritable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(
        f"journal: {path} cannot be written ({error.strerror}) - make room or change its "
        "permissions"
    )
