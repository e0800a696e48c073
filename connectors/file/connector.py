"""Drafts as files in a folder: for people who have no billing system yet.

Each draft becomes `<reference>.json` (everything), `<reference>.csv` (its lines, for a
spreadsheet) and, where one goes with it, `<reference>.timesheet.csv`. The worker calls it through
`connectors.connector.BillingConnector`; what it does is in `folder.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import ClassVar

from connectors.connector import ANY_PLACES, CODING, Abilities, Setting
from ledger.invoices import InvoiceDraft
from ledger.timesheets import as_csv

from .folder import FolderConnector
from .table import lines_as_csv


class FileConnector(FolderConnector):
    """A folder with drafts for people and spreadsheets."""

    key = "file"
    name = "Files in a folder"
    docs_url = "https://www.rfc-editor.org/rfc/rfc4180"
    settings = (Setting("folder", "The folder that drafts are written into"),)
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=10_000,
        quantity_places=ANY_PLACES,
        taxes=True,
        credit=True,
        # They stand in the file, for whoever reads it.
        books=CODING,
        knows_payments=False,
        # Files are written by this process itself: when it is gone, nothing comes any more.
        settles_after=timedelta(0),
    )

    def _papers(self, draft: InvoiceDraft, issued_on: date | None) -> Mapping[str, bytes | None]:
        lines, timesheet = self._paper_names(draft.reference)
        return {
            lines: lines_as_csv(draft).encode(),
            timesheet: None if draft.timesheet is None else as_csv(draft.timesheet).encode(),
        }

    def _paper_names(self, reference: str) -> tuple[str, ...]:
        return f"{reference}.csv", f"{reference}.timesheet.csv"
