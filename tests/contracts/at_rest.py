"""Bytes at rest: stored data of an instance that a later release must still open, unpack, or find rows by.

Storage only grows, and rows outlive the release that wrote them. `at_rest.json` next to the golden records has one of
each kind of bytes that are not a plain column. `stored` wrote it once, `opened` reads it, and `derived` computes the
values again by which rows are found or compared.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from services.audit.domain.partitions import Loss, LossReason, PartitionId, entry_of
from services.audit.domain.reading import record_digest
from shared.core.contracts.directory import DocumentActivated
from shared.core.contracts.preservation_api import PreservationRecord
from shared.core.contracts.referral import Locator, OnionLocator, PeerLocator, ReferralRecord, UrlLocator
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, protect, reveal, unwrap, wrap
from shared.core.guard import kept_locator
from shared.core.protocol.accept import accept
from shared.core.protocol.decision_fact import commitment, edge_salt
from shared.core.protocol.locations import FORMS, in_form
from shared.core.protocol.message import Received, Record
from shared.core.protocol.second_review import SecondReview
from shared.delivery.arriving import pack, unpack
from shared.delivery.judgement import read_edge
from shared.features.amendments.store import revision_place
from shared.features.cases.store.cases import case_reference, protected_reference
from shared.features.filing.store.edge_rows import reference_place
from shared.features.filing.store.intake import places
from shared.features.preservation.store import opened_record, protected_record
from shared.features.received.store.arriving import open_record, seal_record
from shared.messaging.segments import OutgoingMessage, PackedMessages, RecordBytes, pack_messages, parse_messages
from shared.messaging.streams import WireRole
from shared.messaging.tracks import act_of, track_of
from shared.platform.console.accounts import link_hash, opaque_actor
from shared.platform.courier.leases import HookKey
from shared.platform.database.columns import compress
from shared.platform.database.journal import BEGINNING, AccessEnd, ErasedRecord, Journal, KeptRecord
from shared.platform.http.acts import body_hash, items_hash
from shared.platform.http.identity import key_hash
from shared.platform.kafka.documents import BEAT_KEY, DIRECTORY_TOPIC, document_key
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import World

#: The key-encryption key of this installation. It protects nothing else.
KEK: Final = KeyEncryptionKey(bytes(range(32)))
SUBJECT: Final = UUID("019b2d3c-4400-7000-8000-0000000000a1")
OTHER: Final = UUID("019b2d3c-4400-7000-8000-0000000000a2")
TEXT: Final = "harmless generated text"
#: Two people by their opaque ids, and 32 bytes of salt.
ONE, TWO, SALT = "1" * 32, "2" * 32, "5" * 64
#: Addresses whose form leaves a part out, or differs from the sent form.
PLACES: Final[Sequence[Locator]] = (
    UrlLocator(kind="url", value="http://Provider-002.example:80/a/./b/../%7Ec%2F/?#d"),
    UrlLocator(kind="url", value="https://provider-002.example:8443//a%b?q=1&p=%C3%A9"),
    UrlLocator(kind="url", value="https://provider-002.example/"),
    OnionLocator(kind="onion", value=f"http://{'a' * 56}.onion/A/"),
    PeerLocator(kind="p2p", value=f"ed2k://|file|a.jpg|1|{'A' * 32}|/"),
)
ASKED: Final = PreservationRecord(locations=PLACES[:1], order_reference="ORDER-1")
ACTIVATED: Final = DocumentActivated.model_construct(kind="directory", digest=SALT, active_from=AT)
LOST: Final = Loss(PartitionId("causeway.hotline.v1", SUBJECT, 0), 3, 7, LossReason.RETENTION)
#: The places of an origin's wrapped key and of the content under it, by kind.
ORIGINS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "referral": places(SUBJECT, HOTLINE),
    "revision": (places(SUBJECT, HOTLINE)[0], revision_place(SUBJECT, 1, HOTLINE)),
    "reference": (places(SUBJECT, HOTLINE)[0], reference_place(OTHER, HOTLINE)),
}
#: Entries of an erasure that counts, of one that never committed, and of an access that ended.
LINES: Final = (
    ErasedRecord("referral", SUBJECT, HOTLINE),
    ErasedRecord("referral", OTHER, HOTLINE),
    KeptRecord("referral", OTHER, HOTLINE),
    AccessEnd("api_key", UUID(ONE), HOTLINE),
)


def stored(here: World, records: Sequence[Record]) -> dict[str, Any]:
    """Return the stored bytes of golden records, in base64. The first record began an item."""
    received, safe, keys = _received(here, records[0]), HookKey.made(OTHER, HOTLINE), dict[str, Any]()
    for name, (wrapped, content) in ORIGINS.items():
        key = DataKey.generate()
        keys[name] = [_text(wrap(key, KEK, wrapped)), _text(protect(TEXT.encode(), key, content))]
    item = seal_record(received, KEK)
    return {
        "item": [_text(each) for each in item],
        "origin": keys,
        "preservation": [_text(each) for each in protected_record(SUBJECT, POLICE, record=ASKED, kek=KEK)],
        "case": [_text(each) for each in protected_reference(SUBJECT, POLICE, reference=TEXT, kek=KEK)],
        "address": [_text(safe.wrapped(KEK)), _text(safe.protect("url", TEXT))],
        "kept": [_text(pack(each)) for each in _packable(records)],
        "segment": [_text(column) for column in pack_messages([_outgoing(each) for each in records])],
        "journal": _journal(),
        "derived": derived(here, records),
    }


def opened(here: World, records: Sequence[Record], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of bytes that any release has stored: `expected`. Raises `Defect` for unreadable bytes."""
    record, wrapped = map(b64decode, kept["item"])
    received = _received(here, records[0])
    item = open_record(_item_row(received, record, wrapped), KEK)
    assert item is not None
    proof = received.record.shared.prove(bytes.fromhex(received.digest), item.record.salt)
    at_origin = {
        name: reveal(b64decode(text), unwrap(b64decode(under), KEK, ORIGINS[name][0]), ORIGINS[name][1]).decode()
        for name, (under, text) in kept["origin"].items()
    }
    under, url = map(b64decode, kept["address"])
    return {
        "content": ReferralRecord.model_validate(from_json(item.part.plaintext)["record"]),
        "evidence": replace(item.record, wrap=received.record.wrap, proof=proof),
        "origin": at_origin,
        "preservation": opened_record(_row(kept["preservation"], "content", "wrapped_key"), KEK),
        "case": case_reference(_row(kept["case"], "case_reference", "reference_key"), KEK),
        "address": HookKey.opened(OTHER, HOTLINE, under, kek=KEK).reveal("url", url),
        "kept": [unpack(b64decode(each)) for each in kept["kept"]],
        "segment": parse_messages(PackedMessages(*map(b64decode, kept["segment"]))),
        "journal": _lines(kept["journal"]),
        "derived": kept["derived"],
    }


def expected(here: World, records: Sequence[Record]) -> dict[str, Any]:
    """Return the result of `opened` if all of it is still readable."""
    return {
        "content": _received(here, records[0]).sealed,
        "evidence": replace(records[0], topic_id=None, headers=records[0].headers[:13]),
        "origin": dict.fromkeys(ORIGINS, TEXT),
        "preservation": ASKED,
        "case": TEXT,
        "address": TEXT,
        "kept": _packable(records),
        "segment": tuple(_outgoing(each) for each in records),
        "journal": [LINES[0], LINES[3]],
        "derived": derived(here, records),
    }


def derived(here: World, records: Sequence[Record]) -> dict[str, str]:
    """Return values by which rows are found and compared, and which are not stored themselves.

    They are equal in every release.
    """
    whole = [_received(here, each) for each in records]
    told = {each.message.name: "" if (edge := read_edge(each)) is None else edge.content for each in whole}
    return {
        "actor": KEK.actor_id(HOTLINE, b"somebody"),
        "location": KEK.location_token(HOTLINE, 1, TEXT).hex(),
        "reference": KEK.reference_token(HOTLINE, TEXT).hex(),
        "person": opaque_actor(HOTLINE, TEXT),
        "released": " ".join(SecondReview(ONE, TWO).as_told(HOTLINE)),
        "link": link_hash(TEXT).hex(),
        "api_key": key_hash(TEXT).hex(),
        "edge_salt": edge_salt(SALT, SUBJECT),
        "commitment": commitment(SALT, SALT),
        "body": body_hash("/v1/referrals", b'{"b": 1.0, "a": "\xc3\xa9"}').hex(),
        "items": items_hash("/v1/referrals:batch", [({"b": 1, "a": TEXT}, b"")]).hex(),
        "unreadable": record_digest(records[0]),
        "loss": entry_of(LOST, AT).digest,
        "beat": f"{DIRECTORY_TOPIC} {BEAT_KEY.decode()}",
        "document": f"{DIRECTORY_TOPIC} {document_key(ACTIVATED).decode()}",
        **{f"place {each.value}": _spelt_and_compared(each) for each in PLACES},
        **{f"told {name}": content for name, content in told.items()},
        **{f"track {each.message.name}": str(_track(each)) for each in whole},
        **{f"act {each.message.name}": str(_act(each)) for each in whole},
    }


def _spelt_and_compared(locator: Locator) -> str:
    """Return an address as sent, and the first form of its location."""
    kept = kept_locator(locator, FORMS[1].edition)
    return f"{kept.value}\n{in_form(kept.value, kept.kind, 1)}"


def _received(here: World, record: Record) -> Received:
    return accept(record, here.reader(record.topic.split(".")[2]))


def _item_row(received: Received, record: bytes, wrapped: bytes) -> Any:
    assert received.edge is not None
    assert received.spelt is not None
    of = {"subject": UUID(received.subject), "party": received.recipient, "purpose": received.edge.purpose.value}
    of |= {"edge_id": received.clear.edge_id}
    return of | {"edge": compress(received.spelt.edge), "record": record, "wrapped_key": wrapped}


def _track(received: Received) -> UUID | None:
    return track_of(received.message, received.sender, received.recipient, subject=UUID(received.subject))


def _act(received: Received) -> UUID:
    return act_of(received.message_id, received.clear.model_dump(mode="json", exclude_none=True))


def _packable(records: Sequence[Record]) -> list[Record]:
    """Return the records, and the first one again without proof: of a topic with an unknown id, with odd headers."""
    first = records[0]
    odd = (*first.headers, ("ce_xmore", b"a"), ("traceparent", None))
    return [*records, replace(first, key=None, headers=odd, value=None, topic_id=None, proof=None, time_stated=True)]


def _outgoing(record: Record) -> OutgoingMessage:
    headers = tuple((name, value or b"") for name, value in record.headers)
    kept = RecordBytes(record.key or b"", headers, record.value or b"")
    message_id = UUID((dict(headers)["ce_id"]).decode())
    return OutgoingMessage(message_id, WireRole.STATE, "notice_issued", SUBJECT, bytes(32), kept, is_p0=True)


def _row(kept: Sequence[str], content: str, key: str) -> Any:
    """Return a row of the subject at the agency, with these two columns."""
    protected, wrapped = map(b64decode, kept)
    return {"preservation_id": SUBJECT, "subject": SUBJECT, "party": POLICE, content: protected, key: wrapped}


def _journal() -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder, "journal")
        Journal(file).append(LINES, AT)
        return file.read_text(encoding="ascii")


def _lines(text: str) -> list[Any]:
    with TemporaryDirectory() as folder:
        file = Path(folder, "journal")
        file.write_text(text, encoding="ascii")
        return Journal(file).after(BEGINNING)[0]


def _text(data: bytes) -> str:
    return b64encode(data).decode()
