"""A worker process that asks for access tokens again and again, for `test_tokens.py`.

Run as a program with the database's address, the identity provider's and how often to ask.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from connectors.http import Http, OutgoingHttp
from connectors.oauth import AccessTokens, OAuth2
from connectors.stand_in_identity import CLIENT, TOKEN_PATH
from ledger.database import Database
from ledger.errors import TransientError
from ledger.ports import Clock, SystemClock
from ledger.vault import Vault

NAME = "ledgerly"
KEY = "the-key-of-the-token-tests-0123456789"
SITE = "https://id.ledgerly.example"


def access_tokens(
    database: Database,
    http: Http,
    *,
    clock: Clock | None = None,
    vault: Vault | None = None,
    site: str = SITE,
    delay: Callable[[float], None] = time.sleep,
) -> AccessTokens:
    """Return what a worker of its own asks for access tokens."""
    return AccessTokens(
        database,
        clock or SystemClock(),
        vault or Vault(KEY),
        http,
        name=NAME,
        oauth=OAuth2(site + TOKEN_PATH),
        client=CLIENT,
        delay=delay,
    )


def main() -> None:
    """Ask as often as the command line says, and print how often there was an answer."""
    url, site, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
    database = Database(url)
    tokens = access_tokens(database, OutgoingHttp(allow_private=True), site=site)
    answers = 0
    sys.stdin.readline()  # All begin together.
    for _ in range(times):
        try:
            answers += bool(tokens.current())
        except TransientError:
            continue
    print(answers)  # noqa: T201
    database.close()


if __name__ == "__main__":
    main()
