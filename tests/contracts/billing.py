"""What the contract tests of billing connectors share: every connector's rig, and a draft."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.connector import BillingConnector, RemoteInvoice, misfits
from connectors.contract import ContractRig
from connectors.registry import billing_connectors
from connectors.taxes import TaxesDifferError, holds_tax, takes_tax
from ledger.errors import UnsupportedError
from ledger.invoices import Address, BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import line_amount
from ledger.shown import differences
from ledger.taxes import TaxWords

from .schemas import held_to_schema

REAL = os.environ.get("BILLHOOK_REAL_SYSTEM")
"""The connector that is tried alone, on the real system that `tests/<key>/rig.py` leads to."""
KEYS = [REAL] if REAL else sorted(billing_connectors())
Setup = Callable[[Path], ContractRig]


def setup_of(key: str) -> Setup:
    module = f"tests.{key}.rig" if REAL else f"connectors.{key}.stand_in"
    found: Setup = importlib.import_module(module).contract_setup
    return lambda folder: held_to_schema(key, found(folder))


def rigs() -> Iterator[tuple[str, ContractRig]]:
    with TemporaryDirectory() as folder:
        for key in KEYS:
            yield key, setup_of(key)(Path(folder))


ABLE_TO = {key: set(rig.happenings) for key, rig in rigs()}
HAVE_CUSTOMERS = [key for key, rig in rigs() if rig.customers]
HAVE_VERSIONS = [key for key in KEYS if "edit" in ABLE_TO[key]]
OVER_HTTP = [key for key, rig in rigs() if rig.http]


def line(quantity: str, price: str, currency: str, text: str = "Engineering") -> PrintedLine:
    amount = line_amount(Decimal(quantity), Decimal(price), currency).minor
    return PrintedLine(text, Decimal(quantity), Decimal(price), amount)


def draft_of(*lines: PrintedLine, currency: str = "EUR", reference: str = "acme-1") -> InvoiceDraft:
    return InvoiceDraft(
        reference=reference,
        customer=BilledCustomer(
            *("acme", "Acme GmbH", "ap@acme.example"),
            address=Address(("Hafenstr. 1",), "Hamburg", "DE", "20457"),
            tax_id="DE999999999",
            may_be_created=True,
        ),
        currency=currency,
        lines=lines,
        period_from=date(2026, 3, 1),
        period_to=date(2026, 3, 31),
        days_until_due=30,
        purchase_order="PO-4471",
        memo="Work in March",
        footer="Thank you",
        # As the rules want it where nothing is taken.
        tax_words={"EX": TaxWords("VAT", "Exempt from tax: training.")},
    )


DRAFT = draft_of(line("1.5", "120.00", "EUR"), line("0.3333", "100.00", "EUR", "Review"))


def push(connector: BillingConnector, draft: InvoiceDraft, key: str = "key-1") -> str:
    connector.must_fit(draft)
    customer = connector.resolve_customer(draft, idempotency_key=key)
    pushed = connector.create_draft(draft, remote_customer=customer, idempotency_key=key)
    return with_all_lines(connector, draft, pushed).remote_id


def with_all_lines(
    connector: BillingConnector, draft: InvoiceDraft, remote: RemoteInvoice
) -> RemoteInvoice:
    """Return a draft with the lines that later requests add, where one takes only so many."""
    while connector.abilities.lines_per_call and len(remote.lines or ()) < len(draft.lines):
        first = len(remote.lines or ())
        remote = connector.add_lines(
            draft, remote.remote_id, first, idempotency_key=f"key-lines-{first}"
        )
    return remote


def push_if_possible(connector: BillingConnector, draft: InvoiceDraft) -> str | None:
    """Push a draft; return None if the system declares or says that it can never take it.

    Nothing of it is there then.
    """
    fits = not any(misfits(connector.abilities, connector.name, draft))
    may_refuse = connector.abilities.calculates_taxes and _may_be_rounded_otherwise(draft)
    try:
        pushed = push(connector, draft)
    except TaxesDifferError:
        assert may_refuse
        assert connector.find_invoice(draft.reference, remote_customer=None) is None
        return None
    except UnsupportedError as error:
        # That an account keeps its books without a currency, only the account tells.
        if fits and (draft.currency == "EUR" or draft.currency not in str(error)):
            raise
        assert connector.find_invoice(draft.reference, remote_customer=None) is None
        return None
    return pushed


def _may_be_rounded_otherwise(draft: InvoiceDraft) -> bool:
    """Return whether the tax depends on how it is rounded: not that of one line without it."""
    taxed = [each for each in draft.lines if takes_tax(each)]
    return len(taxed) > 1 or any(map(holds_tax, taxed))


def assert_shows(
    connector: BillingConnector, draft: InvoiceDraft, remote: RemoteInvoice | None
) -> None:
    """Assert that the system shows just this draft: total, lines, and what stands around them."""
    assert remote is not None
    assert remote.shown is not None
    in_order = connector.abilities.keeps_order
    assert list(differences(connector.shown(draft), remote.shown, in_order=in_order)) == []


def assert_nothing_secret(error: BaseException, rig: ContractRig) -> None:
    assert rig.secret
    seen: BaseException | None = error
    while seen is not None:
        assert rig.secret not in f"{seen} {seen!r}"
        seen = seen.__cause__
