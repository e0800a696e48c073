"""The `Line` of the application at work: views, the API and the commands get everything from it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from flask import current_app

from ledger.recording import Recorder

if TYPE_CHECKING:
    from line import Line


def current_line() -> Line:
    """Return settings, database, clock and doorbell of the application at work."""
    line: Line = current_app.extensions["billhook"]
    return line


def person_at_the_keyboard() -> str:
    """Return who runs a command, as the machine knows him: what he does is written down by it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return "command line"


def recorder(actor: str, source: str) -> Recorder:
    """Return who records payments, by the rules of the installation."""
    line = current_line()
    return Recorder(actor, source, line.records_payments(), line.told(), line.clock.now())
