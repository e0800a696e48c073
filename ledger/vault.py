"""Sealing what must not be readable in the database: tokens of other systems.

The keys come from `BILLHOOK_SECRET_KEY` and, while one replaces another, from
`BILLHOOK_OLD_SECRET_KEYS`. Each thing that is sealed has a key of its own, derived from its name:
what is copied from one row into another cannot be opened there. `tokens.py` seals and opens.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import BillhookError

_KEY: Final = "billhook sealed:"
_KEY_ID: Final = "billhook key id"
_KEY_ID_BYTES: Final = 8
"""Enough to tell keys apart, and nothing about them."""


class SealedError(BillhookError):
    """What is sealed cannot be opened: with none of the keys, or it belongs to something else."""


class Vault:
    """Seals with the newest key, opens with any. It keeps nothing; make one where it is needed."""

    def __init__(self, secret_key: str, old_keys: Sequence[str] = ()) -> None:
        self._secrets = (secret_key, *old_keys)
        self.key_id = _derived(secret_key, _KEY_ID, _KEY_ID_BYTES).hex()
        """Which key seals now; stored beside what is sealed, so that a rotation can be seen."""

    def seal(self, text: str, about: str) -> str:
        """Return a text sealed for one thing, `about`: each time another one."""
        return self._keys(about).encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str, about: str) -> str:
        """Return what was sealed for `about`; raise SealedError if that cannot be."""
        try:
            return self._keys(about).decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SealedError(
                f"{about}: what is stored cannot be opened with BILLHOOK_SECRET_KEY - if the key "
                "was changed, add the one before to BILLHOOK_OLD_SECRET_KEYS and run "
                "`flask secrets rotate`; otherwise store it again with `flask secrets store`"
            ) from None

    def _keys(self, about: str) -> MultiFernet:
        derived = (_derived(secret, _KEY + about, 32) for secret in self._secrets)
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])


def _derived(secret: str, purpose: str, length: int) -> bytes:
    # Of a long random secret no salt is needed; see RFC 5869, section 3.1.
    return HKDF(SHA256(), length=length, salt=None, info=purpose.encode()).derive(secret.encode())
