"""`causeway key`: API keys of parties, and new private keys of instances and approvers.

A public half is printed for the operator who assembles the directory. If the instance has a card, the card has it too.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import asyncpg
from cyclopts import App, Parameter
from cyclopts.validators import Number

from client.cli.settings import zoned
from deploy.operator.documents import document_in_force
from deploy.operator.folder import CARD, read_card
from deploy.operator.rewrapping import rewrap_stored
from deploy.site.endpoints import write_private
from deploy.site.installation import KEK, OPENING, SIGNING, Installation, new_kek, sealing_entry, signing_entry
from deploy.site.open import Site, site
from deploy.site.options import OPTIONS, Options, Output, verb
from shared.core.authority import AccessScope, GivenRole, Role
from shared.core.clock import SystemClock, rfc3339
from shared.core.contracts.directory import PublicKey
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.documents import read_directory
from shared.core.vocabulary.routing import PartyKind, PartyStatus
from shared.instance.settings import read_key_file
from shared.platform.console.accounts import Person, require_actor, role_of
from shared.platform.database.transactions import Database
from shared.platform.http.identity import KEY_DAYS, issue_key, keep_key, revoke_key
from shared.platform.kafka.documents import ApproverKeyText

key_app = App(name="key")
#: Roles of auditors' people and machines, and of all other parties'.
_AUDITING: Final = frozenset({Role.AUDITOR, Role.VIEWER})
_ACTING: Final = frozenset({Role.ANALYST, Role.MACHINE, Role.VIEWER})
_HELD = "SELECT key_hash, person, expires_at FROM api_key WHERE party = $1 AND revoked_at IS NULL ORDER BY expires_at"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A party's new API key, shown once; `key_id` names it but grants no access. It expires at an RFC 3339 time."""

    party: str
    role: str
    url: str
    key: str = field(repr=False)
    key_id: str
    expires_at: str


@verb(key_app, "issue")
async def print_new_key(
    party: str,
    /,
    *,
    role: GivenRole | None = None,
    person: str | None = None,
    jurisdiction: tuple[str, ...] = (),
    sees: tuple[str, ...] = (),
    days: Annotated[int, Parameter(validator=Number(gte=1, lte=3_650))] = KEY_DAYS,
    options: Options = OPTIONS,
) -> Output:
    """Issue an API key to a party. It is shown once and not stored.

    Parameters
    ----------
    role
        The key's role; default machine, for an auditor auditor.
    person
        Its owner, by their opaque name: the key has the person's role in the console, and ends with the person.
    jurisdiction
        An auditor's scope: parties in it; repeat for more. Without this and --sees, the scope is everything.
    sees
        An auditor's scope: a party; repeat for more.
    days
        The number of days after which the key expires.
    """
    current_site = site(options)
    scope = scope_said(current_site, jurisdiction, sees, at=SystemClock().now())
    found = await issue(current_site, party, role=role, scope=scope, person=person, days=days)
    told = f"key id {found.key_id}: {found.role} of {found.party} at {found.url} until {found.expires_at}"
    return Output(asdict(found), [f"{found.key}\n{told}"])


@verb(key_app, "list")
async def list_keys(party: str, /, *, options: Options = OPTIONS) -> Output:
    """List the API keys of a party that were not revoked, with the time at which each expires, the first one first."""
    entry = party_of(current_site := site(options), party)
    async with transaction_at(current_site, entry) as driver:
        rows = await driver.fetch(_HELD, entry.id)
    found = [
        {"key_id": key_id(row["key_hash"]), "person": row["person"], "expires_at": rfc3339(row["expires_at"])}
        for row in rows
    ]
    return Output({"keys": found}, [f"{each['key_id']}  until {each['expires_at']}" for each in found])


@verb(key_app, "revoke")
async def end_keys(party: str, /, *, keep: str | None = None, options: Options = OPTIONS) -> Output:
    """End the API keys of a party; within seconds none of them is accepted.

    Parameters
    ----------
    keep
        Id of the one key that stays valid.
    """
    found = await revoke(site(options), party, keep=keep, at=SystemClock().now())
    return Output({"revoked": found}, [f"{len(found)} keys of {party} have ended"])


@verb(key_app)
def make(
    name: str,
    use: Literal["sign", "seal", "kek", "approve"],
    /,
    *,
    valid_from: datetime | None = None,
    into: Path | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Make a new private key, and print the entry of its public half, as JSON.

    Parameters
    ----------
    name
        An instance, by its name in the directory; with `approve`, an approver.
    use
        Its use. The key that wraps data keys (kek) has no public half; a further one is added to its file.
    valid_from
        For sign and seal: start of its validity; default now. UTC if it names no zone.
    into
        For approve: the approver's own folder; default is the present one. No site is needed.
    """
    if use == "approve":
        path, entry = _make_approver_key(into or Path(), name)
    else:
        path, entry = _make_instance_key(site(options), name, use, valid_from=zoned(valid_from) or SystemClock().now())
    document = {"file": str(path)} | ({"entry": entry} if entry else {})
    return Output(document, [json.dumps(document, indent=2)])


@verb(key_app, "rewrap")
async def rewrap_keys(instance: str, /, *, options: Options = OPTIONS) -> Output:
    """Wrap the data keys of an instance's records with the newest key in its `kek.key`.

    It can be interrupted and repeated. The instance goes on, but must have started since that key was made.
    """
    opened = site(options)
    kek = KeyEncryptionKey.load(read_key_file(Installation(opened.state).keys_dir(instance) / KEK))
    found = await rewrap_stored(opened.endpoints.owned(instance), kek)
    return Output(found, [f"{count} in {table}" for table, count in found.items()])


@verb(key_app)
def sample(party: str, /, *, options: Options = OPTIONS) -> Output:
    """Print the address and the key of a sample party, as lines for a shell."""
    for entry in json.loads(Installation(site(options).state).parties_file.read_text(encoding="utf-8")):
        if entry["party"] == party:
            url, key = entry["url"], entry["key"]
            return Output({"url": url, "key": key}, [f"export CAUSEWAY_URL={url} CAUSEWAY_API_KEY={key}"])
    raise Refused("party_unknown", "no sample party has this name", status=400)


async def issue(
    site: Site,
    party: str,
    *,
    role: Role | None = None,
    scope: AccessScope | None = None,
    person: str | None = None,
    days: int = KEY_DAYS,
) -> IssuedKey:
    """Issue a new key for `party`: by default as a machine, for an auditor as auditor.

    A key of a `person`, by their opaque name, has the person's role in the console, and ends with the person.

    Raises `Refused`: `party_unknown` for a party that the directory in force does not have, `person_malformed`,
    `person_unknown` for a person without a role, `role_not_of_party`, `scope_of_auditors`.
    """
    if person is not None:
        require_actor(person)
    entry = party_of(site, party)
    role = role_at(entry, role, usual=Role.MACHINE)
    # Look the address up first: a key that is stored but then not shown would be valid and unknown to its party.
    address = site.endpoints.address(entry.instance)
    text, hashed = issue_key(live=entry.status == PartyStatus.LIVE)
    async with transaction_at(site, entry) as driver:
        if person is not None:
            role = await role_of(driver, Person(entry.id, person))
        expires_at = await keep_key(driver, hashed, entry.id, role=role, scope=scope, person=person, days=days)
    return IssuedKey(entry.id, role.value, address, text, key_id(hashed), rfc3339(expires_at))


async def revoke(site: Site, party: str, *, keep: str | None, at: datetime) -> list[str]:
    """End the keys of `party` except the one with the id `keep`; return the ids of those that ended.

    Raises `Refused("key_unknown")`, and ends nothing, if the party holds no key `keep`.
    """
    entry = party_of(site, party)
    async with transaction_at(site, entry) as driver:
        held = {key_id(row["key_hash"]): row["key_hash"] for row in await driver.fetch(_HELD, entry.id)}
        if keep is not None and keep not in held:
            raise Refused("key_unknown", "the party holds no such key", field="/keep")
        ending = {name: hashed for name, hashed in held.items() if name != keep}
        for hashed in ending.values():
            await revoke_key(driver, hashed, at)
    return sorted(ending)


def key_id(hashed: bytes) -> str:
    """Return the first 16 hexadecimal digits of an API key's hash: they name it, but grant no access."""
    return hashed.hex()[:16]


def directory_of(site: Site) -> DirectoryIndex:
    """Return the directory in force."""
    return read_directory(document_in_force(site.state, "directory"))


def role_at(entry: PartyEntry, role: Role | None, *, usual: Role) -> Role:
    """Return the given role, or an auditor's own or the `usual` role if none is given.

    Raises `Refused("role_not_of_party")`: only audit accepts auditors, and it accepts no other roles.
    """
    auditing = entry.kind == PartyKind.AUDITOR
    taken = role or (Role.AUDITOR if auditing else usual)
    if taken not in (_AUDITING if auditing else _ACTING):
        raise Refused("role_not_of_party", field="--role", status=400)
    return taken


def party_of(site: Site, party: str) -> PartyEntry:
    """Return a party of the directory in force. Raises `Refused("party_unknown")`."""
    entry = directory_of(site).party(party)
    if entry is None:
        raise Refused("party_unknown", "the directory has no such party", status=400)
    return entry


def scope_said(site: Site, jurisdictions: Sequence[str], parties: Sequence[str], *, at: datetime) -> AccessScope | None:
    """Return the scope of an auditor; None, without restrictions, is everything.

    Raises `Refused`: `jurisdiction_unknown`, `party_unknown`.
    """
    directory = directory_of(site)
    for code in jurisdictions:
        if not directory.tree.known(code, at.date()):
            raise Refused("jurisdiction_unknown", "the tree has no such code today", field="/jurisdiction")
    for named in parties:
        party_of(site, named)
    return AccessScope(tuple(jurisdictions), tuple(parties)) if jurisdictions or parties else None


@asynccontextmanager
async def transaction_at(site: Site, entry: PartyEntry) -> AsyncIterator[asyncpg.Connection]:
    """Open a transaction in the database of the instance that serves a party."""
    database = Database(site.endpoints.database(entry.instance).service_url, pool_size=1)
    try:
        async with database.transaction() as session:
            yield session.driver
    finally:
        await database.close()


def _make_instance_key(
    site: Site, instance: str, use: Literal["sign", "seal", "kek"], *, valid_from: datetime
) -> tuple[Path, object]:
    """Make a key of an instance; return its file, and its entry for the directory (none for `kek`).

    A new signing key is stored next to the one in use until an operator replaces that. A new opening key is used from
    the next start, with the existing ones. So is a new `kek`; `causeway key rewrap` then wraps stored keys with it.
    """
    folder = Installation(site.state).keys_dir(instance)
    if not folder.is_dir():
        raise Refused("instance_unknown", "it has no keys in this state directory", status=400)
    with _locked(folder):
        if use == "kek":
            return _add_kek(folder / KEK), None
        return _make_key_pair(site, instance, use, valid_from=valid_from)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process makes a key in the folder. Afterwards the names in it are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _add_kek(path: Path) -> Path:
    """Add a line with the next number to the file. Raises `Refused`: `key_missing`, `key_malformed`."""
    text = read_key_file(path).strip()
    KeyEncryptionKey.load(text)
    number = text.splitlines()[-1].rpartition(" ")[0]
    write_private(path, f"{text}\n{int(number or 1) + 1} {new_kek()}\n")
    return path


def _make_key_pair(
    site: Site, instance: str, use: Literal["sign", "seal"], *, valid_from: datetime
) -> tuple[Path, object]:
    folder = Installation(site.state).keys_dir(instance)
    if use == "sign":
        signing = SigningKey.generate()
        path, secret = folder / (f"{SIGNING}.next" if (folder / SIGNING).exists() else SIGNING), signing.secret_text()
        public = signing_entry(signing.verify_key, valid_from=valid_from)
    else:
        opening = OpeningKey.generate()
        seal = opening.sealing_key
        beside = f"opening-{seal.key_id[-12:]}.key" if (folder / OPENING).exists() else OPENING
        path, secret = folder / beside, opening.secret_text()
        public = sealing_entry(seal, valid_from=valid_from)
    if path.exists():
        raise Refused("key_waits", "first put the last made key into its place", status=400)
    write_private(path, secret)
    _add_to_card(site, instance, public)
    return path, public.model_dump(mode="json", exclude_none=True)


def _make_approver_key(folder: Path, approver: str) -> tuple[Path, object]:
    """Make an approver's key and card in the approver's folder; return the key's file, and the card."""
    key = SigningKey.generate()
    try:
        card = ApproverKeyText(approver=approver, key_id=key.key_id, public=key.verify_key.text())
    except ValueError:
        raise Refused("approver_name_unfit", "use a party's form of name: approver-one.example", status=400) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _write_new(folder / f"{approver}.key", key.secret_text())
    path.with_suffix(".json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path, card.model_dump(mode="json")


def _write_new(path: Path, secret: str) -> Path:
    if path.exists():
        raise Refused("key_there", status=400)
    write_private(path, secret)
    return path


def _add_to_card(site: Site, instance: str, public: PublicKey) -> None:
    """Add the key to the instance's card, for `install admit`."""
    file = site.state / CARD
    if file.exists() and (card := read_card(file)).instance.id == instance:
        entry = card.instance.model_copy(update={"keys": (*card.instance.keys, public)})
        write_private(file, card.model_copy(update={"instance": entry}).text())
