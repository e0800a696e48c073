"""The environment is read whole, checked whole, and gives nothing secret away."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import ConfigurationError
from settings import SETTINGS, Settings, resolve

KEY = "0123456789abcdef" * 4
LONG = "a-secret-that-is-long-enough"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a fresh checkout: rules are there, `var/` is not."""
    (tmp_path / "mappings/rules").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


def _mistakes(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environ)
    return caught.value.mistakes


def test_an_empty_environment_is_enough_on_a_laptop(tmp_path: Path) -> None:
    settings = Settings.from_env({})
    assert settings.database_url == f"sqlite:///{tmp_path}/var/billhook.sqlite3"
    assert settings.redis_url is None
    assert settings.port == 8000
    assert settings.rules == tmp_path / "mappings/rules"
    assert settings.base_url is None
    assert settings.log_level == "INFO"
    assert settings.allow_private is False
    assert settings.max_body == 1024 * 1024


def test_a_full_environment_is_read_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "our-rules").mkdir()
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgres://billhook:p%40ss@db.example.com:5432/billhook?sslmode=require",
            "REDIS_URL": "rediss://:word@redis.example.com:6380/1",
            "PORT": "5001",
            "BILLHOOK_RULES": "our-rules",
            "BILLHOOK_SECRET_KEY": KEY,
            "BILLHOOK_OLD_SECRET_KEYS": f"{KEY}1  {KEY}2",
            "BILLHOOK_URL": "https://billhook.example.com/",
            "BILLHOOK_SECURITY_CONTACT": "mailto:security@example.com",
            "BILLHOOK_LOG_LEVEL": "debug",
            "BILLHOOK_ALLOW_PRIVATE": "yes",
            "BILLHOOK_MAX_BODY": "2048",
        }
    )
    assert settings == Settings(
        database_url="postgresql+psycopg://billhook:p%40ss@db.example.com:5432/billhook?sslmode=require",
        redis_url="rediss://:word@redis.example.com:6380/1",
        port=5001,
        rules=tmp_path / "our-rules",
        secret_key=KEY,
        old_secret_keys=(f"{KEY}1", f"{KEY}2"),
        base_url="https://billhook.example.com",
        security_contact="mailto:security@example.com",
        log_level="DEBUG",
        allow_private=True,
        max_body=2048,
    )


def test_all_mistakes_are_reported_together_and_by_name() -> None:
    mistakes = _mistakes(
        DATABASE_URL="mysql://root@localhost/billhook",
        REDIS_URL="localhost:6379",
        PORT="70000",
        BILLHOOK_RULES="nowhere",
        BILLHOOK_SECRET_KEY="short",
        BILLHOOK_OLD_SECRET_KEYS=f"{KEY} short",
        BILLHOOK_URL="billhook.example.com",
        BILLHOOK_SECURITY_CONTACT="ring the bell",
        BILLHOOK_LOG_LEVEL="loud",
        BILLHOOK_ALLOW_PRIVATE="true",
        BILLHOOK_MAX_BODY="1e6",
    )
    assert [mistake.partition(":")[0] for mistake in mistakes] == [s.name for s in SETTINGS]
    assert all(" - " in mistake and "\n" not in mistake for mistake in mistakes)


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql:///d?host=/run/pg", "postgresql+psycopg:///d?host=/run/pg"),
        ("sqlite:////data/billhook.sqlite3", "sqlite:////data/billhook.sqlite3"),
    ],
)
def test_database_addresses_become_what_sqlalchemy_needs(written: str, used: str) -> None:
    environ = {"DATABASE_URL": written, "BILLHOOK_SECRET_KEY": KEY}
    assert Settings.from_env(environ).database_url == used


@pytest.mark.parametrize(
    "written",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://host/file",
        "postgresql+psycopg2://u@h/d",
        "postgres://u@h",
        "postgres://u@h:port/d",
        "postgres",
        "mysql://u@h/d",
        "billhook.sqlite3",
    ],
)
def test_other_database_addresses_are_refused(written: str) -> None:
    (mistake,) = _mistakes(DATABASE_URL=written, BILLHOOK_SECRET_KEY=KEY)
    assert mistake.startswith("DATABASE_URL: is neither a PostgreSQL database nor an SQLite file")


@pytest.mark.parametrize("written", ["redis://", "unix://", "http://h:6379", "redis://h:6379x/0"])
def test_other_redis_addresses_are_refused(written: str) -> None:
    (mistake,) = _mistakes(REDIS_URL=written, BILLHOOK_SECRET_KEY=KEY)
    assert mistake.startswith("REDIS_URL: is not a Redis address")


def test_a_redis_may_be_a_socket() -> None:
    environ = {"REDIS_URL": "unix:///run/valkey.sock", "BILLHOOK_SECRET_KEY": KEY}
    assert Settings.from_env(environ).redis_url == "unix:///run/valkey.sock"


@pytest.mark.parametrize("number", ["0", "-1", "65536", "80.5", "８０", "1_0", "0x50", "9" * 5000])
def test_a_port_is_a_plain_number_in_range(number: str) -> None:
    (mistake,) = _mistakes(PORT=number)
    assert mistake == "PORT: is not a whole number from 1 to 65535 - write digits only"


def test_the_body_limit_cannot_be_lifted_without_end() -> None:
    (mistake,) = _mistakes(BILLHOOK_MAX_BODY="26214401")
    assert mistake.startswith("BILLHOOK_MAX_BODY:")


@pytest.mark.parametrize(
    "address",
    ["https://h.example.com/path", "https://u:p@h.example.com", "https://h.example.com?x", "//h"],
)
def test_the_public_address_is_only_a_host(address: str) -> None:
    (mistake,) = _mistakes(BILLHOOK_URL=address)
    assert mistake.startswith("BILLHOOK_URL: is not the address of a web site")


def test_blank_settings_count_as_not_set() -> None:
    assert Settings.from_env({"DATABASE_URL": " ", "PORT": ""}).port == 8000


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_real_installation_never_starts_without_a_secret_key(name: str) -> None:
    addresses = {"DATABASE_URL": "postgres://u@h/d", "REDIS_URL": "redis://h"}
    (mistake,) = _mistakes(**{name: addresses[name]})
    assert mistake.startswith("BILLHOOK_SECRET_KEY: is not set")


def test_a_short_secret_key_is_refused() -> None:
    (mistake,) = _mistakes(BILLHOOK_SECRET_KEY="x" * 31)
    assert mistake.startswith("BILLHOOK_SECRET_KEY: is shorter than 32 bytes")


def test_a_laptop_keeps_the_secret_key_that_it_made(tmp_path: Path) -> None:
    first = Settings.from_env({}).secret_key
    file = tmp_path / "var/secret_key"
    assert len(first) >= 64
    assert Settings.from_env({}).secret_key == first == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_secret_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: Settings.from_env({}).secret_key, range(64)))
    assert len(keys) == 1
    assert os.listdir(tmp_path / "var") == ["secret_key"]


def test_no_secret_is_in_the_repr_or_in_a_mistake() -> None:
    environ = {
        "DATABASE_URL": "postgres://u:canary-1@h/d",
        "REDIS_URL": "redis://:canary-2@h",
        "BILLHOOK_SECRET_KEY": f"canary-3{KEY}",
    }
    assert "canary" not in repr(Settings.from_env(environ))
    mistakes = _mistakes(
        DATABASE_URL="mysql://u:canary-1@h/d",
        REDIS_URL="http://:canary-2@h",
        BILLHOOK_SECRET_KEY="canary-3",
        BILLHOOK_URL="https://u:canary-4@h",
    )
    assert len(mistakes) == 4
    assert "canary" not in "".join(mistakes)


def test_importing_the_settings_reads_nothing() -> None:
    root = Path(__file__).parent.parent
    environ = {**os.environ, "PORT": "not a port", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", "import settings"], env=environ, check=True)


def test_named_secrets_are_looked_up() -> None:
    environ = {"JIRA_ACME_SECRET": LONG, "GITHUB_SECRET": f" {LONG}\n", "OTHER": "x"}
    assert resolve(["GITHUB_SECRET", "JIRA_ACME_SECRET"], environ) == {
        "JIRA_ACME_SECRET": LONG,
        "GITHUB_SECRET": LONG,
    }


def test_all_missing_and_short_secrets_are_reported_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(["SHORT", "ABSENT", "BLANK", "GOOD"], {"SHORT": "fifteen-letters", "GOOD": LONG})
    named = [mistake.partition(":")[0] for mistake in caught.value.mistakes]
    assert named == ["ABSENT", "BLANK", "SHORT"]
    assert "fifteen" not in str(caught.value)
