"""Tempo Timesheets as a source: worklogs that were asked for, because Tempo posts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Signature
from ..source import Reader, SignedExample, Source
from . import readers


class TempoSource(Source):
    """Tempo for Jira Cloud. The worklog names its issue by Jira's id; Jira tells the rest."""

    key = readers.KEY
    name = "Tempo Timesheets"
    docs_url = "https://apidocs.tempo.io/"
    signature: ClassVar[Signature | None] = None
    signed_example: ClassVar[SignedExample | None] = None
    kinds = ("time.logged",)
    replay = "nothing is posted: the worklog and its time of change"
    proven = "the vendor's published schema, 2026-11-22; no recorded body"
    readers: ClassVar[Mapping[str, Reader]] = {
        "found:worklog": readers.worklog,
        "found:worklogs": readers.worklogs,
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return the type of a body that came without the header, as when a file is read."""
        if payload.has("tempoWorklogId"):
            return "found:worklog"
        if payload.has("results"):
            return "found:worklogs"
        raise PayloadError("tempoWorklogId", "is missing - this is no worklog of Tempo")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
