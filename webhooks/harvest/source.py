"""Harvest as a source: time entries that were asked for, because Harvest posts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Signature
from ..source import Reader, SignedExample, Source
from . import readers


class HarvestSource(Source):
    """Harvest, version 2 of its API."""

    key = readers.KEY
    name = "Harvest"
    docs_url = "https://help.getharvest.com/api-v2/timesheets-api/timesheets/time-entries/"
    signature: ClassVar[Signature | None] = None
    signed_example: ClassVar[SignedExample | None] = None
    kinds = ("time.logged",)
    replay = "nothing is posted: the entry and its time of change"
    proven = "the vendor's published reference, 2026-11-22; no recorded body"
    readers: ClassVar[Mapping[str, Reader]] = {
        "found:time_entry": readers.time_entry,
        "found:time_entries": readers.time_entries,
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return the type of a body that came without the header, as when a file is read."""
        if payload.has("time_entries"):
            return "found:time_entries"
        if payload.has("spent_date"):
            return "found:time_entry"
        raise PayloadError("spent_date", "is missing - this is no time entry of Harvest")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
