"""Thirty ways to get a signature wrong, each for every scheme of every source: all are refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import jwt
import pytest

from ledger.errors import SignatureError
from ledger.events import Delivery
from torture.fuzzing.firm import NOW, SECRET, SITE, examples
from webhooks.registry import sources
from webhooks.signatures import AnyOf, Signature, StandardWebhooks, StripeSignature, lower_case
from webhooks.source import Source

OTHER = "whsec_c29tZWJvZHktZWxzZQ=="
Spoil = Callable[[str], str]
VALUES: dict[str, Spoil] = {
    "empty": lambda _: "",
    "a space": lambda _: " ",
    "only its prefix": lambda value: value[: max(value.find("=") + 1, 1)],
    "a version alone": lambda _: "v1,",
    "null": lambda _: "null",
    "true": lambda _: "true",
    "one letter short": lambda value: value[:-2],
    "one letter long": lambda value: value + "0",
    "its last letter changed": lambda value: value[:-2] + ("00" if value[-2:] != "00" else "11"),
    "its first letter changed": lambda value: ("0" if value[0] != "0" else "1") + value[1:],
    "reversed": lambda value: value[::-1],
    "twice": lambda value: value + value,
    "twice with a comma": lambda value: f"{value},{value}x",
    "a line break": lambda value: value + "\n",
    "a NUL": lambda value: value + "\x00",
    "an accent": lambda value: value + "é",
    "a wide digit": lambda value: (
        value.replace(value[-1], "１") if value[-1] != "=" else "１" + value
    ),
    "a soft hyphen": lambda value: value[:5] + "\xad" + value[5:],
    "in quotes": lambda value: f'"{value}"',
    "a space before": lambda value: " " + value,
    "zeros": lambda value: "0" * len(value),
    "stars": lambda _: "*",
    "a pattern": lambda _: ".*",
    "a list": lambda value: f"[{value}]",
    "very long": lambda _: "a" * 100_000,
    "another algorithm's name": lambda value: "md5=" + value,
    "base64 of itself": lambda value: base64.b64encode(value.encode("utf-8")).decode(),
    "a plain hash": lambda _: "sha256=" + hashlib.sha256(b"{}").hexdigest(),
    "the secret": lambda _: f"sha256={SECRET}",
}
LISTS = (StandardWebhooks, StripeSignature)
STILL_IN_A_LIST = ("twice", "twice with a comma", "a space before")
"""Where a header holds a list of signatures, the right one is still in it."""
SIGNED = [
    pytest.param(source, scheme, id=f"{key}-{number}")
    for key, source in sources().items()
    if source.signature is not None
    for number, scheme in enumerate(
        source.signature.schemes if isinstance(source.signature, AnyOf) else [source.signature]
    )
]


def delivered(source: Source, scheme: Signature, secret: str = SECRET) -> Delivery:
    """Return a delivery of a source, rightly signed by one of its schemes."""
    example = next(each for each in examples(source) if not each.is_found)
    url = scheme.addressed(f"{SITE}/webhooks/{source.key}", secret)
    body = scheme.stamped(b'{"webhookTimestamp": 1, "a": 1}', NOW)
    added = scheme.sign(body, secret, delivery_id="msg_1", now=NOW, url=url)
    named = (source.signature.headers if source.signature else ()) + scheme.headers
    others = {
        name: value for name, value in lower_case(example.headers).items() if name not in named
    }
    return Delivery({**others, **lower_case(added)}, body, NOW, source.key, url)


def is_accepted(source: Source, delivery: Delivery) -> bool:
    try:
        source.verify(delivery, [SECRET], now=NOW)
    except SignatureError:
        return False
    return True


def proof_of(scheme: Signature, delivery: Delivery) -> tuple[str, str]:
    """Return where the proof stands, "" for the address, and the proof."""
    if not scheme.headers:
        return "", SECRET
    name = scheme.headers[-1]
    return name, delivery.headers[name]


def spoiled(scheme: Signature, delivery: Delivery, value: str) -> Delivery:
    name, _ = proof_of(scheme, delivery)
    if name:
        return replace(delivery, headers={**delivery.headers, name: value})
    address = delivery.url.partition("?")[0]
    return replace(delivery, url=f"{address}?{urlencode({'token': value})}")


@pytest.mark.parametrize(("source", "scheme"), SIGNED)
def test_thirty_bad_signatures_are_refused_and_the_good_one_is_not(
    source: Source, scheme: Signature
) -> None:
    good = delivered(source, scheme)
    assert is_accepted(source, good)
    _, proof = proof_of(scheme, good)
    accepted = [
        name
        for name, spoil in VALUES.items()
        if not (isinstance(scheme, LISTS) and name in STILL_IN_A_LIST)
        and (value := spoil(proof)) != proof
        and is_accepted(source, spoiled(scheme, good, value))
    ]
    assert len(VALUES) + 1 >= 30
    assert accepted == []
    without = {name: value for name, value in good.headers.items() if name not in scheme.headers}
    assert not is_accepted(source, replace(good, headers=without, url=SITE))
    assert not is_accepted(source, delivered(source, scheme, OTHER))


@pytest.mark.parametrize(("source", "scheme"), SIGNED)
def test_a_signature_over_another_body_or_of_another_day_is_refused(
    source: Source, scheme: Signature
) -> None:
    good = delivered(source, scheme)
    if scheme.covers_body:
        for body in (b"", b"{}", good.body + b" ", good.body[:-1], good.body.replace(b"1", b"2")):
            assert not is_accepted(source, replace(good, body=body))
    if isinstance(scheme, StandardWebhooks):
        late = NOW + timedelta(seconds=301)
        with pytest.raises(SignatureError):
            source.verify(good, [SECRET], now=late)


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_a_web_token_with_another_algorithm_is_refused(algorithm: str) -> None:
    source = sources()["monday"]
    claims = {"exp": int(NOW.timestamp()) + 60}
    token = jwt.encode(claims, "" if algorithm == "none" else SECRET, algorithm=algorithm)
    delivery = Delivery({"authorization": token}, b"{}", NOW, "monday")
    assert not is_accepted(source, delivery)
