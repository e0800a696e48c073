"""Billhook's own programs with the waits of `scaled.py`: what the torture run starts.

`python -m torture.chaos.programs worker`, `clock` or `flask ...`; gunicorn is given
`torture.chaos.programs:create_web()`.
"""

from __future__ import annotations

import sys
from typing import Any

from torture.chaos.scaled import shrink

shrink()


def create_web() -> Any:
    """Return the web process's application."""
    # Only now are the waits short; and what is no web process starts quicker without it.
    import app

    return app.create_web()


def main(words: list[str]) -> int:
    """Run a program; return its exit code."""
    if words[0] == "worker":
        # By its own name, because a ring names `worker.answer`.
        import worker

        return worker.main()
    if words[0] == "clock":
        import clock

        return clock.main()
    from flask.cli import main as flask

    sys.argv = words
    flask()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
