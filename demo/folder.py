"""The demo's folder: emptied first, and only if the demo itself made it."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from datetime import date
from pathlib import Path
from typing import Final

from .problems import DemoError

MARKER: Final = ".made-by-billhook-demo"
RULES: Final = Path(__file__).parent / "rules"
WRITTEN_FOR: Final = "2026-03-"
"""The month in the rule files; the demo moves them to the month that it plays."""


class Folder:
    """An empty folder that this process alone uses, until it is closed."""

    def __init__(self, path: Path) -> None:
        """Make or empty the folder; raise DemoError if it is somebody else's, or in use."""
        self.path = path.absolute()
        marker = self.path / MARKER
        if self.path.exists() and not marker.exists() and any(self.path.iterdir()):
            raise DemoError(f"{path}: was not made by the demo - name another one with --folder")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = marker.open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise DemoError(f"{path}: another demo runs in it - stop that one first") from None
        for entry in self.path.iterdir():
            if entry.name == MARKER:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.path / "logs").mkdir()

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    @property
    def rules(self) -> Path:
        """Return the folder of the rule files in force."""
        return self.path / "rules"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.path / "logs" / f"{name}.log"

    def copy_rules(self, first: date) -> None:
        """Put the rule files into the folder, moved to the month that begins on `first`."""
        self.rules.mkdir()
        for source in RULES.glob("*.yaml"):
            moved = source.read_text().replace(WRITTEN_FOR, f"{first:%Y-%m}-")
            (self.rules / source.name).write_text(moved)

    def write_environment(self, environ: dict[str, str]) -> Path:
        """Write the settings into a file that a shell can read, for commands by hand."""
        path = self.path / "environment"
        lines = [f"export {name}={shlex.quote(environ[name])}\n" for name in sorted(environ)]
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(lines)
        return path
