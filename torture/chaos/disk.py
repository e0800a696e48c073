"""A small disk of its own for the ledger's file, so that it can be full: Linux and root only.

The disk is a tmpfs in a mount namespace that only this process and its children see; it is gone
with them, whatever happens.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MEGABYTES: Final = 96
_CLONE_NEWNS: Final = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PIECE: Final = b"\0" * 65536


class NoDiskError(Exception):
    """A disk of its own cannot be had on this machine; the message says why."""


class Disk:
    """One small disk, mounted over a folder."""

    def __init__(self, folder: Path) -> None:
        """Mount a disk over the folder; raise NoDiskError if that is not allowed here."""
        libc = ctypes.CDLL(None, use_errno=True)
        folder.mkdir(exist_ok=True)
        self._filler = folder / "filler"
        how = f"size={MEGABYTES}m,mode=0755".encode()
        if os.geteuid() != 0:
            raise NoDiskError("only root may mount one")
        if (
            libc.unshare(_CLONE_NEWNS)
            or libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
            or libc.mount(b"torture", bytes(folder), b"tmpfs", 0, how)
        ):
            raise NoDiskError(os.strerror(ctypes.get_errno()))
        self._folder, self._libc = folder, libc

    def fill(self) -> None:
        """Leave no room on it."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(_PIECE)
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 512)

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Take the disk away with all that is on it."""
        self._libc.umount2(bytes(self._folder), 2)
