"""What a storm runs: Billhook's own programs with the waits of `scaled.py`, and billing systems.

`main` runs one in this process, which was forked for it (`starter.py`). gunicorn is given
`torture.chaos.programs:create_web()`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

from torture.chaos.scaled import shrink

shrink()

LOADED: Final = (
    *("app", "clock", "serving", "worker"),
    *("flask.cli", "gunicorn.app.wsgiapp", "gunicorn.arbiter", "torture.billing.__main__"),
)
"""The modules that are loaded once for all programs, with those that they import."""


def load() -> None:
    """Load what any of the programs needs; nothing of it may depend on the environment."""
    from connectors.registry import billing_connectors, project_connectors
    from webhooks.registry import sources

    for name in LOADED:
        importlib.import_module(name)
    for registered in (sources, billing_connectors, project_connectors):
        registered()


def create_web() -> Any:
    """Return the web process's application."""
    import app

    return app.create_web()


def main(words: list[str]) -> int:
    """Run a program: `worker`, `clock`, `flask ...`, `gunicorn ...`, `billing ...`."""
    sys.argv = words
    match words[0]:
        case "worker":
            # By its own name, because a ring names `worker.answer`.
            import worker

            return worker.main()
        case "clock":
            import clock

            return clock.main()
        case "gunicorn":
            from gunicorn.app.wsgiapp import run

            run()
        case "billing":
            from torture.billing.__main__ import main as billing

            billing()
        case _:
            from flask.cli import main as flask

            flask()
    return 0
