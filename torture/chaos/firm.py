"""The firm of a torture run: three customers in three currencies, and what each agreed to pay.

The agreements stand here twice on purpose: as numbers, with which `truth.py` calculates what must
come out, and as rule files, as an admin writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final

from connectors.jira.stand_in import USER

SECRETS: Final = tuple(f"JIRA_SECRET_{number}" for number in range(1, 10))
"""The names of the webhook secrets, each of which replaces the one before."""
ACCOUNTS: Final = {"Ana": "5a-ana", "Ben": "5b-ben"}
ROLES: Final = {"Ana": "senior", "Ben": "junior"}
STRANGER: Final = "5z-zoe"
"""An account that nobody has entered: what it logs is held."""
RAISES: Final = (date(2026, 9, 1), date(2026, 9, 16), date(2026, 10, 1), date(2026, 10, 25))
"""The days from which a new rate holds, once an admin has activated it."""
FIRST_DAY: Final = date(2026, 3, 20)
LAST_DAY: Final = date(2026, 10, 31)
INTERNAL: Final = "INT"
NOBODYS: Final = "STRAY"
"""A project that no customer's rules take: time on it is held."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one customer pays, as numbers."""

    key: str
    projects: tuple[str, ...]
    currency: str
    smallest: Decimal
    """The currency's smallest amount."""
    hourly: dict[str, Decimal]
    """By role, before the first raise."""
    raised_by: Decimal
    """How much more a senior hour costs after each raise."""
    step: int
    """Seconds to which the time of an entry is rounded; 1: to four places of an hour."""
    rounds_up: bool
    schedule: str
    phase: Decimal
    """What a finished phase costs."""
    shared_by: str = ""
    """What entries must have in common to share a printed line; empty: nothing is shared."""

    def amount(self, role: str, seconds: int, on: date) -> Decimal:
        """Return what an entry costs: rounded time x rate, rounded half up once."""
        steps = -(-seconds // self.step)
        if not self.rounds_up:
            steps = (2 * seconds + self.step) // (2 * self.step)
        hours = (Decimal(steps * self.step) / 3600).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        return (hours * self.rate(role, on)).quantize(self.smallest, ROUND_HALF_UP)

    def rate(self, role: str, on: date) -> Decimal:
        """Return what an hour costs on a day, by all raises that there will ever be."""
        raises = sum(on >= each for each in RAISES) if role == "senior" else 0
        return self.hourly[role] + raises * self.raised_by

    def minor(self, amount: Decimal) -> int:
        """Return an amount in minor units."""
        return int(amount / self.smallest)


ACME: Final = Agreement(
    key="acme",
    projects=("ACME", "SITE"),
    currency="EUR",
    smallest=Decimal("0.01"),
    hourly={"senior": Decimal("120.00"), "junior": Decimal("79.90")},
    raised_by=Decimal("3.50"),
    step=900,
    rounds_up=True,
    schedule="monthly",
    phase=Decimal("4500.00"),
    shared_by="[item, person]",
)
KYOTO: Final = Agreement(
    key="kyoto",
    projects=("KYO",),
    currency="JPY",
    smallest=Decimal(1),
    hourly={"senior": Decimal(18500), "junior": Decimal(9900)},
    raised_by=Decimal(330),
    step=1,
    rounds_up=False,
    schedule="weekly",
    phase=Decimal(480000),
    shared_by="person",
)
GULF: Final = Agreement(
    key="gulf",
    projects=("GLF",),
    currency="KWD",
    smallest=Decimal("0.001"),
    hourly={"senior": Decimal("36.500"), "junior": Decimal("21.900")},
    raised_by=Decimal("0.700"),
    step=360,
    rounds_up=False,
    schedule="monthly",
    phase=Decimal("1500.000"),
)
AGREEMENTS: Final = (ACME, KYOTO, GULF)
PAYER: Final = {project: each for each in AGREEMENTS for project in each.projects}
"""Which customer pays for a project."""

_WORKSPACE: Final = """\
format: 1
name: Studio Storm
time_zone: Europe/Berlin
sources:
  jira:
    tool: jira
    secret: {secrets}
    url: ${{JIRA_URL}}
    user: {user}
    token: ${{JIRA_TOKEN}}
    write_back: yes
  scripts: {{tool: generic, secret: "${{SCRIPTS_SECRET}}"}}
{hints}connectors:
{connectors}
people:
  - {{person: Ana, role: senior, accounts: {{jira: 5a-ana, scripts: ana}}}}
  - {{person: Ben, role: junior, accounts: {{jira: 5b-ben, scripts: ben}}}}
"""
_CUSTOMER: Final = """\
format: 1
customer: {key}
name: {name}
billing_email: ap@{key}.example
currency: {currency}
send_to: {send_to}
terms: net 30
invoice: {schedule}
approval: by hand
takes: {{project: [{projects}]}}
rates:
{rates}
rules:
  - rule: Internal work is free
    when: {{project: INT}}
    bill: nothing
  - rule: A finished phase has a fixed price
    when: {{event: milestone.completed}}
    bill: {{description: "{{title}}, completed {{date}}", quantity: 1, unit_price: {phase}}}
    invoice: at once
  - rule: Finished issues are billed by their hours
    when: {{event: work.completed}}
    bill: nothing
  - rule: Hours
    when: {{event: time.logged}}
    bill:
      description: "{text}"
      quantity: hours
{rounding}      unit_price: rate
{shared}when_no_rule_fits: hold
"""


@dataclass
class Rules:
    """The rule files as they stand, which an admin changes while the firm works."""

    folder: Path
    connectors: str
    """The lines under `connectors:`."""
    send_to: Sequence[str]
    """The connector of each customer, in the order of `AGREEMENTS`."""
    hints: str = ""
    """The lines of sources that tell about invoices."""
    raises: int = 0
    """How many of `RAISES` the files hold."""
    secrets: list[str] = field(default_factory=lambda: [SECRETS[0]])

    def write(self) -> None:
        """Write all files."""
        self.folder.mkdir(exist_ok=True)
        names = ", ".join(f'"${{{name}}}"' for name in self.secrets)
        told = _WORKSPACE.format(
            secrets=f"[{names}]", user=USER, hints=self.hints, connectors=self.connectors
        )
        (self.folder / "workspace.yaml").write_text(told)
        for agreement, send_to in zip(AGREEMENTS, self.send_to, strict=True):
            told = _customer(agreement, send_to, self.raises)
            (self.folder / f"{agreement.key}.yaml").write_text(told)

    def break_one(self) -> None:
        """Leave a file as an admin may who is called away while typing."""
        path = self.folder / "acme.yaml"
        path.write_text(path.read_text().replace("    bill: nothing", "   bill nothing: [", 1))


def _customer(agreement: Agreement, send_to: str, raises: int) -> str:
    rates = [("senior", date(2026, 1, 1)), ("junior", date(2026, 1, 1))]
    rates += [("senior", day) for day in RAISES[:raises]]
    rounding = {
        900: "      round: up to 15 minutes per entry\n",
        360: "      round: to the nearest 6 minutes per entry\n",
    }
    projects = [*agreement.projects, *([INTERNAL] if agreement is ACME else [])]
    text = {
        "[item, person]": "{role} engineering, {item} {title}",
        "person": "Development, {person}",
    }
    return _CUSTOMER.format(
        key=agreement.key,
        name=f"{agreement.key.title()} Ltd",
        currency=agreement.currency,
        send_to=send_to,
        schedule=agreement.schedule,
        projects=", ".join(projects),
        rates="\n".join(
            f"  - {{role: {role}, from: {day}, hourly: {agreement.rate(role, day)}}}"
            for role, day in rates
        ),
        phase=agreement.phase,
        text=text.get(agreement.shared_by, "{item} {title}, {person}, {date}"),
        rounding=rounding.get(agreement.step, ""),
        shared=f"      one_line_per: {agreement.shared_by}\n" if agreement.shared_by else "",
    )
