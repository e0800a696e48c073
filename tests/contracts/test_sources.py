"""What every source promises. A new folder under `webhooks/` is picked up by itself.

The author of a source writes `payloads/*.json` and no test. A payload file holds
`origin`, `headers`, `body` and what is expected; `each` repeats it, with every `$each` in
the file replaced. `"ignored": true` means: with the reason that the source declares.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import webhooks
from ledger.errors import PayloadError, SignatureError, UnsupportedEventTypeError
from ledger.events import (
    FOUND,
    GONE,
    KINDS,
    Delivery,
    Event,
    Fact,
    Found,
    Reading,
    canonical_json,
    restated,
)
from webhooks.registry import sources
from webhooks.signatures import (
    AnyOf,
    Hmac,
    Jwt,
    Signature,
    StandardWebhooks,
    StripeSignature,
    lower_case,
)
from webhooks.source import Source

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="
OTHER_SECRET = "whsec_c29tZWJvZHktZWxzZQ=="
FOLDERS = sorted(
    file.parent.name for root in webhooks.__path__ for file in Path(root).glob("*/__init__.py")
)
SOURCES = [pytest.param(source, id=key) for key, source in sources().items()]
WRONG: list[object] = [
    None,
    True,
    -1,
    1.5,
    10**18,
    "",
    "text",
    "x" * 5000,
    [],
    [None],
    {},
    {"a": 1},
]


@dataclass(frozen=True)
class Recording:
    """One payload file, or one of the deliveries that its `each` stands for."""

    source: Source
    file: Path
    origin: str
    headers: dict[str, str]
    body: Any
    expect: dict[str, Any]

    @property
    def delivery(self) -> Delivery:
        return self.with_body(self.body)

    def with_body(self, body: Any) -> Delivery:
        return Delivery(
            headers=lower_case(self.headers),
            body=json.dumps(body, ensure_ascii=False).encode(),
            received_at=NOW,
            endpoint=self.source.key,
        )


def recordings(source: Source) -> Iterator[Recording]:
    folder = Path(next(iter(webhooks.__path__))) / source.key / "payloads"
    for file in sorted(folder.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        for one in json.loads(text).get("each", [None]):
            told = json.loads(text if one is None else text.replace("$each", one))
            told.pop("each", None)
            yield Recording(source=source, file=file, **told)


RECORDINGS = [
    pytest.param(recording, id=f"{source.key}-{recording.file.stem}-{number}")
    for source in sources().values()
    for number, recording in enumerate(recordings(source))
]


FILES = [
    pytest.param(next(same), id=f"{source.key}-{stem}")
    for source in sources().values()
    for stem, same in groupby(recordings(source), key=lambda told: told.file.stem)
]
"""The first recording of each file: the others differ by a name that is ignored alike."""


def schemes_of(source: Source) -> tuple[Signature, ...]:
    signature = source.signature
    if signature is None:
        return ()
    return signature.schemes if isinstance(signature, AnyOf) else (signature,)


SCHEMES = [
    pytest.param(source, scheme, id=f"{source.key}-{type(scheme).__name__}")
    for source in sources().values()
    for scheme in schemes_of(source)
]
OVER_BODIES = [
    pytest.param(source, scheme, id=f"{source.key}-{type(scheme).__name__}")
    for source in sources().values()
    for scheme in schemes_of(source)
    if scheme.covers_body
]
SIGNED = [
    pytest.param(source, id=key)
    for key, source in sources().items()
    if source.signature is not None
]


def signed(source: Source, scheme: Signature, secret: str = SECRET) -> Delivery:
    """Return a recording of the source, one that says something, as its sender posts it now."""
    delivery = next(
        told.delivery
        for told in recordings(source)
        if not told.expect["ignored"] and FOUND not in told.delivery.headers
    )
    signature = source.signature
    assert signature is not None
    unsigned = {
        name: value for name, value in delivery.headers.items() if name not in signature.headers
    }
    url = scheme.addressed(f"https://billhook.example/webhooks/{source.key}", secret)
    body = scheme.stamped(delivery.body, NOW)
    added = scheme.sign(body, secret, delivery_id="msg_1", now=NOW, url=url)
    return replace(delivery, headers={**unsigned, **lower_case(added)}, body=body, url=url)


def event_told(event: Event) -> Any:
    told = {**event.as_json(), "version": event.version, "about": event.about}
    if event.seconds_before is not None:
        told["seconds_before"] = event.seconds_before
    return json.loads(canonical_json(told))


def fact_told(fact: Fact) -> Any:
    told = {name: getattr(fact, name) for name in Fact.__dataclass_fields__}
    # Who works and whether it is billable stands in a payload only where the fact tells it.
    seldom = ("person", "person_name", "billable")
    told = {name: value for name, value in told.items() if name not in seldom or value is not None}
    return json.loads(canonical_json(told))


def read_or_refused(source: Source, delivery: Delivery, change: str) -> Reading | None:
    """Normalize a spoiled delivery; anything but a reading or one of our errors is a bug."""
    try:
        reading = source.normalize(delivery)
    except PayloadError as error:
        is_named = bool(error.path) and "\n" not in str(error)
    except UnsupportedEventTypeError:
        return None
    else:
        check(source, reading, change)
        return reading
    assert is_named, change
    return None


def check(source: Source, reading: Reading, change: str) -> None:
    assert bool(reading.events or reading.asks) != bool(reading.ignored), change
    for about in reading.asks:
        assert about.partition(":")[2], change
        assert len(about) <= 255, change
    for event in reading.events:
        assert event.kind in source.kinds, change
        assert event.occurred_at.tzinfo is UTC, change
        assert event.subject.partition(":")[2] or source.key == "generic", change
        assert event.digest(), change
        assert event.seconds is None or event.seconds >= 0, change


def paths_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    members: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    if isinstance(value, list):
        members = list(enumerate(value))
    for name, member in members:
        yield (*path, name)
        yield from paths_in(member, (*path, name))


def holder_of(body: Any, path: tuple[str | int, ...]) -> Any:
    for name in path[:-1]:
        body = body[name]
    return body


def test_every_folder_is_registered() -> None:
    assert sorted(sources()) == FOLDERS


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_a_readme_that_names_each_type_it_reads(source: Source) -> None:
    readme = (Path(next(iter(webhooks.__path__))) / source.key / "README.md").read_text()
    assert [event_type for event_type in source.readers if event_type not in readme] == []


@pytest.mark.parametrize("source", SOURCES)
def test_every_declared_event_type_has_a_payload_and_no_other_has(source: Source) -> None:
    told = {source.event_type(recording.delivery) for recording in recordings(source)}
    declared = {*source.readers, *source.ignored}
    assert source.url_events <= declared
    assert told - declared == set(), "declare them in `readers` or `ignored`"
    assert declared - told == set(), f"add them to webhooks/{source.key}/payloads/"


@pytest.mark.parametrize("source", SOURCES)
def test_no_type_is_both_read_and_ignored(source: Source) -> None:
    assert set(source.readers) & set(source.ignored) == set()


@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_recorded_payload_gives_the_expected_reading(recording: Recording) -> None:
    source, expect = recording.source, recording.expect
    reading = source.normalize(recording.delivery)
    reason = expect["ignored"]
    if reason is True:
        reason = source.ignored[source.event_type(recording.delivery)]
    assert [event_told(event) for event in reading.events] == expect["events"]
    assert [fact_told(fact) for fact in reading.facts] == expect["facts"]
    assert list(reading.asks) == expect.get("asks", [])
    assert reading.ignored == reason


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_says_what_it_tells(source: Source) -> None:
    told = {event["kind"] for each in recordings(source) for event in each.expect["events"]}
    assert set(source.kinds) <= set(KINDS)
    assert told == set(source.kinds), "`kinds` and the payloads' expectations differ"
    assert (source.signature is None) == (source.signed_example is None)


def others_than(source: Source) -> list[Source]:
    return [other for other in sources().values() if other.key != source.key]


@pytest.mark.parametrize("source", SOURCES)
def test_the_vendors_own_page_is_named(source: Source) -> None:
    assert source.docs_url not in {other.docs_url for other in others_than(source)}, (
        "docs_url: write the address of the vendor's page about its webhooks"
    )


@pytest.mark.parametrize("source", SIGNED)
def test_the_signed_example_is_of_this_tool(source: Source) -> None:
    example = source.signed_example
    assert example is not None
    others = [other.signed_example for other in others_than(source) if other.signed_example]
    # Two tools may publish the same example for the same scheme, each on a page of its own.
    assert (example.body, example.origin) not in [(each.body, each.origin) for each in others], (
        "signed_example: give a delivery that the vendor signed"
    )


@pytest.mark.parametrize("source", SOURCES)
def test_no_payload_is_left_from_a_copied_source(source: Source) -> None:
    copied = [
        told.file.name
        for told in recordings(source)
        if not told.origin or told.origin.startswith("copied")
    ]
    assert copied == [], "payloads: put recorded deliveries of the tool in the place of these"


@pytest.mark.parametrize("source", SOURCES)
def test_it_is_said_how_a_replay_is_told_and_how_far_the_source_is_proven(source: Source) -> None:
    assert source.replay, "replay: say what tells a replayed delivery from a new one"
    assert source.proven, "proven: say how far it is proven, and when"


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_found_missing_takes_an_entry_back(source: Source) -> None:
    found = Found.thing(GONE, {"subject": "entry:1", "version": 1_790_000_000_000})
    (event,) = source.normalize(found.delivery("here", NOW)).events
    assert (event.kind, event.subject) == ("time.removed", "entry:1")


@pytest.mark.parametrize("recording", FILES)
def test_what_is_restated_reads_the_same_but_newer(recording: Recording) -> None:
    """So what a tool shows now wins over what was wrongly taken for newer."""
    source, plain = recording.source, recording.delivery
    reading = source.normalize(plain)
    newest = 253_370_764_800_000
    again = source.normalize(restated(plain, newest))
    assert again == replace(
        reading, events=tuple(replace(event, version=newest) for event in reading.events)
    )
    assert source.normalize(restated(plain, 0)) == reading
    with pytest.raises(PayloadError):
        source.normalize(restated(restated(plain, 1), 2))


@pytest.mark.parametrize("recording", FILES)
def test_a_reading_has_events_or_a_reason_why_not(recording: Recording) -> None:
    reading = read_or_refused(recording.source, recording.delivery, "as it is")
    assert reading is not None
    assert reading == recording.source.normalize(recording.delivery)


@pytest.mark.parametrize("recording", FILES)
def test_a_missing_field_is_named_never_a_crash(recording: Recording) -> None:
    for path in paths_in(recording.body):
        body = copy.deepcopy(recording.body)
        del holder_of(body, path)[path[-1]]
        read_or_refused(recording.source, recording.with_body(body), f"without {path}")
    for name in recording.headers:
        headers = {key: value for key, value in recording.headers.items() if key != name}
        spoiled = replace(recording, headers=headers)
        read_or_refused(recording.source, spoiled.delivery, f"without {name}")


@pytest.mark.parametrize("recording", FILES)
def test_a_field_of_another_type_is_named_never_a_crash(recording: Recording) -> None:
    body = copy.deepcopy(recording.body)
    for path in paths_in(recording.body):
        holder, name = holder_of(body, path), path[-1]
        right = holder[name]
        for value in WRONG:
            holder[name] = value
            read_or_refused(recording.source, recording.with_body(body), f"{path} = {value!r:.40}")
        holder[name] = right
    assert body == recording.body


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"1", b"{}", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused_by_name(source: Source, body: bytes) -> None:
    delivery = Delivery(headers={}, body=body, received_at=NOW, endpoint=source.key)
    with pytest.raises(PayloadError):
        source.normalize(delivery)
    source.delivery_id(delivery)
    source.handshake(delivery)
    source.greeting(delivery)


@pytest.mark.parametrize("source", SIGNED)
def test_the_vendors_own_signed_example_is_accepted(source: Source) -> None:
    example = source.signed_example
    assert example is not None
    source.verify(example.delivery, [example.secret], now=example.verify_at)
    assert example.origin


@pytest.mark.parametrize("source", SIGNED)
def test_the_vendors_own_signed_example_is_refused_with_another_body_or_secret(
    source: Source,
) -> None:
    example = source.signed_example
    assert example is not None
    with pytest.raises(SignatureError):
        source.verify(example.delivery, [OTHER_SECRET], now=example.verify_at)
    if not any(scheme.covers_body for scheme in schemes_of(source)):
        return
    forged = replace(example.delivery, body=example.body + b" ")
    with pytest.raises(SignatureError):
        source.verify(forged, [example.secret], now=example.verify_at)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
def test_a_signed_delivery_is_accepted(source: Source, scheme: Signature) -> None:
    source.verify(signed(source, scheme), [SECRET], now=NOW)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
@pytest.mark.parametrize("secrets", [[SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]])
def test_both_live_secrets_are_accepted_while_one_replaces_the_other(
    source: Source, scheme: Signature, secrets: list[str]
) -> None:
    source.verify(signed(source, scheme), secrets, now=NOW)


@pytest.mark.parametrize("source", SIGNED)
def test_a_redelivery_has_the_same_id(source: Source) -> None:
    scheme = schemes_of(source)[0]
    first = signed(source, scheme)
    again = replace(first, received_at=NOW + timedelta(minutes=10))
    assert source.delivery_id(first) == source.delivery_id(again)


@pytest.mark.parametrize("recording", FILES)
def test_what_counts_does_not_depend_on_when_it_arrived(recording: Recording) -> None:
    """Facts apply by version, so the version is the tool's own, unless it has none at all."""
    source, first = recording.source, recording.delivery
    if source.orders_by_arrival or source.key == "generic":
        return
    later = replace(first, received_at=NOW + timedelta(days=400))
    assert source.normalize(first) == source.normalize(later)


@pytest.mark.parametrize("source", SOURCES)
def test_two_deliveries_have_two_ids(source: Source) -> None:
    ids = [source.delivery_id(recording.delivery) for recording in recordings(source)]
    told = [delivery_id for delivery_id in ids if delivery_id is not None]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(("source", "scheme"), OVER_BODIES)
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda body: body + b" ", id="longer"),
        pytest.param(lambda body: body[:-1], id="truncated"),
        pytest.param(lambda body: b"", id="empty"),
        pytest.param(lambda body: body.replace(b"1", b"2"), id="altered"),
        pytest.param(lambda body: json.dumps(json.loads(body), indent=1).encode(), id="re-encoded"),
    ],
)
def test_a_body_that_was_not_signed_is_refused(
    source: Source, scheme: Signature, spoil: Any
) -> None:
    delivery = signed(source, scheme)
    forged = replace(delivery, body=spoil(delivery.body))
    assert forged.body != delivery.body
    with pytest.raises(SignatureError):
        source.verify(forged, [SECRET], now=NOW)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
@pytest.mark.parametrize("secrets", [[], [""], [" "], ["", ""], [OTHER_SECRET]])
def test_without_the_right_secret_nothing_is_accepted(
    source: Source, scheme: Signature, secrets: list[str]
) -> None:
    with pytest.raises(SignatureError):
        source.verify(signed(source, scheme), secrets, now=NOW)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
def test_a_delivery_signed_with_an_empty_secret_is_refused(
    source: Source, scheme: Signature
) -> None:
    if isinstance(scheme, StandardWebhooks | Jwt):
        with pytest.raises((SignatureError, ValueError)):
            source.verify(signed(source, scheme, secret=""), [SECRET], now=NOW)
        return
    with pytest.raises(SignatureError):
        source.verify(signed(source, scheme, secret=""), ["", SECRET], now=NOW)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
@pytest.mark.parametrize("value", [None, "", " ", "é", "sha256=", "v1,", "\x00", "=", "t=,v1="])
def test_a_missing_or_odd_signature_header_is_refused(
    source: Source, scheme: Signature, value: str | None
) -> None:
    delivery = signed(source, scheme)
    for name in scheme.headers:
        headers = {key: told for key, told in delivery.headers.items() if key != name}
        if value is not None:
            headers[name] = value
        with pytest.raises(SignatureError):
            source.verify(replace(delivery, headers=headers), [SECRET], now=NOW)


@pytest.mark.parametrize(("source", "scheme"), SCHEMES)
@pytest.mark.parametrize("off", [timedelta(seconds=-301), timedelta(seconds=301)])
def test_a_signed_timestamp_that_is_too_far_away_is_refused(
    source: Source, scheme: Signature, off: timedelta
) -> None:
    is_timed = isinstance(scheme, StandardWebhooks | StripeSignature) or (
        isinstance(scheme, Hmac) and bool(scheme.timestamp)
    )
    if is_timed:
        with pytest.raises(SignatureError):
            source.verify(signed(source, scheme), [SECRET], now=NOW + off)
    source.verify(signed(source, scheme), [SECRET], now=NOW + off / 6)
