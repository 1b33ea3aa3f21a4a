"""The manifest of a cluster, derived from a directory: topics, access rules and quotas of its instances.

    causeway.inbox.<to>.<from>.v1   <from> writes it and reads it back; <to> and audit read it
    causeway.directory.v1           every instance reads it, only the super user `admin` writes it

An inbox topic has a partition for each lane of a stream (`shared.messaging.streams.Lane`). Audit writes its
acknowledgements to each instance; an instance writes its facts, and copies that audit lacks, to audit.

The directory alone names instances. Trust: a person who can change the directory of a site's state, and has the
password of `admin`, can give any right on the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.kafka.provision import Manifest, PrincipalRule, Quota, TopicRule
from shared.exchange.correspondents import Pair, pairs_of
from shared.exchange.topics import AUDIT, INBOXES, inbox_prefix
from shared.kernel.errors import Refused
from shared.routing.shelf import read_directory
from shared.runtime.kafka.documents import DIRECTORY_TOPIC

#: What one instance may write a second at each broker: a thousand referrals, each to many recipients.
WRITE_BYTES_PER_S: Final = 32 << 20
#: Of the time of a broker's request threads: two of them.
REQUEST_PERCENT: Final = 200
#: How a topic is laid out, by what it is for.
LAYOUTS: Final = Path(__file__).with_name("layouts.json")


def manifest_in(directory: bytes) -> Manifest:
    """The manifest of a directory document. Raises `Refused` as `read_directory` and `manifest_of` do."""
    return manifest_of(read_directory(directory).kinds())


def manifest_of(instances: Mapping[str, str]) -> Manifest:
    """The manifest for instances, by id with their kind.

    Raises `Refused("topic_names_collide")` where Kafka takes two names for one: it tells no dot from an underscore.
    """
    inbox, directory = _layouts()
    pairs = pairs_of(instances)
    topics = {pair.topic: inbox for pair in pairs}
    if len({name.replace(".", "_") for name in topics}) != len(topics):
        raise Refused("topic_names_collide", "Kafka tells no dot from an underscore: give an instance another id")
    return Manifest(topics | {DIRECTORY_TOPIC: directory}, {name: _rule(name, pairs) for name in instances})


def _rule(name: str, pairs: tuple[Pair, ...]) -> PrincipalRule:
    written = tuple(pair.topic for pair in pairs if pair.sender == name)
    return PrincipalRule(
        write=written,
        # What it has written it may read back: only so does it find again how far it came.
        read=(*written, DIRECTORY_TOPIC),
        read_under=(INBOXES if name == AUDIT else inbox_prefix(name),),
        quota=_quota(name, pairs),
    )


def _quota(name: str, pairs: tuple[Pair, ...]) -> Quota:
    """What an instance may write, and twice what all that tell it something may write, to be read: it may be behind."""
    told_by = {pair.sender for pair in pairs if name in (pair.to, AUDIT)}
    return Quota(WRITE_BYTES_PER_S, 2 * WRITE_BYTES_PER_S * max(1, len(told_by)), REQUEST_PERCENT)


def _layouts() -> tuple[TopicRule, TopicRule]:
    read = json.loads(LAYOUTS.read_bytes())
    return TopicRule.model_validate(read["inbox"]), TopicRule.model_validate(read["directory"])
