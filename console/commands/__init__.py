"""The command line: `flask --help`. Each module holds what belongs together."""

from __future__ import annotations

import click

from .access import signin_link, tokens
from .audit import audit
from .connectors import connectors
from .copies import backup, restored
from .doctor import doctor
from .events import events
from .invoices import invoices
from .payments import payments
from .planning import plan as plan  # joins the group `rules`
from .reconcile import reconcile as reconcile  # joins the group `sources`
from .rules import rules
from .secrets import secrets
from .sources import sources
from .upkeep import db, sync
from .waiting import waiting

COMMANDS: tuple[click.Command, ...] = (
    sources,
    connectors,
    rules,
    waiting,
    events,
    invoices,
    payments,
    sync,
    audit,
    doctor,
    tokens,
    secrets,
    signin_link,
    backup,
    restored,
    db,
)
"""Everything that `app.py` gives to Flask."""
