"""What a record of Kafka is refused or parked for, and what its sender is told in a receipt."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "answer_out_of_order": Why(
        "an answer came before one with a lower number", "nothing: it is sent again in its order"
    ),
    "answer_repeated": Why("the same answer came before", "nothing: the first counts"),
    "answer_unmatched": Why(
        "the answer is about nothing that was sent", "its sender looks which referral or notice it means"
    ),
    "broker_time_off": Why("the broker's time of the record is too far from its sender's", "set both clocks (NTP)"),
    "broker_time_stated": Why(
        "the time of the record is stated by its sender, not by the broker",
        "set message.timestamp.type=LogAppendTime: `causeway topics apply` does",
    ),
    "case_exists": Why("the referral came to this agency before", "nothing: the first counts"),
    "case_unknown": Why(
        "the message is about a referral that this agency was not sent by its sender",
        "its sender looks which referral it means",
    ),
    "decision_not_derived": Why(
        "the decided fact does not lead to the decision that it states",
        "its sender looks at its documents and its version",
    ),
    "decision_time_off": Why(
        "the decision is dated after the broker took it, or leads elsewhere on that day",
        "the sender sets its clock (NTP) and decides again, by itself",
    ),
    "document_digest_mismatched": Why(
        "the document is not the one that its digest names", "take the document as it was published"
    ),
    "document_lapsed": Why("the documents of the decision are over", "it is decided again by those in force"),
    "edge_exists": Why("the edge was received before", "nothing: the first counts"),
    "edge_not_ours": Why("the edge names another recipient than the record", "its sender looks at what it sent"),
    "edge_not_reproducible": Why(
        "the edge cannot be derived from the facts that came with it",
        "its sender looks at its documents and its version: nothing is taken on trust",
    ),
    "format_superseded": Why(
        "the record is of the format of the first release", "its sender installs the present version"
    ),
    "header_duplicate": Why("a header stands twice", "its sender looks at what writes its headers"),
    "header_malformed": Why("a header is not in its one spelling", "docs/messages.md has the form of each header"),
    "header_missing": Why("a header is missing", "docs/messages.md has the headers of each message"),
    "header_not_utf8": Why("a header is not UTF-8", "docs/messages.md has the form of each header"),
    "header_null": Why("a header has no value", "docs/messages.md has the form of each header"),
    "header_unknown": Why(
        "the record has a header that no message has", "docs/messages.md has the headers of each message"
    ),
    "key_mismatch": Why("the key of the record is not its subject", "its sender looks at what writes its records"),
    "key_revoked": Why(
        "the key that signed was revoked before", "the sender signs with a key of the directory that holds"
    ),
    "key_unknown": Why(
        "no directory has a key of this id for the sender, at that time",
        "publish a directory that has the key, or take the directory of that time",
    ),
    "message_not_for_agencies": Why(
        "the message is one that agencies are not sent", "its sender looks at what it sent, to whom"
    ),
    "message_not_for_hotlines": Why(
        "the message is one that hotlines are not sent", "its sender looks at what it sent, to whom"
    ),
    "message_not_for_providers": Why(
        "the message is one that providers are not sent", "its sender looks at what it sent, to whom"
    ),
    "message_time_off": Why(
        "the message is dated after the broker took it", "its sender sets its clock (NTP) and does the act again"
    ),
    "notice_exists": Why("the notice came to this provider before", "nothing: the first counts"),
    "notice_unknown": Why(
        "the message is about a notice that this provider was not sent by its sender",
        "its sender looks which notice it means",
    ),
    "offer_exists": Why("the offer came to this hotline before", "nothing: the first counts"),
    "offer_unknown": Why(
        "the message is about an offer that this hotline was not sent by its sender",
        "its sender looks which offer it means",
    ),
    "origin_is_not_sender": Why(
        "the origin of the referral is another party than the sender", "a party files for itself alone"
    ),
    "proof_missing": Why("the record has no signature", "its sender signs: nothing unsigned is read"),
    "recipient_cannot_read": Why(
        "the recipient's version does not read this",
        "it waits until the recipient has the version that does; `causeway doctor` names it",
    ),
    "recipient_moved": Why("the recipient is served elsewhere now", "nothing: it is sent there"),
    "recipient_not_served": Why(
        "this instance does not serve the recipient", "the directory says who does; publish it to all"
    ),
    "recipient_unknown": Why("the directory has no such recipient", "compare the name with the directory"),
    "recipient_without_list": Why(
        "nobody has decided what this kind of recipient may be told", "nothing is sent: list its fields in minimise.py"
    ),
    "record_empty": Why("the record has no body", "its sender looks at what writes its records"),
    "record_too_large": Why("the record is larger than one may be", "file the items in several referrals"),
    "referral_withdrawn": Why("the referral was withdrawn before this came", "nothing: what was withdrawn stays so"),
    "sealed_too_large": Why(
        "what is to be sealed is larger than the largest size that is sent", "file the items in several referrals"
    ),
    "sealed_unopenable": Why(
        "the sealed part does not open with the keys of this instance",
        "give the instance all its sealing keys; else its sender seals for the key that the directory has",
    ),
    "sender_suspended": Why("the sender is suspended by the directory", "the operator says when it may send again"),
    "sender_unknown": Why("no directory in force then had this sender", "publish a directory that has it"),
    "signature_invalid": Why(
        "the signature is not of this key over these bytes",
        "it was changed on its way, or signed with another key: nothing of it counts",
    ),
    "statement_not_yours": Why(
        "the sender's kind may not say this to the recipient's", "docs/messages.md has who may say what"
    ),
    "topic_wrong": Why(
        "the record lies in a topic that is not of its sender and recipient",
        "its sender looks at what writes its records",
    ),
}
