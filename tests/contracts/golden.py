"""Golden records: the bytes that this format writes, and the values that a reader finds in them.

    python -m tests.contracts.golden        write the missing files; existing files stay as they are

Before the tag `format-1`, delete the files that a change of the format affects and write them again. After it, the
files never change: every later release reads them.

`tests/contracts/golden_files/` contains a small installation: keys, published directory and policy, and a heartbeat.
It has a record of each message as stored in Kafka, after its proof record, with the values that its recipient and
audit read. It also has a person's proofs (a signed acceptance and evidence), bytes at rest (`at_rest.json`), and each
released schema. The keys open nothing else. Flat lists contain further promises to peers (`pledged`). Further files
have the codes of each vocabulary edition, the digest of the tree of jurisdictions of each engine, and the charges
besides texts of each guard edition. The announcement of the first release, by which a peer that was never heard is
written to, lies with the contracts (`first_reads.json`).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from deploy.directory.approval import approve_document, document_body, sample_directory, sign_beat
from deploy.policy import sample_policy
from services.audit.domain.entries import AuditBatch
from services.audit.domain.reading import ObservedRecord, Reading, read_records
from shared.catalog import CATALOG
from shared.core.canonical import canonical_json, digest
from shared.core.contracts.directory import Beat, Directory
from shared.core.contracts.policy import Policy
from shared.core.contracts.registry import (
    CASE_ACCEPTED,
    NOTICE_ANSWERED,
    PRESERVATION_REQUESTED,
    REFERRAL_OFFERED,
    REFERRAL_PASSED_ON,
    STATED_BY_INSTANCES,
    MessageType,
)
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.errors import Defect
from shared.core.evidence import Witness
from shared.core.guard.edition import EDITIONS, edition, own
from shared.core.ids import uuid7
from shared.core.protocol import read_capabilities
from shared.core.protocol.accept import accept
from shared.core.protocol.acceptance import AcceptedItem, Acceptor
from shared.core.protocol.authority import AuthorityRow, cells_of
from shared.core.protocol.message import Addressing, Draft, Record, compose
from shared.core.routing.documents import ApproverKey
from shared.core.routing.engine import ENGINE
from shared.core.vocabulary import jurisdiction
from shared.core.vocabulary.edition import codes_of_editions, editions
from shared.core.vocabulary.routing import PartyKind
from shared.delivery.judgement import read_edge
from shared.features.contacts.contract import CONTACT_SUGGESTED
from shared.messaging.placement import KIND, PROOF
from shared.platform.kafka.documents import write_document
from tests.contracts.at_rest import stored
from tests.contracts.charges import charges
from tests.contracts.golden_record import OFFSET, Golden, pretty
from tests.contracts.pledged import pledged
from tests.contracts.published import read
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.case_referral_fixtures import genuine
from tests.support.exchange_world import SINCE, Keys, World, public_key
from tests.support.manual_clock import ManualClock

GOLDEN: Final = Path(__file__).with_name("golden_files")
CONTRACTS: Final = read_capabilities.FIRST_READS.parent
TREE_DATA: Final = Path(jurisdiction.__file__).with_name("data") / "jurisdictions.json"
#: The instance that serves each kind of party, its speaker, and the speaker's counterpart of the same kind.
INSTANCES: Final[Mapping[PartyKind, str]] = {
    PartyKind.HOTLINE: "hotline",
    PartyKind.LAW_ENFORCEMENT: "law_enforcement",
    PartyKind.INDUSTRY: "industry",
    PartyKind.AUDITOR: "audit",
}
PARTIES: Final[Mapping[PartyKind, tuple[str, str]]] = {
    PartyKind.HOTLINE: (HOTLINE, "hotline-nl.example"),
    PartyKind.LAW_ENFORCEMENT: (POLICE, "police-be.example"),
    PartyKind.INDUSTRY: (PROVIDER, "provider-002.example"),
    PartyKind.AUDITOR: ("auditor.example", "auditor.example"),
}
#: The sealed part of messages that carry no edge.
#: The part of the sample policy that the golden policy has.
INSTRUMENTS: Final = frozenset({"budapest", "dsa", "inhope_mou", "lanzarote", "us_2258a"})
CALENDARS: Final = frozenset({"NL"})
_SEALED: Final[Mapping[MessageType, dict[str, Any]]] = {
    CASE_ACCEPTED: {"case_reference": "CASE-2026-0001"},
    CONTACT_SUGGESTED: {
        "agency": "police-be.example",
        "ground": "same_location",
        "their_referral_id": "019b2d3c-4400-7000-8000-0000000000a2",
    },
    PRESERVATION_REQUESTED: {"locations": [{"kind": "url", "value": "https://provider-002.example/a/1"}]},
}
#: Parts of a schema whose members have our own names, and parts without an effect on validity or meaning. A default is
#: not such a part: it states the meaning of a missing member.
_NAMED: Final = frozenset({"properties", "$defs"})
_EXPLAINS: Final = frozenset({"title", "description", "$comment", "examples"})
#: The operator's online key, and the approvers of documents: named like instances.
BEAT, APPROVERS = "beat", ("hotline", "audit")


def reads(here: World, record: Record) -> dict[str, Any] | None:
    """Return all values that the recipient acts on, or None if it is audit. Raises as `accept` does."""
    reader = record.topic.split(".")[2]
    if reader == INSTANCES[PartyKind.AUDITOR]:
        return None
    received = accept(record, here.reader(reader))
    return {
        "message": received.message.name,
        "message_id": str(received.message_id),
        "subject": received.subject,
        "sender": received.sender,
        "sender_instance": received.sender_instance,
        "recipient": received.recipient,
        "digest": received.digest,
        "exercise": received.exercise,
        "clear": received.clear.model_dump(mode="json", exclude_none=True),
        "sealed": None if received.sealed is None else received.sealed.model_dump(mode="json", exclude_none=True),
        "content": None if (told := read_edge(received)) is None else told.content,
        "edge": None if received.edge is None else received.edge.digest,
    }


def audited(here: World, observed: ObservedRecord) -> dict[str, Any]:
    """Return the values that audit stores of the record."""
    clock = ManualClock(here.at + timedelta(days=1))
    read, reading = AuditBatch(), Reading(here.shelf, [here.keys["audit"].opening], clock, here.catalog)
    read_records([observed], read, reading=reading)
    [entry] = read.entries
    return {
        "kind": entry.kind.value,
        "digest": entry.digest,
        "verified": entry.verified,
        "problem": entry.problem,
        "detail": [json.loads(each.detail) for each in entry.decisions] or json.loads(entry.detail or "null"),
        "commitment": entry.commitment,
        "links": [
            [str(link.edge_id), str(each.referral_id), each.origin, *link[1:]]
            for each in entry.decisions
            for link in each.links
        ],
    }


def installation(folder: Path = GOLDEN) -> World:
    """Return the world in which golden records are read: its keys and documents as written."""
    kept = read(folder / "keys.json")
    keys = {
        name: Keys(SigningKey.load(each["signing"]), OpeningKey.load(each["opening"]))
        for name, each in kept.items()
        if name != BEAT
    }
    directory = Directory.model_validate_json((folder / "directory.json").read_bytes())
    return World(keys, directory, Policy.model_validate_json((folder / "policy.json").read_bytes()))


def approver_keys(here: World) -> dict[str, ApproverKey]:
    """Return the keys of the documents' approvers by key id, as an instance is configured with them."""
    keys = {name: here.keys[name].signing.verify_key for name in APPROVERS}
    return {key.key_id: ApproverKey(name, b64decode(key.text())) for name, key in keys.items()}


def record_file(message: MessageType, folder: Path = GOLDEN) -> Path:
    return folder / "records" / f"{message.name}.v{message.version}.json"


def write_missing(folder: Path) -> list[Path]:
    """Write the missing files and return them."""
    # This comes first, because the records of an unheard recipient depend on it.
    wanted: dict[Path, Callable[[], bytes]] = {
        read_capabilities.FIRST_READS: lambda: pretty(read_capabilities.own_reads(CATALOG).model_dump(mode="json"))
    }
    if not (folder / "keys.json").exists():
        for name, text in _new_installation().items():
            wanted[folder / name] = lambda text=text: text
    new = _written(wanted)
    here = installation(folder)
    records = {record_file(message, folder): lambda m=message: _record(here, m).text() for message in CATALOG.messages}
    kept = _kept(here, folder) | _listed() | _schemas() | {"pledged/1.json": lambda: pretty(pledged())}
    return new + _written(records | {folder / name: text for name, text in kept.items()})


def _written(wanted: Mapping[Path, Callable[[], bytes]]) -> list[Path]:
    new = [file for file in wanted if not file.exists()]
    for file in new:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(wanted[file]())
    return new


def _new_installation() -> dict[str, bytes]:
    """Return fresh keys and documents, with only those of the sample's parties that golden records name."""
    keys = {name: Keys(SigningKey.generate(), _opening_key(name)) for name in INSTANCES.values()}
    beat = SigningKey.generate()
    whole = sample_directory(
        {name: each.public() for name, each in keys.items()}, beat_keys=(public_key(beat.verify_key, "sign"),)
    )
    named = {party for each in PARTIES.values() for party in each}
    directory = whole.model_copy(update={"parties": tuple(each for each in whole.parties if each.id in named)})
    documents = {"directory": document_body(directory), "policy": document_body(_policy())}
    said = Beat(at=AT, directory=(1, digest(documents["directory"])), policy=(1, digest(documents["policy"])))
    approvers = {name: keys[name].signing for name in APPROVERS}
    secret = {
        name: {"signing": each.signing.secret_text(), "opening": each.opening.secret_text()}
        for name, each in keys.items()
    }
    return {
        "keys.json": pretty(secret | {BEAT: {"signing": beat.secret_text()}}),
        "beat.json": canonical_json(sign_beat(said, beat).model_dump(mode="json")),
        **{f"{kind}.json": body for kind, body in documents.items()},
        **{
            f"published_{kind}.json": write_document(
                approve_document(kind, body, active_from=SINCE, approvers=approvers), body
            )
            for kind, body in documents.items()
        },
    }


def _policy() -> Policy:
    """Return the part of the sample policy by which the golden records are routed."""
    whole = sample_policy()
    return whole.model_copy(
        update={
            "instruments": tuple(each for each in whole.instruments if each.id in INSTRUMENTS),
            "rules": tuple(each for each in whole.rules if each.basis.instrument in INSTRUMENTS),
            "clocks": tuple(each for each in whole.clocks if each.basis.instrument in INSTRUMENTS),
            "calendars": tuple(each for each in whole.calendars if each.jurisdiction in CALENDARS),
        }
    )


def _opening_key(instance: str) -> OpeningKey:
    """One instance opens by both existing suites, the others by the usual one."""
    return OpeningKey.generate("mlkem768-x25519" if instance == INSTANCES[PartyKind.INDUSTRY] else "x25519")


def _record(here: World, message: MessageType) -> Golden:
    cell = cells_of(message, CATALOG)[0]
    genuine = [each for each in here.prepared().drafts if each.message is message]
    # Prepared messages are sent together, since their group includes all of them.
    together = [*genuine[:1], *(each for each in here.prepared().drafts if genuine)] or [_said(here, message, cell)]
    named = str(together[0].message_id).encode()
    # From the beginning of its streams, so that its place does not show which file was written before it.
    written = here.anew().written(together, INSTANCES[cell.sender])
    at = next(at for at, each in enumerate(written) if dict(each.record.headers).get("ce_id") == named)
    proof = next(each.record.value for each in reversed(written[:at]) if (KIND, PROOF) in each.record.headers)
    bare = Golden(written[at], proof, OFFSET, here.at, None, {})
    observed = bare.observed(here)
    if observed.code is not None:
        raise Defect("golden_without_proof")
    return replace(bare, reads=reads(here, observed.record), audited=audited(here, observed))


def _said(here: World, message: MessageType, cell: AuthorityRow) -> Draft:
    """Return a message without an edge, from its example; for a passed-on case, with the edge of the first agency."""
    if message is REFERRAL_PASSED_ON:
        return genuine(here, *PARTIES[PartyKind.LAW_ENFORCEMENT])
    example = read(_fullest(message))
    subject = uuid7()
    own = {
        "referral_id": str(subject),
        "notice_id": str(subject),
        "preservation_id": str(subject),
        "party": PARTIES[cell.sender][0],
    }
    clear = example | {name: value for name, value in own.items() if name in example}
    between = message.family in STATED_BY_INSTANCES
    address = Addressing(
        subject=subject,
        sender=INSTANCES[cell.sender] if between else PARTIES[cell.sender][0],
        recipient=INSTANCES[cell.recipient] if between else PARTIES[cell.recipient][cell.sender is cell.recipient],
        directory=here.documents.directory,
        exercise=not between,
        at=here.at,
    )
    sealed = _SEALED.get(message)
    return compose(message, clear, address, sealed=None if sealed is None else canonical_json(sealed))


def _fullest(message: MessageType) -> Path:
    """Return the accepted example with the most members."""
    accepted = (CONTRACTS / "examples" / f"{message.name}.v{message.version}").glob("accepted-*.json")
    return max(accepted, key=lambda file: (file.stat().st_size, file.name))


def _kept(here: World, folder: Path) -> dict[str, Callable[[], bytes]]:
    """Return stored proofs: an acceptance, the evidence of the golden notice, and bytes at rest."""

    def acceptance() -> bytes:
        acceptor = Acceptor("hotline", here.keys["hotline"].signing, edition(), merge_delay_s=60)
        (acceptance,) = acceptor.accept([AcceptedItem(uuid7(), HOTLINE, digest(b"{}"))], at=here.at)
        return pretty(acceptance)

    def evidence() -> bytes:
        golden = Golden.load(folder / "records" / "notice_issued.v1.json").record(here)
        witness = Witness("industry", here.keys["industry"].signing)
        stated = witness.state(golden, party=PROVIDER, at=here.at + timedelta(days=3))
        return pretty({"version": 1, "evidence": [stated.model_dump(mode="json")]})

    def at_rest() -> bytes:
        return pretty(stored(here, at_rest_of(here, folder)))

    return {"acceptance.json": acceptance, "evidence.json": evidence, "at_rest.json": at_rest}


def at_rest_of(here: World, folder: Path = GOLDEN) -> list[Record]:
    """Return the golden records whose stored bytes are in `at_rest.json`."""
    return [Golden.load(record_file(each, folder)).record(here) for each in (REFERRAL_OFFERED, NOTICE_ANSWERED)]


def shape(published: Any) -> Any:
    """Return a schema without its explanations."""
    if isinstance(published, dict):
        return {
            name: {member: shape(each) for member, each in value.items()} if name in _NAMED else shape(value)
            for name, value in published.items()
            if name not in _EXPLAINS
        }
    return [shape(each) for each in published] if isinstance(published, list) else published


def _schemas() -> dict[str, Callable[[], bytes]]:
    files = (CONTRACTS / "schemas").glob("*.json")
    return {f"schemas/{file.name}": lambda file=file: canonical_json(shape(read(file))) + b"\n" for file in files}


def _listed() -> dict[str, Callable[[], bytes]]:
    """Return promises outside documents: a file for each edition of the vocabulary, each engine, each guard."""
    named = zip(editions(), codes_of_editions(), strict=True)
    listed = {
        f"vocabulary/{number}.json": {"edition": name, "codes": sorted(codes)}
        for number, (name, codes) in enumerate(named, start=1)
    }
    listed |= {f"engines/{ENGINE}.json": {"tree": tree_digest()}}
    listed |= {f"guards/{len(EDITIONS)}.json": {"edition": own().name, "charges": charges()}}
    return {name: lambda value=value: pretty(value) for name, value in listed.items()}


def tree_digest() -> str:
    """Return the SHA-256 of the shipped tree of jurisdictions."""
    return digest(TREE_DATA.read_bytes())


if __name__ == "__main__":
    for written in write_missing(GOLDEN):
        print(written.name)
