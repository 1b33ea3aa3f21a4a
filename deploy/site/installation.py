"""The parts that an installation needs before it runs: keys, documents, databases and API keys.

    <state>/keys/<instance>/   signing.key opening.key kek.key     mode 0600, made once
    <state>/approvers/         two approvers' signing keys          sample: both kept here; in production apart
    <state>/approver_keys.json their public keys
    <state>/beat.key           the operator's online key: it signs document heartbeats, and approves nothing
    <state>/parties.json       sample parties' API keys, for the sandbox

A process that can read the state directory can act as every sample party and every instance. It is for development.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.directory.approval import approve_document, document_body, renewed, sample_directory
from deploy.site.access import access_to
from deploy.site.endpoints import Endpoints, write_private
from deploy.site.settings import AUDIT
from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.contracts.directory import Directory, DocumentActivated, PublicKey
from shared.core.contracts.policy import Policy
from shared.core.envelope.keys import OpeningKey, SealingKey, SigningKey, VerifyKey
from shared.core.errors import Refused
from shared.core.vocabulary.routing import PartyStatus
from shared.instance.settings import prefix_of
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database
from shared.platform.http.identity import KEY_DAYS, issue_key
from shared.platform.kafka.documents import publish_documents

APPROVERS = ("approver-one.example", "approver-two.example")
POLICY = Path(__file__).parents[1] / "policy" / "sample.json"
SIGNING: Final = "signing.key"
OPENING: Final = "opening.key"
KEK: Final = "kek.key"
#: The journal of erasures.
ERASURES: Final = "erasures.jsonl"
#: The documents take effect at once; a little earlier, so that no clock is before that time.
_HEAD_START = timedelta(minutes=1)
_INSERT_KEYS = """
INSERT INTO api_key (key_hash, party, role, expires_at)
SELECT *, now() + make_interval(days => $4) FROM unnest($1::bytea[], $2::text[], $3::text[])
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation's state directory."""

    state: Path

    @property
    def parties_file(self) -> Path:
        return self.state / "parties.json"

    @property
    def beat_key_file(self) -> Path:
        return self.state / "beat.key"

    @property
    def approver_keys_file(self) -> Path:
        return self.state / "approver_keys.json"

    @property
    def journal_dir(self) -> Path:
        """Return the journal's folder in an instance's own folder.

        Without one, the journal is next to its keys.
        """
        return self.state / "journal"

    def keys_dir(self, instance: str) -> Path:
        return self.state / "keys" / instance


def migrate_databases(endpoints: Endpoints) -> None:
    """Migrate the database of each instance to its newest schema. Blocks, as `install` does."""
    for instance in endpoints.instances:
        upgrade(*endpoints.owned(instance), whose=instance)


def install(
    state: Path, endpoints: Endpoints, *, policy_hour_s: int | None = None, migrated: bool = False
) -> Installation:
    """Make missing parts, publish the sample documents, migrate. A second run only adds missing keys.

    `policy_hour_s`: the seconds of an hour of the sample policy. `migrated`: the caller has called `migrate_databases`.
    Blocks; call it from a thread without an event loop. Raises
    `Refused("installed_without_instance")` if the installed directory lacks one of the site's instances, which would
    wait forever.
    """
    installation = Installation(state)
    _refuse_newcomers(installation, endpoints)
    _make_keys(installation, endpoints.instances)
    if not migrated:
        migrate_databases(endpoints)
    if not installation.parties_file.exists():
        asyncio.run(_publish(installation, endpoints, policy_hour_s))
        asyncio.run(_issue_api_keys(installation, endpoints))
    return installation


def _refuse_newcomers(installation: Installation, endpoints: Endpoints) -> None:
    directory = installation.state / "directory.json"
    if not directory.exists():
        return
    known = {each["id"] for each in json.loads(directory.read_bytes())["instances"]}
    if newcomers := [name for name in endpoints.instances if name not in known]:
        raise Refused(
            "installed_without_instance",
            f"the installed directory has no {', '.join(newcomers)}: publish one that has, or `causeway dev reset`",
        )


def new_signing_key() -> str:
    """Return the text of a new Ed25519 key."""
    return SigningKey.generate().secret_text()


def new_kek() -> str:
    """Return the text of 256 new bits to wrap data keys with."""
    return b64encode(secrets.token_bytes(32)).decode()


def make_instance_keys(folder: Path) -> None:
    """Make the folder, and the missing ones of an instance's three keys."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_once(folder / SIGNING, new_signing_key)
    _make_once(folder / OPENING, lambda: OpeningKey.generate().secret_text())
    _make_once(folder / KEK, new_kek)


def public_keys(folder: Path, *, valid_from: datetime) -> tuple[PublicKey, PublicKey]:
    """Return the public halves of an instance's signing key and first opening key, in the directory's form."""
    signing = SigningKey.load((folder / SIGNING).read_text(encoding="ascii")).verify_key
    sealing = OpeningKey.load((folder / OPENING).read_text(encoding="ascii")).sealing_key
    return signing_entry(signing, valid_from=valid_from), sealing_entry(sealing, valid_from=valid_from)


def signing_entry(key: VerifyKey, *, valid_from: datetime) -> PublicKey:
    """Return a verification key in the directory's form."""
    return PublicKey(key_id=key.key_id, use="sign", suite="ed25519", public=key.text(), valid_from=valid_from)


def sealing_entry(key: SealingKey, *, valid_from: datetime) -> PublicKey:
    """Return a sealing key in the directory's form."""
    return PublicKey(key_id=key.key_id, use="seal", suite=key.suite, public=key.text(), valid_from=valid_from)


def publish_document(
    state: Path, endpoints: Endpoints, document: Directory | Policy, *, active_from: datetime
) -> DocumentActivated:
    """Approve a directory or a policy with the sample approvers and publish it. Blocks."""
    body = document_body(document)
    kind = "directory" if isinstance(document, Directory) else "policy"
    activated = _approved(Installation(state), kind, body, active_from=active_from)
    asyncio.run(publish_documents(access_to(endpoints.kafka), [(activated, body)]))
    return activated


def environment(installation: Installation, endpoints: Endpoints, instance: str) -> dict[str, str]:
    """Return the environment of one instance: everything that its settings need."""
    prefix = prefix_of(instance)
    kafka = endpoints.kafka
    values = {
        "DATABASE_URL": endpoints.database(instance).service_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "APPROVER_KEYS_FILE": str(installation.approver_keys_file),
        "KEYS_DIR": str(installation.keys_dir(instance)),
        "HTTP_PORT": str(_port(endpoints.address(instance))),
        "SITE_SCHEME": urlsplit(endpoints.address(instance)).scheme,
    }
    if (journal := installation.journal_dir).is_dir():
        values["ERASURES_FILE"] = str(journal / ERASURES)
    if instance in endpoints.metrics:
        values["METRICS_PORT"] = str(_port(endpoints.metrics[instance]))
    if not kafka.open:
        values |= {"KAFKA_USERNAME": kafka.username(instance), "KAFKA_PASSWORD": kafka.password(instance)}
    if kafka.tls:
        values["KAFKA_TLS"] = "true"
    if kafka.ca_file is not None:
        values["KAFKA_CA_FILE"] = str(kafka.ca_file)
    return {prefix + name: value for name, value in values.items()}


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _make_keys(installation: Installation, instances: Sequence[str]) -> None:
    for instance in instances:
        make_instance_keys(installation.keys_dir(instance))
    _make_once(installation.beat_key_file, new_signing_key)
    (installation.state / "approvers").mkdir(exist_ok=True, mode=0o700)
    for party in APPROVERS:
        _make_once(installation.state / "approvers" / f"{party}.key", new_signing_key)
    keys = {party: key.verify_key for party, key in _approvers(installation).items()}
    entries = [{"approver": party, "key_id": key.key_id, "public": key.text()} for party, key in keys.items()]
    write_private(installation.approver_keys_file, json.dumps(entries, indent=2))


def _make_once(path: Path, secret: Callable[[], str]) -> None:
    if not path.exists():
        write_private(path, secret())


def _approvers(installation: Installation) -> dict[str, SigningKey]:
    folder = installation.state / "approvers"
    return {party: SigningKey.load((folder / f"{party}.key").read_text()) for party in APPROVERS}


def _directory(installation: Installation, endpoints: Endpoints) -> Directory:
    since = SystemClock().now() - timedelta(days=1)
    keys = {name: public_keys(installation.keys_dir(name), valid_from=since) for name in endpoints.instances}
    beat = SigningKey.load(installation.beat_key_file.read_text()).verify_key
    return sample_directory(keys, kinds=endpoints.kinds, beat_keys=(signing_entry(beat, valid_from=since),))


def _approved(installation: Installation, kind: str, body: bytes, *, active_from: datetime) -> DocumentActivated:
    return approve_document(kind, body, active_from=active_from, approvers=_approvers(installation))


async def _publish(installation: Installation, endpoints: Endpoints, policy_hour_s: int | None) -> None:
    today = SystemClock().now().date()
    directory = document_body(renewed(_directory(installation, endpoints), on=today, version=1))
    # The sample policy keeps its own dates; the time at which it is put in force is independent.
    sample = Policy.model_validate_json(POLICY.read_bytes())
    sample = sample.model_copy(update={"hour_s": policy_hour_s or sample.hour_s})
    law = document_body(renewed(sample, on=today, version=sample.version))
    active_from = SystemClock().now() - _HEAD_START
    bodies = {"directory": directory, "policy": law}
    documents = [(_approved(installation, kind, body, active_from=active_from), body) for kind, body in bodies.items()]
    await publish_documents(access_to(endpoints.kafka), documents)
    for kind, body in bodies.items():
        write_private(installation.state / f"{kind}.json", body.decode())


async def _issue_api_keys(installation: Installation, endpoints: Endpoints) -> None:
    """Issue one machine key per sample party.

    Databases get only hashes, the keys stay in the sandbox's file.
    """
    directory = _directory(installation, endpoints)
    issued: list[dict[str, str]] = []
    for instance in endpoints.instances:
        role = Role.AUDITOR if endpoints.kind(instance) == AUDIT else Role.MACHINE
        rows: list[tuple[bytes, str, str]] = []
        for party in directory.parties:
            if party.instance == instance and party.status is PartyStatus.SANDBOX:
                text, hashed = issue_key(live=False)
                rows.append((hashed, party.id, role))
                issued.append({"party": party.id, "kind": party.kind, "url": endpoints.address(instance), "key": text})
        if not rows:
            continue
        database = Database(endpoints.database(instance).service_url, pool_size=1)
        async with database.transaction() as session:
            await session.driver.execute(_INSERT_KEYS, *(list(column) for column in zip(*rows, strict=True)), KEY_DAYS)
        await database.close()
    write_private(installation.parties_file, json.dumps(issued))
