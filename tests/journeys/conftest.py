"""The office that the journeys play in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.office import Office, open_office


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    """Give an office on SQLite and on PostgreSQL, its rules active, nothing told yet."""
    with open_office(tmp_path, database_url) as office:
        yield office
