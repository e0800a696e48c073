"""Which signatures are accepted; the vendors' own libraries are asked where there is one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import SignatureError
from ledger.events import Delivery
from webhooks.registry import sources
from webhooks.signatures import (
    AnyOf,
    Basic,
    Hmac,
    HmacOfUrl,
    Jwt,
    Signature,
    StandardWebhooks,
    StripeSignature,
    Token,
    lower_case,
)

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
KEY = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="
BODY = b'{"kind":"time.logged"}'

GITHUB = Hmac("X-Hub-Signature-256", prefix="sha256=")

# One scheme per vendor that the declared classes can express, so that adding it is one line.
SCHEMES: dict[str, Signature] = {
    "github": GITHUB,
    "jira_hub_signature": Hmac("X-Hub-Signature", prefix="sha256="),
    "standard_webhooks": StandardWebhooks(),
    "gitlab_signing_token": StandardWebhooks(),
    "stripe": StripeSignature(),
    "generic_hmac": Hmac("X-Convoy-Signature", algorithm="sha512"),
    "redmine": Hmac("X-Redmine-Signature-256", prefix="sha256="),
    "openproject": Hmac("X-OP-Signature", algorithm="sha1", prefix="sha1="),
    "taiga": Hmac("X-TAIGA-WEBHOOK-SIGNATURE", algorithm="sha1"),
    "autotask": Hmac("X-Hook-Signature", algorithm="sha1", prefix="sha1=", encoding="base64"),
    "asana": Hmac("X-Hook-Signature"),
    "wrike": Hmac("X-Hook-Signature"),
    "linear": Hmac("Linear-Signature", timestamp="webhookTimestamp"),
    "gitlab_token": Token("X-Gitlab-Token"),
    "clockify_token": Token("clockify-signature"),
    "kanboard_token": Token(query="token"),
    "azure_basic": Basic(),
    "monday_jwt": Jwt(),
    "trello": HmacOfUrl("X-Trello-Webhook"),
    "notion": Hmac("X-Notion-Signature", prefix="sha256="),
    "clickup": Hmac("X-Signature"),
    "toggl": Hmac("X-Webhook-Signature-256", prefix="sha256="),
    "plane": Hmac("X-Plane-Signature"),
    "vikunja": Hmac("X-Vikunja-Signature"),
    "shortcut": Hmac("Payload-Signature"),
    "gitea": Hmac("X-Gitea-Signature"),
    "teamwork": Hmac("X-Projects-Signature"),
    "xero": Hmac("x-xero-signature", encoding="base64"),
    "intuit": Hmac("intuit-signature", encoding="base64"),
}

SHA256 = "497dc76244f6627bedb24e70f305d809aca642c761585b157c01f42c2ba7eeff"

OURS: dict[str, tuple[Signature, str, dict[str, str], bytes, bool]] = {
    # The values were made with `openssl dgst -hmac secret`, not with the code that is tested.
    "sha256 in hex": (
        GITHUB,
        "secret",
        {"X-Hub-Signature-256": "sha256=" + SHA256},
        BODY,
        True,
    ),
    "sha256 in upper-case hex": (
        Hmac("X-Signature"),
        "secret",
        {"X-Signature": SHA256.upper()},
        BODY,
        True,
    ),
    "sha1 in base64": (
        Hmac("X-Signature", algorithm="sha1", encoding="base64"),
        "secret",
        {"X-Signature": "mBRywa1Zd2mOIDS/aV8ICi5NNMQ="},
        BODY,
        True,
    ),
    "sha512 in hex": (
        Hmac("X-Signature", algorithm="sha512"),
        "secret",
        {
            "X-Signature": "84e4772cea3bcd8a82aa5fc96f0beec0a82b73aeee39434e71b367c15f8d9801"
            "b82d7de1509232141e00a6b204a9582be83b52b6bee37bcb0e8d32d3a69e7270"
        },
        BODY,
        True,
    ),
    "no prefix where one is declared": (
        GITHUB,
        "secret",
        {"X-Hub-Signature-256": SHA256},
        BODY,
        False,
    ),
    "the prefix twice": (
        GITHUB,
        "secret",
        {"X-Hub-Signature-256": "sha256=sha256=" + SHA256},
        BODY,
        False,
    ),
    "the value twice, as a server joins doubled headers": (
        GITHUB,
        "secret",
        {"X-Hub-Signature-256": "sha256=" + SHA256 + ",sha256=" + SHA256},
        BODY,
        False,
    ),
    "a shortened value": (
        GITHUB,
        "secret",
        {"X-Hub-Signature-256": "sha256=" + SHA256[:-2]},
        BODY,
        False,
    ),
    "the legacy header in place of the declared one": (
        GITHUB,
        "secret",
        {"X-Hub-Signature": "sha256=" + SHA256},
        BODY,
        False,
    ),
}


def delivery_of(headers: dict[str, str], body: bytes = BODY) -> Delivery:
    return Delivery(headers=lower_case(headers), body=body, received_at=NOW)


def accepts(
    scheme: Signature,
    secret: str,
    headers: dict[str, str],
    body: bytes = BODY,
    now: datetime = NOW,
    url: str = "",
) -> bool:
    try:
        scheme.verify(replace(delivery_of(headers, body), url=url), [secret], now=now)
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize(
    ("scheme", "secret", "headers", "body", "is_valid"), OURS.values(), ids=OURS.keys()
)
def test_a_plain_hmac_is_accepted_exactly_when_it_is_right(
    scheme: Signature, secret: str, headers: dict[str, str], body: bytes, is_valid: bool
) -> None:
    assert accepts(scheme, secret, headers, body) is is_valid


def corpus_vectors() -> list[Any]:
    corpus = os.environ.get("BILLHOOK_CORPUS")
    if not corpus:
        skip = pytest.mark.skip("BILLHOOK_CORPUS does not name the folder of recorded payloads")
        return [pytest.param({}, marks=skip, id="no corpus")]
    file = Path(corpus) / "payloads" / "signature_vectors.json"
    vectors = json.loads(file.read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(one, id=one["id"]) for one in vectors if one["scheme"] in SCHEMES]


@pytest.mark.parametrize("vector", corpus_vectors())
def test_each_vector_of_the_corpus_is_accepted_or_refused_as_it_says(vector: Any) -> None:
    now = datetime.fromtimestamp(vector.get("verify_at", 1_790_000_000), UTC)
    is_valid = vector["expected"].startswith("valid")
    assert is_valid or vector["expected"].startswith("invalid")
    body = vector["body"].encode()
    scheme = SCHEMES[vector["scheme"]]
    url = vector.get("callback_url") or vector.get("url", "")
    assert accepts(scheme, vector["secret"], vector.get("headers", {}), body, now, url) is is_valid


PROVED_BY = {
    "asana": ["asana"],
    "azure_devops": ["azure_basic"],
    "clickup": ["clickup"],
    "clockify": ["clockify_token"],
    "generic": ["standard_webhooks"],
    "gitea": ["gitea"],
    "github": ["github"],
    "gitlab": ["gitlab_signing_token", "gitlab_token"],
    "jira": ["jira_hub_signature"],
    "kanboard": ["kanboard_token"],
    "linear": ["linear"],
    "monday": ["monday_jwt"],
    "openproject": ["openproject"],
    "plane": ["plane"],
    "quickbooks": ["intuit"],
    "redmine": ["redmine"],
    "shortcut": ["shortcut"],
    "stripe": ["stripe"],
    "taiga": ["taiga"],
    "toggl": ["toggl"],
    "trello": ["trello"],
    "xero": ["xero"],
}
"""The vectors of the corpus that prove each source's signature."""


def test_every_source_that_is_posted_to_is_proved_by_a_vector() -> None:
    assert set(PROVED_BY) == {key for key, source in sources().items() if source.signature}


@pytest.mark.parametrize("vector", corpus_vectors())
def test_each_vector_is_accepted_or_refused_by_the_source_itself(vector: Any) -> None:
    now = datetime.fromtimestamp(vector.get("verify_at", 1_790_000_000), UTC)
    url = vector.get("callback_url") or vector.get("url", "")
    delivery = replace(
        delivery_of(vector.get("headers", {}), vector["body"].encode()), url=url, received_at=now
    )
    for key in (key for key, proofs in PROVED_BY.items() if vector["scheme"] in proofs):
        source = sources()[key]
        if vector["expected"].startswith("valid"):
            source.verify(delivery, [vector["secret"]], now=now)
        else:
            with pytest.raises(SignatureError):
                source.verify(delivery, [vector["secret"]], now=now)


def test_the_reference_library_accepts_what_we_sign_and_the_other_way_round() -> None:
    now = datetime.now(UTC)
    reference = standardwebhooks.Webhook(KEY)
    ours = StandardWebhooks().sign(BODY, KEY, delivery_id="msg_1", now=now)
    assert reference.verify(BODY.decode(), ours)
    theirs = {
        "webhook-id": "msg_2",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": reference.sign("msg_2", now, BODY.decode()),
    }
    assert accepts(StandardWebhooks(), KEY, theirs, now=now)


def test_stripes_library_accepts_what_we_sign_and_the_other_way_round() -> None:
    now = datetime.now(UTC)
    body = b'{"id":"evt_1","object":"event"}'
    ours = StripeSignature().sign(body, KEY, delivery_id="", now=now)["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(body.decode(), ours, KEY, tolerance=300)
    theirs = stripe.WebhookSignature.generate_signature_header(
        body.decode(), KEY, timestamp=int(now.timestamp())
    )
    assert accepts(StripeSignature(), KEY, {"Stripe-Signature": theirs}, body, now)


def test_stripes_signed_example_is_what_its_library_makes() -> None:
    example = sources()["stripe"].signed_example
    assert example is not None
    made = stripe.WebhookSignature.generate_signature_header(
        example.body.decode(), example.secret, timestamp=int(example.verify_at.timestamp())
    )
    assert example.headers == {"stripe-signature": made}


@pytest.mark.parametrize(
    ("seconds", "is_fresh"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
@pytest.mark.parametrize("scheme", [StandardWebhooks(), StripeSignature()], ids=["std", "stripe"])
def test_a_timestamp_holds_for_300_seconds_both_ways(
    scheme: Signature, seconds: int, is_fresh: bool
) -> None:
    headers = scheme.sign(BODY, KEY, delivery_id="msg_1", now=NOW)
    assert accepts(scheme, KEY, headers, now=NOW + timedelta(seconds=seconds)) is is_fresh


def standard(**changes: str) -> dict[str, str]:
    headers = StandardWebhooks().sign(BODY, KEY, delivery_id="msg_1", now=NOW)
    return {**headers, **{name.replace("_", "-"): value for name, value in changes.items()}}


RIGHT = standard()["webhook-signature"]
WRONG = "v1," + "A" * 43 + "="


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (f"{WRONG} {RIGHT}", True),
        (f"{RIGHT} {WRONG}", True),
        (f"v1a,abc {RIGHT}", True),
        (f"v1, {RIGHT}", True),
        (WRONG, False),
        ("v1,", False),
        ("v1", False),
        (",", False),
        (RIGHT.replace("v1,", "v2,"), False),
        (RIGHT.removeprefix("v1,"), False),
        (f"{RIGHT},{RIGHT}", False),
        (RIGHT + "\u00e9", False),
        (RIGHT + "\n", False),
        (RIGHT.rstrip("="), False),
    ],
)
def test_one_right_value_in_a_list_of_standard_webhooks_is_enough(
    value: str, is_valid: bool
) -> None:
    assert accepts(StandardWebhooks(), KEY, standard(webhook_signature=value)) is is_valid


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_id": "msg_2"},
        {"webhook_id": "msg_1 "},
        {"webhook_timestamp": "1774958401"},
        {"webhook_timestamp": "01774958400"},
        {"webhook_timestamp": "1774958400.0"},
        {"webhook_timestamp": "-1774958400"},
        {"webhook_timestamp": "١٧٧٤٩٥٨٤٠٠"},
        {"webhook_timestamp": "9" * 400},
        {"webhook_timestamp": "now"},
    ],
)
def test_id_and_timestamp_are_signed_too(changes: dict[str, str]) -> None:
    assert not accepts(StandardWebhooks(), KEY, standard(**changes))


@pytest.mark.parametrize("secret", ["not base64!", "whsec_", "whsec_é", "whsec_====", "plain"])
def test_a_secret_that_is_no_key_accepts_nothing_and_says_so(secret: str) -> None:
    with pytest.raises(SignatureError, match="base64"):
        StandardWebhooks().verify(delivery_of(standard()), [secret], now=NOW)


def test_a_secret_that_is_no_key_does_not_lock_out_the_other_live_secret() -> None:
    StandardWebhooks().verify(delivery_of(standard()), ["not base64!", KEY], now=NOW)
    StandardWebhooks().verify(delivery_of(standard()), [KEY, "not base64!"], now=NOW)


def test_the_base64_of_a_secret_may_stand_without_its_prefix() -> None:
    assert accepts(StandardWebhooks(), KEY.removeprefix("whsec_"), standard())


STRIPE = StripeSignature().sign(BODY, KEY, delivery_id="", now=NOW)["Stripe-Signature"]
T, V1 = STRIPE.split(",")


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (STRIPE, True),
        (f"{T},v1={'0' * 64},{V1}", True),
        (f"{T},{V1},v0={'0' * 64}", True),
        (f"{V1},{T}", True),
        (f"{T},v1={'0' * 64}", False),
        (f"{T},v1=", False),
        (f"{T},{V1},v1=", False),
        (f"{T},{T},{V1}", False),
        (f"t=1,{T},{V1}", False),
        (f"{T},{V1.replace('v1', 'v0')}", False),
        (V1, False),
        (T, False),
        (f"t=,{V1}", False),
        (f"{T}, {V1}", False),
        (f"t=1774958401,{V1}", False),
        ("bad_header", False),
        (",,,", False),
        ("t==,v1==", False),
        (STRIPE + "é", False),
    ],
)
def test_stripes_header_needs_one_timestamp_and_one_right_value(value: str, is_valid: bool) -> None:
    assert accepts(StripeSignature(), KEY, {"Stripe-Signature": value}) is is_valid


def test_stripes_secret_is_used_with_its_prefix() -> None:
    assert not accepts(StripeSignature(), KEY.removeprefix("whsec_"), {"Stripe-Signature": STRIPE})


EITHER = AnyOf((StandardWebhooks(), Hmac("X-Billhook-Signature", prefix="sha256=")))
PLAIN = Hmac("X-Billhook-Signature", prefix="sha256=").sign(BODY, KEY, delivery_id="", now=NOW)


def test_either_scheme_is_accepted_alone() -> None:
    assert accepts(EITHER, KEY, standard())
    assert accepts(EITHER, KEY, PLAIN)


def test_a_right_plain_signature_does_not_save_a_wrong_dated_one() -> None:
    assert not accepts(EITHER, KEY, {**standard(webhook_signature=WRONG), **PLAIN})
    assert not accepts(EITHER, KEY, {**standard(), **PLAIN}, now=NOW + timedelta(hours=1))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_part_of_a_dated_signature_is_refused_even_beside_a_plain_one(name: str) -> None:
    assert not accepts(EITHER, KEY, {name: standard()[name], **PLAIN})


def test_an_unsigned_delivery_is_told_which_header_is_missing() -> None:
    with pytest.raises(SignatureError, match="webhook-signature or x-billhook-signature"):
        EITHER.verify(delivery_of({}), [KEY], now=NOW)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_header_is_accepted_or_refused_never_a_crash(value: str) -> None:
    for scheme in (GITHUB, *EITHER.schemes, StripeSignature()):
        for name in scheme.headers:
            headers = scheme.sign(BODY, KEY, delivery_id="msg_1", now=NOW)
            assert not accepts(scheme, KEY, {**lower_case(headers), name: value + "x"})
            accepts(EITHER, KEY, {**lower_case(headers), name: value})


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_one_signature_fits_one_body(signed: bytes, sent: bytes) -> None:
    for scheme in (GITHUB, EITHER, StripeSignature(), StandardWebhooks()):
        headers = scheme.sign(signed, KEY, delivery_id="msg_1", now=NOW)
        assert accepts(scheme, KEY, headers, sent) is (signed == sent)


def test_no_message_holds_a_secret_or_the_expected_value() -> None:
    for scheme in (GITHUB, EITHER, StripeSignature(), StandardWebhooks()):
        headers = scheme.sign(b"other", KEY, delivery_id="msg_1", now=NOW)
        right = scheme.sign(BODY, KEY, delivery_id="msg_1", now=NOW)
        with pytest.raises(SignatureError) as refusal:
            scheme.verify(replace(delivery_of(headers)), [KEY], now=NOW)
        assert KEY not in str(refusal.value)
        assert not any(value in str(refusal.value) for value in right.values())
