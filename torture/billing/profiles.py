"""What kind of billing system misbehaves, and on which scale of time.

A profile is what the system offers against billing twice; the connector of the same name
declares just that. The timings are those of a real system where the clock is a test's, and
scaled down where processes really run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of billing system offers."""

    name: str
    has_keys: bool = False
    """It keeps idempotency keys, and the 500s that it has answered under them."""
    has_unique_references: bool = False
    """It refuses a second document with a number that is taken."""
    has_versions: bool = False
    """It refuses a change to a document that is not in the version that the change names."""


PROFILES: Final = {
    each.name: each
    for each in (
        Profile("stripe-like", has_keys=True),
        Profile("accounting-like", has_unique_references=True, has_versions=True),
        Profile("worst"),
    )
}


@dataclass(frozen=True, slots=True)
class Timings:
    """How long what takes, in seconds of the billing system's clock."""

    client_timeout: float
    """After as long the client gives up waiting for an answer."""
    late: float
    """The most between the client's giving up and a late commit."""
    stale: float
    """How long a list may not show what was created."""
    key_window: float
    """How long a key is kept."""
    retry_after: int
    """What a 429 advises; whole seconds."""
    delay: float
    """By how much a slow answer comes late, still in time."""


REAL: Final = Timings(
    client_timeout=30, late=20, stale=20, key_window=24 * 60 * 60, retry_after=7, delay=5
)
SCALED: Final = Timings(client_timeout=1, late=2.5, stale=2, key_window=6, retry_after=1, delay=0.3)
