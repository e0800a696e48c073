"""`python -m demo`, called by `make demo`: sets up, plays, checks itself, stays or ends."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

from .acts import Play
from .folder import Folder
from .problems import DemoError
from .site import Site, running
from .tables import say, title
from .world import ENDPOINTS, ZONE, world

STOPPED: Final = 130
"""The exit code after Ctrl-C or SIGTERM in the middle of the play."""


def main() -> int:
    """Return 0 if everything is as it should be, 1 if not, 2 if the demo could not be set up."""
    parser = argparse.ArgumentParser(
        prog="demo", description="Play a month of a small agency through a real Billhook."
    )
    parser.add_argument("--once", action="store_true", help="end after the play")
    parser.add_argument("--port", type=int, help="the web port; 8000, or a free one if it is taken")
    parser.add_argument("--folder", type=Path, default=Path("var/demo"), help="emptied first")
    parser.add_argument(
        "--lose", type=int, metavar="N", help="do not send webhook N: the demo has to notice it"
    )
    parser.add_argument(
        "--kill", type=int, default=0, metavar="N", help="kill the worker N times in the middle"
    )
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    began = time.monotonic()
    played = world(datetime.now(ZONE).date())
    if given.lose is not None and not 1 <= given.lose <= len(played.postings):
        parser.error(f"--lose: there are {len(played.postings)} webhooks, from 1")
    try:
        with (
            Folder(given.folder) as folder,
            running(folder, played.first, given.port) as site,
        ):
            checks = Play(site, played, lost=given.lose, kills=given.kill).run()
            title("Is everything as it should be?")
            for mismatch in checks.mismatches:
                say(f"WRONG  {mismatch}")
            wrong = len(checks.mismatches)
            seconds = time.monotonic() - began
            say(f"{checks.compared} things compared, {wrong} wrong, {seconds:.0f} s.")
            if not given.once:
                _stay(site)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return STOPPED
    return 1 if wrong else 0


def _stay(site: Site) -> None:
    """Leave everything running until Ctrl-C, also while it is being said what runs."""
    try:
        _say_what_runs(site)
        while True:
            site.processes.look_after()
            threading.Event().wait(1)
    except KeyboardInterrupt:
        say("\nStopping.")


def _say_what_runs(site: Site) -> None:
    link = site.processes.command("signin-link").split()[-1]
    folder = site.processes.folder.path
    title("It goes on running. Ctrl-C stops it")
    say("The overview, with a link that signs you in once:")
    # Never wrapped, however long it is: a broken link cannot be clicked.
    print(f"  {link}")
    say("The API's document:")
    say(f"  {site.web}/api/v1/openapi.json")
    say("Webhooks are posted to:")
    for endpoint in (*ENDPOINTS, "stripe"):
        say(f"  {site.web}/webhooks/{endpoint}")
    say("Commands by hand, in another terminal, here:")
    say(f"  source {folder}/environment && .venv/bin/flask invoices list")
    say(f"The logs are in {folder}/logs")


def _stop(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
