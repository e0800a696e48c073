"""The rules of the firm in the stateful test: four customers, each billed in another way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connectors.stripe.stand_in.rig import BASE

from .model_truth import CREDITED, RATES, REOPENED

SECRET: Final = "only-the-torture-knows-this"
STRIPE_KEY: Final = "sk_test_for_the_torture"
START: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
"""When each run begins."""
WORKSPACE: Final = f"""\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
  jira: {{tool: jira, secret: "${{SECRET}}"}}
  github: {{tool: github, secret: "${{SECRET}}"}}
  stripe: {{tool: stripe, secret: "${{SECRET}}"}}
connectors:
  files: {{system: file, folder: FOLDER}}
  stripe: {{system: stripe, api_key: "${{STRIPE_KEY}}", api_base: "{BASE}"}}
people:
  - {{person: Ana, role: senior, accounts: {{jira: ana}}}}
  - {{person: Ben, role: junior, accounts: {{jira: ben}}}}
"""
CUSTOMER: Final = """\
format: 1
customer: {key}
name: {key} GmbH
billing_email: ap@{key}.example
currency: EUR
send_to: {send_to}
after_push: {after_push}
terms: net 30
invoice: monthly
approval: {approval}
corrections: {corrections}
takes: {{project: [{takes}]}}
rates:
{rates}
rules:
{phases}
  - rule: A favour
    when: {{project: FREE}}
    bill: nothing
  - rule: Engineering hours
    when: {{event: time.logged}}
    bill:
      description: "{{role}} engineering, {{item}} {{title}}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
"""
PHASES: Final = "\n".join(
    f"""\
  - rule: A finished phase {number}
    when: {{event: milestone.completed, title: "Phase {number}"}}
    reopened: {reopened}
    bill: {{description: "{{title}}", quantity: 1, unit_price: 4500.00}}
    invoice: at once"""
    for number, reopened in REOPENED.items()
)
CUSTOMERS: Final = (
    # Drafts that stay drafts; the whole way by itself; files that people keep; credit notes.
    {
        "key": "acme",
        "send_to": "stripe",
        "after_push": "leave as draft",
        "approval": "by hand",
        "takes": 'ACME, SHOP, FREE, "acme/*"',
    },
    {
        "key": "beta",
        "send_to": "stripe",
        "after_push": "finalize",
        "approval": "automatic",
        "takes": "BETA",
    },
    {
        "key": "gamma",
        "send_to": "files",
        "after_push": "leave as draft",
        "approval": "by hand",
        "takes": "GAMMA",
    },
    {
        "key": "delta",
        "send_to": "stripe",
        "after_push": "finalize",
        "approval": "automatic",
        "takes": "DELTA",
    },
)


def rules_of(folder: Path, rates: int) -> dict[str, str]:
    """Return the rule files with one of the `RATES`; drafts as files go below the folder."""
    lines = [
        f"  - {{role: {role}, from: {day}, hourly: {minor // 100}.{minor % 100:02d}}}"
        for role, both in RATES[rates].items()
        for day, minor in zip(("2026-01-01", "2026-11-01"), both, strict=True)
    ]
    rules = {"workspace.yaml": WORKSPACE.replace("FOLDER", str(folder / "out"))}
    for customer in CUSTOMERS:
        corrections = "credit note" if customer["key"] in CREDITED else "next invoice"
        text = CUSTOMER.format(
            rates="\n".join(lines), phases=PHASES, corrections=corrections, **customer
        )
        rules[f"{customer['key']}.yaml"] = text
    return rules
