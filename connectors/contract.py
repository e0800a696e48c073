"""What a stand-in gives to the shared contract tests of connectors.

Each system's folder has `stand_in.contract_setup(folder)`, which returns a `ContractRig` for a
billing system and a `ProjectRig` for a project tool; the tests in `tests/contracts/` find it by its
place and need nothing else. See `docs/adding-a-connector.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Generic, TypeVar

from .connector import BillingConnector, ProjectConnector, Report
from .customers import CustomerThere
from .http import Http, Request, Response
from .stand_in import Fault, InProcess, StandIn

SiteT = TypeVar("SiteT", bound=StandIn)
Named = tuple[str, str]
"""Kind and subject of an event: `("time.logged", "entry:17")`."""
Webhook = tuple[dict[str, str], dict[str, Any]]
"""Headers and body."""
LookUps = Mapping[str, Sequence[Named]]
"""Thing -> the events that looking it up gives; none: not there."""


@dataclass(frozen=True, slots=True)
class ContractRig:
    """A fresh stand-in and the ways to reach it."""

    connect: Callable[[Http], BillingConnector]
    """Makes a connector with valid settings on this HTTP port."""
    http: Http | None = None
    """Reaches the stand-in; None for a system that is not reached over HTTP."""
    secret: str | None = None
    """The secret among the settings, which must never be shown."""
    happenings: Mapping[str, Callable[[str, int], None]] = field(default_factory=dict)
    """What can happen at the other side, by remote id and ISO minor units.

    Of "finalize", "pay", "overpay" (more than is owed, where the invoice itself shows it),
    "refund", "dispute", "credit", "void", "delete": those that the system can do and Billhook must
    see. And "edit", where the system notices that what we write rests on an older version:
    somebody changes a text on the draft.
    """
    refusal: Callable[[int], Response] | None = None
    """An answer with this HTTP status, worded as the vendor does."""
    is_change: Callable[[Request], bool] = lambda request: request.method != "GET"
    """Whether a request changes something; for systems where questions are posted, too."""
    customers: Callable[[Sequence[CustomerThere]], Sequence[str]] | None = None
    """Enters customers there as a person would, and returns the ids that they get (`remote_id` is
    not read); None where the system knows no customers but ours."""
    known_by: Sequence[str] = ("tax_id", "email", "name")
    """By which fields of `CustomerThere`, besides its id, the system can find a customer."""


class ProjectRig(Generic[SiteT]):
    """A project tool's stand-in, how to reach it, what to tell it and what may happen in it.

    Its clock stands at 2026-11-02 9:00 UTC when a test begins. What the connector does not declare
    may be left out.
    """

    connector: ClassVar[type[ProjectConnector]]
    valid: ClassVar[Mapping[str, str]]
    """Settings with which the connector reaches the stand-in."""
    unknown: ClassVar[str]
    """Something to ask about that is not there."""
    entry_period: ClassVar[tuple[date, date]] = (date(2026, 10, 1), date(2026, 10, 31))
    """The first and the last day of a period with entries before, in and after it."""
    look_ups: ClassVar[LookUps] = {}
    facts: ClassVar[tuple[str, ...]] = ()
    """Things that `enrich` knows."""

    def __init__(self, site: SiteT, entries: Mapping[str, int] | None = None) -> None:
        """Take a stand-in and the seconds by subject of all finished entries in the period.

        They are more than a page.
        """
        self.site = site
        self.entries = dict(entries or {})
        self.settings = dict(self.valid)

    def http(self) -> Http:
        """Return a port that leads to the stand-in."""
        return InProcess(self.site)

    def order_fault(self, do: str, *, path: str = "", method: str = "") -> None:
        """Let the next request that fits fail as `Fault.do` says."""
        self.site.faults.append(Fault(do, path, method))

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return []

    def notes(self) -> list[str]:
        """Return the texts of all our notes that stand in the tool now."""
        return []

    def happen(self) -> list[Named]:
        """Let things change in the tool, a minute for each, more than a page; return the events."""
        raise NotImplementedError

    def before_notes(self) -> list[Webhook]:
        """Return webhooks that the tool sent about the same things before our notes."""
        return []

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that the tool sends because of our notes."""
        return []


def report_on(
    subject: str,
    item: str | None,
    project: str | None,
    fields: Mapping[str, object] | None = None,
) -> Report:
    """Return the report of an invoice of October, in the state `draft`."""
    return Report(
        subject=subject,
        item=item,
        project=project,
        fields=fields or {},
        invoice="acme-2026-10",
        state="draft",
        url="https://billhook.agency.example/invoices/acme-2026-10",
        marker=f"billhook:acme-2026-10:{item or subject}",
    )
