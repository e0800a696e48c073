"""What the environment decides, read once at the start of each process and never at import.

`app.py`, `worker.py`, `clock.py` and the commands call `Settings.from_env(os.environ)`. Each
setting stands once in `SETTINGS`; `docs/settings.md` and `.env.example` are tested against it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from ledger.errors import ConfigurationError

SECRET_KEY_BYTES: Final = 32
"""The shortest key that signs sessions and links."""
SECRET_CHARACTERS: Final = 16
"""The shortest secret that `workspace.yaml` may name."""
MOST_BODY_BYTES: Final = 25 * 1024 * 1024
"""No tool sends more: GitHub stops at 25 MB.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""
EMBEDDED_DATABASE: Final = "var/billhook.sqlite3"
KEY_FILE: Final = "var/secret_key"


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable; `read` turns its text into a value or raises ValueError."""

    name: str
    field: str
    default: str | None
    help: str
    read: Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the environment decides, checked. What is secret stays out of its `repr`."""

    database_url: str = field(repr=False)
    """SQLAlchemy's address: `sqlite:///...` or `postgresql+psycopg://...`."""
    redis_url: str | None = field(repr=False)
    port: int
    rules: Path
    secret_key: str = field(repr=False)
    old_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that were `secret_key` before: they open what was sealed with them, and sign nothing."""
    base_url: str | None
    """Without a slash at its end."""
    security_contact: str | None
    """Where people report a weakness: `mailto:` or `https://`."""
    log_level: str
    allow_private: bool
    max_body: int
    """Bytes."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings; raise ConfigurationError with every mistake, one line each.

        With neither database nor Redis named, the secret key is made once and kept in
        `var/secret_key`, so that a laptop needs no settings at all.
        """
        values: dict[str, Any] = {}
        mistakes: list[str] = []
        for setting in SETTINGS:
            text = environ.get(setting.name, "").strip() or setting.default
            try:
                values[setting.field] = None if text is None else setting.read(text)
            except ValueError as error:
                mistakes.append(f"{setting.name}: {error}")
        is_embedded = not (_is_set("DATABASE_URL", environ) or _is_set("REDIS_URL", environ))
        if not is_embedded and not _is_set("BILLHOOK_SECRET_KEY", environ):
            mistakes.append(
                "BILLHOOK_SECRET_KEY: is not set, and is only made by itself where neither "
                f"DATABASE_URL nor REDIS_URL is set - {_HOW_TO_MAKE_A_KEY}"
            )
        if mistakes:
            raise ConfigurationError(mistakes)
        if values["secret_key"] is None:
            values["secret_key"] = _kept_secret_key(Path(KEY_FILE))
        return cls(**values)


def resolve(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each secret that `workspace.yaml` names as `${NAME}`.

    Raise ConfigurationError with all that are missing or shorter than 16 characters.
    """
    found: dict[str, str] = {}
    mistakes: list[str] = []
    for name in sorted(set(names)):
        value = environ.get(name, "").strip()
        if not value:
            mistakes.append(f"{name}: is not set, but workspace.yaml names it - set it")
        elif len(value) < SECRET_CHARACTERS:
            mistakes.append(
                f"{name}: is shorter than {SECRET_CHARACTERS} characters - "
                "use a longer secret, the same here and in the tool"
            )
        found[name] = value
    if mistakes:
        raise ConfigurationError(mistakes)
    return found


_HOW_TO_MAKE_A_KEY: Final = (
    'make one with: python -c "import secrets; print(secrets.token_hex(32))"'
)


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name, "").strip())


def _database_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        address = f"postgresql://{rest}"
        if _split(address).path.strip("/"):
            return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in ("", ":memory:"):
        return f"sqlite:///{Path(rest.removeprefix('/')).absolute()}"
    raise ValueError(
        "is neither a PostgreSQL database nor an SQLite file - "
        "write postgresql://user:password@host/name or sqlite:///path/to/file"
    )


def _redis_url(text: str) -> str:
    parts = _split(text)
    where = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname
    if parts.scheme in ("redis", "rediss", "unix") and where:
        return text
    raise ValueError(
        "is not a Redis address - write redis://host:6379/0, rediss:// or unix:///path/to/socket"
    )


def _base_url(text: str) -> str:
    parts = _split(text)
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if parts.scheme in ("https", "http") and parts.hostname and is_plain:
        return text.rstrip("/")
    raise ValueError("is not the address of a web site - write https://billhook.example.com")


def _contact(text: str) -> str:
    is_known = text.startswith(("mailto:", "https://")) and text.isascii() and text.isprintable()
    if is_known and " " not in text and len(text) < 250:
        return text
    raise ValueError("is no contact - write mailto:security@example.com or an https:// address")


def _split(text: str) -> SplitResult:
    """Return the parts of an address: all empty where its host or port cannot be read."""
    try:
        parts = urlsplit(text)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # isdecimal alone would let other scripts' digits in.
        if text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most:
            return int(text)
        raise ValueError(f"is not a whole number from {least} to {most} - write digits only")

    return read


def _yes_or_no(text: str) -> bool:
    if text.lower() in ("yes", "no"):
        return text.lower() == "yes"
    raise ValueError("is neither yes nor no - write one of them")


def _log_level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if text.upper() in levels:
        return text.upper()
    raise ValueError(f"is not a log level - write one of {', '.join(levels)}")


def _folder(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        return path.absolute()
    raise ValueError("is not a folder - name the folder of workspace.yaml and the rule files")


def _secret_key(text: str) -> str:
    if len(text.encode()) >= SECRET_KEY_BYTES:
        return text
    raise ValueError(f"is shorter than {SECRET_KEY_BYTES} bytes - {_HOW_TO_MAKE_A_KEY}")


def _old_secret_keys(text: str) -> tuple[str, ...]:
    return tuple(_secret_key(each) for each in text.split())


def _kept_secret_key(path: Path) -> str:
    """Return the key in the file, which is made first if it is not there."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Web, worker and clock start at once: each writes a file of its own, `link` lets exactly
        # one of them be the key, and nobody ever reads half a file.
        mine = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(SECRET_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text().strip()


SETTINGS: Final = (
    Setting(
        "DATABASE_URL",
        "database_url",
        f"sqlite:///{EMBEDDED_DATABASE}",
        "Where the ledger is kept: SQLite or PostgreSQL. `postgres://` and `postgresql://` "
        "are both understood.",
        _database_url,
    ),
    Setting(
        "REDIS_URL",
        "redis_url",
        None,
        "The doorbell between web and workers: `redis://`, `rediss://` or `unix://`. "
        "Without it the worker looks into the database itself.",
        _redis_url,
    ),
    Setting("PORT", "port", "8000", "The port that the web process listens on.", _number(1, 65535)),
    Setting(
        "BILLHOOK_RULES",
        "rules",
        "mappings/rules",
        "The folder of `workspace.yaml` and the customers' rule files.",
        _folder,
    ),
    Setting(
        "BILLHOOK_SECRET_KEY",
        "secret_key",
        None,
        "Signs sessions and links, seals tokens; at least 32 bytes. Required as soon as "
        "`DATABASE_URL` or `REDIS_URL` is set; without both it is made once and kept in "
        "`var/secret_key`.",
        _secret_key,
    ),
    Setting(
        "BILLHOOK_OLD_SECRET_KEYS",
        "old_secret_keys",
        "",
        "Secret keys from before, separated by spaces: they still open sealed tokens, until "
        "`flask secrets rotate` has sealed them with the present one.",
        _old_secret_keys,
    ),
    Setting(
        "BILLHOOK_URL",
        "base_url",
        None,
        "The public address of this installation, used in links that people get.",
        _base_url,
    ),
    Setting(
        "BILLHOOK_SECURITY_CONTACT",
        "security_contact",
        None,
        "Where people report a weakness, for `/.well-known/security.txt`: `mailto:` or `https://`.",
        _contact,
    ),
    Setting(
        "BILLHOOK_LOG_LEVEL",
        "log_level",
        "INFO",
        "How much is logged: DEBUG, INFO, WARNING or ERROR.",
        _log_level,
    ),
    Setting(
        "BILLHOOK_ALLOW_PRIVATE",
        "allow_private",
        "no",
        "Whether connectors may call private addresses and plain http: yes or no. Say yes only "
        "for a Jira or a billing system inside your own network.",
        _yes_or_no,
    ),
    Setting(
        "BILLHOOK_MAX_BODY",
        "max_body",
        "1048576",
        "The longest webhook body that is accepted, in bytes; at most 26214400 (25 MiB).",
        _number(1024, MOST_BODY_BYTES),
    ),
)
"""Every setting, in the order of the documentation."""
