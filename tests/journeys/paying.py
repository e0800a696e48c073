"""How the journeys record payments: by the command line, as people do."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result

from app import create_app
from tests.journeys.office import Office


def run(office: Office, *words: str) -> Result:
    app = create_app(office.line)
    return app.test_cli_runner().invoke(app.cli, ["payments", *words], catch_exceptions=False)


def bring(office: Office, data: bytes, *words: str) -> Any:
    """Import a file; return what the command tells."""
    path = office.folder / "statement"
    path.write_bytes(data)
    told = run(office, "import", str(path), "--json", *(words or ("--yes",)))
    office.settle()
    found = json.loads(told.output)
    assert told.exit_code == (1 if found["counts"]["question"] else 0)
    return found


def ways(found: Any) -> list[tuple[str, str | None]]:
    return [(each["way"], each["invoice"]) for each in found["entries"]]
