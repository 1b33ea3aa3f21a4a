"""Composition: group, seal, salt and prove the messages of one transaction to one instance, before any lock on streams.

    value  the clear part as canonical JSON ‖ line feed ‖ the sealed part as bytes (absent: nothing after the line feed)

A group may span both lanes. A transaction with fewer than 16 referrals has a group for each recipient party, so that
two providers of one referral share no byte of evidence. A party with its own opening key always has its own group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.canonical import canonical_json
from shared.core.envelope import content_proof
from shared.core.envelope.attributes import covered_head
from shared.core.envelope.headers import SALT, TRACEPARENT
from shared.core.envelope.keys import SealingKey, SigningKey
from shared.core.envelope.record_value import join_value
from shared.core.envelope.segment_sealing import GroupSealer, SealContext
from shared.core.errors import Defect, Refused
from shared.messaging.contract import ControlBody
from shared.messaging.exceptions import OutcomeList
from shared.messaging.placement import write_hex
from shared.messaging.ports import MessageDraft
from shared.messaging.resync import Holdings, ResyncRequest
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes, pack_messages
from shared.messaging.streams import CONTROL_ROLES, Lane, Pair, WireRole

#: A transaction with this number of referrals or more has one group per instance instead of one per recipient party.
#: From as many messages on, every group has the large tree.
SHARED_GROUP_REFERRALS: Final = content_proof.TREE_SIZES[0]
#: Bytes of headers and value of one message; the rest of a topic's bound is for salt, place and framing.
RECORD_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DraftBody:
    """The body of a feature's draft: recipient, covered headers, clear part and sealed plaintext.

    `headers`: the covered headers with their values (`ce_…` and the content type). `origin`: the referral, or the
    subject without one. The number of origins decides whether recipients share a group; no origin is sent.
    `plaintext` is None for a message without a sealed part.
    """

    message_id: UUID
    recipient: str
    origin: UUID
    headers: tuple[tuple[str, str], ...]
    clear: Mapping[str, object]
    plaintext: bytes | None = None
    context: SealContext | None = None
    traceparent: str | None = None

    @property
    def key(self) -> bytes:
        """The key of the record: the subject, as its header has it."""
        return dict(self.headers).get("ce_subject", str(self.message_id)).encode()


class RecipientKey(NamedTuple):
    """The key that a recipient's messages are sealed for; `is_own`: the party holds it, not its instance."""

    key: SealingKey
    is_own: bool = False


#: (instance, recipient party) → the key to seal for.
SealingKeys = Callable[[str, str], RecipientKey]


#: A message of the protocol (peer, role, body) → its letter.
ControlLetters = Callable[[str, WireRole, ControlBody], DraftBody]


class SegmentComposer:
    """The composer that seals and proves messages for one instance."""

    def __init__(self, key: SigningKey, *, sealing_keys: SealingKeys, control_letters: ControlLetters) -> None:
        self._key = key
        self._sealing_keys = sealing_keys
        self._control_letters = control_letters

    def compose(self, pair: Pair, lanes: Mapping[Lane, Sequence[MessageDraft]]) -> list[NewMessages]:
        """Seal and prove the messages of one transaction to one instance: a part for each lane, in the order given.

        Raises `Refused` with `sealed_too_large` or `record_too_large`.
        """
        drafts = [draft for part in lanes.values() for draft in part]
        letters = [self._letter(draft) for draft in drafts]
        sent: dict[int, OutgoingMessage] = {}
        groups: list[tuple[tuple[int, ...], bytes]] = []
        for recipient_key, members in self._group(pair.addressee, drafts, letters):
            sealer = GroupSealer(recipient_key.key) if recipient_key else None
            for member in members:
                sent[member] = _seal(drafts[member], letters[member], sealer)
            groups.append((members, b"" if sealer is None else sealer.wrap))
        ordered = [sent[index] for index in range(len(letters))]
        proof = content_proof.prove_content(groups, [each.digest for each in ordered], self._key)
        parts, first = [], 0
        for lane, part in lanes.items():
            end = first + len(part)
            messages, part_proof = tuple(ordered[first:end]), content_proof.pack_proof(proof.part(range(first, end)))
            parts.append(NewMessages(pair, lane, messages, part_proof, pack_messages(messages)))
            first = end
        return parts

    def _letter(self, draft: MessageDraft) -> DraftBody:
        match draft.body:
            case DraftBody():
                return draft.body
            case OutcomeList() | ResyncRequest() | Holdings():
                return self._control_letters(draft.peer, draft.role, draft.body)
            case _:
                raise Defect("draft_without_letter")

    def _group(
        self, addressee: str, drafts: Sequence[MessageDraft], letters: Sequence[DraftBody]
    ) -> Iterable[tuple[RecipientKey | None, tuple[int, ...]]]:
        """Yield the groups of messages: the key to seal for (None: nothing is sealed), and the indexes of letters.

        Messages of the protocol have their own group. Other messages share a group only in a transaction with many
        referrals, so that no two of its recipients are alone in it.
        """
        sealed_for = {letter.recipient for letter in letters if letter.plaintext is not None}
        keys = {recipient: self._sealing_keys(addressee, recipient) for recipient in sealed_for}
        shared: dict[str, list[int]] = {}
        found: dict[str, RecipientKey | None] = {}
        for index, (draft, letter) in enumerate(zip(drafts, letters, strict=True)):
            key = None if letter.plaintext is None else keys[letter.recipient]
            if draft.role in CONTROL_ROLES:
                name = "protocol"
            elif key is None:
                name = "clear"
            else:
                name = f"own {letter.recipient}" if key.is_own else "sealed"
            shared.setdefault(name, []).append(index)
            found[name] = key
        for name, members in shared.items():
            for part in _chunk(members, letters):
                origin_count = len({letters[at].origin.int for at in part})
                is_shared = name not in ("clear", "sealed") or origin_count >= SHARED_GROUP_REFERRALS
                groups: dict[str, list[int]] = {}
                for at in part:
                    groups.setdefault("" if is_shared else letters[at].recipient, []).append(at)
                yield from ((found[name], tuple(each)) for each in groups.values())


def _chunk(members: Sequence[int], letters: Sequence[DraftBody]) -> Iterable[Sequence[int]]:
    """Split members into parts of at most as many as one tree holds.

    The parts with one recipient's messages are as many as without other recipients, so signatures tell nothing of them.
    """
    own: dict[str, list[int]] = {}
    for at in members:
        own.setdefault(letters[at].recipient, []).append(at)
    part: list[int] = []
    for each in own.values():
        size = -(-len(each) // -(-len(each) // content_proof.GROUP_MESSAGES_MAX))
        for start in range(0, len(each), size):
            if len(part) + size > content_proof.GROUP_MESSAGES_MAX:
                yield part
                part = []
            part += each[start : start + size]
    yield part


def _seal(draft: MessageDraft, letter: DraftBody, sealer: GroupSealer | None) -> OutgoingMessage:
    sealed = b""
    if sealer is not None and letter.plaintext is not None and letter.context is not None:
        sealed = sealer.seal(letter.plaintext, letter.context)
    value = join_value(canonical_json(dict(letter.clear)), sealed)
    covered = covered_head(letter.headers).encode() + value
    if len(covered) > RECORD_BYTES_MAX:
        raise Refused("record_too_large")
    salt = content_proof.draw_salt()
    telemetry = () if letter.traceparent is None else ((TRACEPARENT, letter.traceparent.encode()),)
    headers = [(name, text.encode()) for name, text in letter.headers]
    return OutgoingMessage(
        message_id=letter.message_id,
        role=draft.role,
        kind=draft.kind,
        subject=draft.subject,
        digest=content_proof.leaf_digest(salt, covered),
        record=RecordBytes(letter.key, (*headers, (SALT, write_hex(salt)), *telemetry), value),
        is_p0=draft.is_p0,
    )
