"""No secret can be read in the database.

Rules name secrets, our own tokens are kept as hashes, those of other systems sealed. Billhook
sends no reminders yet; what is to be checked about them stands here when it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from ..tables import api_token, credential, mapping_version
from .violations import Invariant, Violation, stream

SECRETS: Final = Invariant(
    "secrets",
    "no secret is kept in the ledger: rules name them, and of tokens there is a hash",
    "change the secret at its vendor, name it in the rules as ${NAME}, revoke the token",
)
_NAMED: Final = r"[\"']?\$\{[A-Z][A-Z0-9_]*\}[\"']?"
_WRITTEN: Final = re.compile(
    r"(?:^|[\s{,])(?P<word>(?:[a-z_]+_)?(?:secret|token|key|password))[ \t]*:"
    rf"(?!\s*(?:{_NAMED}|\[\s*{_NAMED}(?:\s*,\s*{_NAMED})*\s*\]|-\s+{_NAMED})\s*(?:[,}}#\n]|$))",
    re.MULTILINE,
)
"""A setting with a secret's name whose value is not a name like ${STRIPE_API_KEY}."""
_KNOWN_SHAPES: Final = re.compile(
    r"\b(?:[sr]k_(?:live|test)_|whsec_|gh[pousr]_|github_pat_|ATATT3x|xox[bp]-)[A-Za-z0-9_=+/-]{8,}"
)
"""Secrets that their vendors have made recognizable.

https://docs.stripe.com/keys and
https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
"""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SEALED: Final = re.compile(r"gAAAA[A-Za-z0-9_-]{95,}={0,2}")
"""What `vault.py` makes: a Fernet token, https://github.com/fernet/spec."""


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield versions of the rules and tokens that hold a secret; the secret is never shown."""
    for row in stream(connection, select(mapping_version.c.version, mapping_version.c.files)):
        for name, text in row["files"].items():
            for line in literal_secrets(text):
                yield SECRETS.broken(
                    f"mapping_version:{row['version'][:12]}",
                    f"{name}:{line}: a secret is written here - name it as ${{NAME}} instead, "
                    "and change the secret",
                )
    for row in stream(connection, select(api_token.c.id, api_token.c.token_hash)):
        if not _SHA256.fullmatch(row["token_hash"]):
            yield SECRETS.broken(
                f"api_token:{row['id']}", "is not kept as a SHA-256 hash - revoke it"
            )
    for row in stream(connection, select(credential.c.name, credential.c.sealed)):
        if not _SEALED.fullmatch(row["sealed"]):
            yield SECRETS.broken(
                f"credential:{row['name']}",
                "is not sealed - revoke it in its system, then `flask secrets store` a new one",
            )


def literal_secrets(text: str) -> list[int]:
    """Return the lines of a mapping file on which a secret is written out."""
    # Comments keep their length, so that the positions stay true.
    plain = re.sub(r"(^|\s)#.*", lambda comment: " " * len(comment[0]), text)
    starts = {match.start("word") for match in _WRITTEN.finditer(plain)}
    starts |= {match.start() for match in _KNOWN_SHAPES.finditer(text)}
    return sorted({text.count("\n", 0, start) + 1 for start in starts})
