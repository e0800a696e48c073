"""The one error of the demo."""

from __future__ import annotations


class DemoError(Exception):
    """The play cannot go on; the message says where, what is wrong and what to do."""
