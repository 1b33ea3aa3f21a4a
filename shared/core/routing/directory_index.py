"""The indexed directory: look-ups of parties, of parties for a place, and of owners of keys."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import chain
from typing import Final, Generic, NamedTuple, TypeVar

from shared.core.canonical import JsonView
from shared.core.clock import parse_rfc3339
from shared.core.errors import Refused
from shared.core.routing.edition import DocumentVersion
from shared.core.vocabulary.jurisdiction import JurisdictionTree
from shared.core.vocabulary.routing import PartyKind, PartyStatus

#: Limits memory over the years. It exceeds the number of (places, kind, day) in use at a time.
_memo = lru_cache(maxsize=16_384)

#: The suites that this release reads, by use of a key. Keys of other suites belong to a later release and are skipped.
KEY_SUITES: Final[Mapping[str, frozenset[str]]] = {
    "sign": frozenset({"ed25519"}),
    "seal": frozenset({"x25519", "mlkem768-x25519"}),
}

#: The owner of the keys for document heartbeats, in place of a party or an instance.
BEAT_OWNER = "operator"

_Name = TypeVar("_Name", str, int)


#: The smallest daily quota in bytes, for 20 records. With the reserve for p0, half as much again, it is under 10 KB.
SMALLEST: Final = 6 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class PartyEntry:
    """A party as routing sees it, one object per directory. `accepts` empty means every incident kind."""

    id: str
    kind: str
    status: str
    instance: str
    jurisdictions: tuple[str, ...]
    accepts: frozenset[str]
    mandates: tuple[tuple[str, str | None], ...]
    #: The instances that served it before it moved, the newest last.
    instances_before: tuple[str, ...] = ()
    quota: int = SMALLEST


@dataclass(frozen=True, slots=True)
class InstanceEntry:
    """An instance. `reads_floor`: its minimum read capabilities, if listed; JSON of `ReadsAnnouncedClear`."""

    id: str
    kind: str
    reads_floor: JsonView | None = None


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A public key and its `owner` (party or instance id).

    `public` is the raw key; `valid_to` is exclusive. A `revoked` key is never valid, at any time.
    """

    key_id: str
    owner: str
    use: str
    suite: str
    public: bytes
    valid_from: datetime
    valid_to: datetime | None
    revoked: bool = False

    def valid_at(self, at: datetime) -> bool:
        return not self.revoked and self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class _Group(NamedTuple):
    """The group of parties in which the nearest are searched."""

    mandate: str
    kind: str
    status: str


class DirectoryIndex:
    """Look-ups over one directory document, identified by `digest`.

    `document` is its JSON, valid by its contract. Raises `Refused` if an id is repeated or a party's instance does not
    fit it.
    """

    def __init__(self, document: JsonView, digest: str, tree: JurisdictionTree) -> None:
        _check(document)
        self.digest = digest
        self.document = document
        self.edition = DocumentVersion.of(document)
        self.tree = tree
        self._parties = {entry["id"]: _party(entry) for entry in document["parties"]}
        self._served: dict[str, tuple[str, ...]] = {}
        for party in sorted(self._parties.values(), key=lambda party: party.id):
            self._served[party.instance] = (*self._served.get(party.instance, ()), party.id)
        #: The agencies that have opted in to contact suggestions.
        self.contactable = frozenset(entry["id"] for entry in document["parties"] if _opted_in(entry))
        self.moved: tuple[PartyEntry, ...] = tuple(each for each in self._parties.values() if each.instances_before)
        self._instances = {entry["id"]: _instance(entry) for entry in document["instances"]}
        owners = (*document["instances"], *document["parties"])
        self._keys = {key.key_id: key for entry in owners for key in _keys(entry)}
        beats = {"id": BEAT_OWNER, "keys": document.get("beat_keys")}
        self._beat_keys = {key.key_id: key for key in _keys(beats) if key.use == "sign"}
        self._keys_of: dict[str, list[KeyEntry]] = {}
        for key in self._keys.values():
            self._keys_of.setdefault(key.owner, []).append(key)
        self._aliases = _Dated((alias["party"], alias, entry) for entry, alias in _each(document, "aliases"))
        self._domains = _Dated((domain["domain"], domain, entry) for entry, domain in _each(document, "domains"))
        self._asns = _Dated((system["asn"], system, entry) for entry, system in _each(document, "asns"))
        self._at_node: dict[tuple[str, str, str | None], list[PartyEntry]] = {}
        for party in sorted(self._parties.values(), key=lambda party: party.id):
            for node in sorted(set(party.jurisdictions)):
                self._at_node.setdefault(("", party.kind, node), []).append(party)
            for mandate, covers in sorted(set(party.mandates), key=str):
                self._at_node.setdefault((mandate, party.kind, covers), []).append(party)
        # Memos hold pure functions of this document and the tree; they only save time.
        #: Returns the key to seal for an instance at a time: the valid key with the latest start.
        self.sealing_key: Callable[[str, datetime], KeyEntry | None] = _memo(self._sealing_key)
        self.nodes: Callable[[tuple[str, ...], date], frozenset[str]] = _memo(self._nodes)
        self.nodes_either: Callable[[tuple[str, ...], date, date], frozenset[str]] = _memo(self._nodes_either)
        self.all_known: Callable[[tuple[str, ...], date], bool] = _memo(self._all_known)
        self.nearest: Callable[[str, str, str, str, date], tuple[PartyEntry, ...]] = _memo(
            # Positional, because a cache looks up keyword arguments more slowly, and this is the hot path.
            lambda mandate, kind, code, status, on: self._nearest(_Group(mandate, kind, status), code, on)
        )

    def party(self, party_id: str) -> PartyEntry | None:
        return self._parties.get(party_id)

    def quota(self, party_id: str) -> int:
        """Return the daily quota of the party in bytes, the smallest one for an unknown party."""
        party = self._parties.get(party_id)
        return SMALLEST if party is None else party.quota

    def instance(self, instance_id: str) -> InstanceEntry | None:
        return self._instances.get(instance_id)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind of each instance, by its id."""
        return {entry.id: entry.kind for entry in self._instances.values()}

    def instance_of(self, party_id: str) -> InstanceEntry | None:
        """Return the instance that serves the party, None if either is not in the directory."""
        party = self._parties.get(party_id)
        return self._instances.get(party.instance) if party else None

    def serves(self, instance_id: str, party_id: str) -> bool:
        party = self._parties.get(party_id)
        return party is not None and party.instance == instance_id

    def parties_of(self, instance_id: str) -> tuple[str, ...]:
        """Return the ids of all parties that the instance serves, sorted."""
        return self._served.get(instance_id, ())

    def is_suspended(self, party_id: str) -> bool:
        """Return whether the party is listed and suspended."""
        party = self._parties.get(party_id)
        return party is not None and party.status == PartyStatus.SUSPENDED

    def heard_of(self, party_ids: Iterable[str]) -> tuple[str, ...]:
        """Return the parties that are not suspended. Messages of a suspended party are rejected finally."""
        return tuple(party for party in party_ids if not self.is_suspended(party))

    def served_before(self, instance_id: str, party_id: str) -> bool:
        """Return whether the instance served the party before it moved, and no longer does."""
        party = self._parties.get(party_id)
        return party is not None and party.instance != instance_id and instance_id in party.instances_before

    def places_of(self, party_id: str) -> tuple[str, ...]:
        """Return the party's instance and its former instances; empty for an unknown party."""
        party = self._parties.get(party_id)
        return (party.instance, *party.instances_before) if party else ()

    def reached_at(self, instance_id: str) -> tuple[str, ...]:
        """Return the ids of all parties that the instance serves or served before they moved, sorted."""
        before = {party.id for party in self.moved if instance_id in party.instances_before}
        return tuple(sorted({*self.parties_of(instance_id), *before})) if before else self.parties_of(instance_id)

    def signing_key(self, key_id: str) -> KeyEntry | None:
        """Return the signing key with this id. The caller checks its validity (`valid_at`)."""
        key = self._keys.get(key_id)
        return key if key is not None and key.use == "sign" else None

    def revoked(self, key_id: str) -> bool:
        """Return whether this directory has revoked the key."""
        key = self._keys.get(key_id)
        return key is not None and key.revoked

    def beat_key(self, key_id: str) -> KeyEntry | None:
        """Return the operator's key with this id for document heartbeats. It signs no message."""
        return self._beat_keys.get(key_id)

    @property
    def beats(self) -> bool:
        """Whether heartbeats are expected: the directory lists a key for them."""
        return bool(self._beat_keys)

    def _sealing_key(self, instance: str, at: datetime) -> KeyEntry | None:
        keys = [key for key in self._keys_of.get(instance, ()) if key.use == "seal" and key.valid_at(at)]
        return max(keys, key=lambda key: (key.valid_from, key.key_id), default=None)

    def party_by_alias(self, alias: str, on: date) -> str | None:
        """Return the party with the id or former id `alias` on that day."""
        return alias if alias in self._parties else self._aliases.owner(alias, on)

    def provider_by_asn(self, asn: int, on: date) -> str | None:
        return self._asns.owner(asn, on)

    def provider_by_domain(self, host: str, on: date) -> str | None:
        """Return the party whose domain is `host` or the nearest domain above it."""
        labels = host.lower().rstrip(".").split(".")
        above = (".".join(labels[start:]) for start in range(len(labels) - 1))
        return next((owner for name in above if (owner := self._domains.owner(name, on))), None)

    def _nodes(self, codes: tuple[str, ...], on: date) -> frozenset[str]:
        """Return the codes and all nodes above them on that day; nothing for a code unknown on that day."""
        return frozenset(node for code in codes for node in self.tree.ancestors(code, on))

    def _nodes_either(self, codes: tuple[str, ...], on: date, or_on: date) -> frozenset[str]:
        return self._nodes(codes, on) | self._nodes(codes, or_on)

    def _all_known(self, codes: tuple[str, ...], on: date) -> bool:
        return all(self.tree.known(code, on) for code in codes)

    def _nearest(self, group: _Group, code: str, on: date) -> tuple[PartyEntry, ...]:
        """Return the parties of the group for `code`: at its node, or at the nearest node above that has one.

        All blocs of a country are equally near. With a mandate ("" for none), the holders of the mandate are searched
        instead, and last the holders of a worldwide mandate.
        """
        above = self.tree.ancestors(code, on)
        places = [node for node in above if not node.startswith("BLOC-")]
        levels: list[tuple[str | None, ...]] = [*((node,) for node in places), above[len(places) :]]
        if group.mandate:
            levels.append((None,))
        for level in levels:
            found = {
                party.id: party
                for node in level
                for party in self._at_node.get((group.mandate, group.kind, node), ())
                if party.status == group.status
            }
            if found:
                return tuple(found[party_id] for party_id in sorted(found))
        return ()


class _Dated(Generic[_Name]):
    """Names that belong to one party at a time. `valid_to` is the first day after the end."""

    def __init__(self, rows: Iterable[tuple[_Name, JsonView, JsonView]]) -> None:
        self._rows: dict[_Name, list[tuple[date, date, str]]] = {}
        for name, validity, party in rows:
            valid_to = validity.get("valid_to")
            until = date.fromisoformat(valid_to) if valid_to else date.max
            self._rows.setdefault(name, []).append((date.fromisoformat(validity["valid_from"]), until, party["id"]))

    def owner(self, name: _Name, on: date) -> str | None:
        """Return the owner on that day. If there are several, return the one with the latest start."""
        held = [row for row in self._rows.get(name, ()) if row[0] <= on < row[1]]
        return max(held)[2] if held else None


def _check(document: JsonView) -> None:
    """Check that ids and key ids are unique, and that each party's instance exists and has its kind.

    Messages are sealed for instances, so a party may have only signing keys.
    """
    kinds = {instance["id"]: instance["kind"] for instance in document["instances"]}
    seen: set[str] = set()
    for where in ("instances", "parties"):
        for number, entry in enumerate(document[where]):
            for name in chain([entry["id"]], (key["key_id"] for key in entry.get("keys") or ())):
                if name in seen:
                    raise Refused("directory_id_repeated", field=f"/{where}/{number}")
                seen.add(name)
            if where == "parties":
                _check_party(entry, kinds, f"/parties/{number}")


def _check_party(entry: JsonView, kinds: Mapping[str, str], field: str) -> None:
    if kinds.get(entry["instance"]) != entry["kind"]:
        raise Refused("directory_instance_mismatched", field=f"{field}/instance")
    for number, key in enumerate(entry.get("keys") or ()):
        if key["use"] == "seal":
            # The serving instance could not open messages for such a key, so it could not guard them.
            raise Refused(
                "directory_party_key_seals", "messages are sealed for instances", field=f"{field}/keys/{number}/use"
            )


def _each(document: JsonView, name: str) -> Iterable[tuple[JsonView, JsonView]]:
    return ((party, row) for party in document["parties"] for row in party.get(name) or ())


def _instance(entry: JsonView) -> InstanceEntry:
    return InstanceEntry(entry["id"], entry["kind"], entry.get("reads_floor"))


def _party(entry: JsonView) -> PartyEntry:
    return PartyEntry(
        id=entry["id"],
        kind=entry["kind"],
        status=entry["status"],
        instance=entry["instance"],
        jurisdictions=tuple(entry["jurisdictions"]),
        accepts=frozenset(entry.get("accepts") or ()),
        instances_before=tuple(each["instance"] for each in entry.get("instances_before") or ()),
        mandates=tuple((grant["mandate"], grant.get("covers")) for grant in entry.get("mandates") or ()),
        quota=_quota(entry.get("daily")),
    )


def _opted_in(entry: JsonView) -> bool:
    agency = entry["kind"] == PartyKind.LAW_ENFORCEMENT
    return agency and bool((entry.get("annex") or {}).get("contact_suggestions"))


def _quota(daily: Mapping[str, int] | None) -> int:
    """Return the daily quota in bytes: 1.5 times the declared records of the declared size."""
    return SMALLEST if daily is None else daily["records"] * 3 * daily["record_bytes"] // 2


def _keys(entry: JsonView) -> Iterable[KeyEntry]:
    for key in entry.get("keys") or ():
        if key["suite"] not in KEY_SUITES.get(key["use"], ()):
            continue
        text, valid_to = key["public"], key.get("valid_to")
        yield KeyEntry(
            key_id=key["key_id"],
            owner=entry["id"],
            use=key["use"],
            suite=key["suite"],
            public=base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)),
            valid_from=parse_rfc3339(key["valid_from"]),
            valid_to=parse_rfc3339(valid_to) if valid_to else None,
            revoked=key.get("revoked_at") is not None,
        )
