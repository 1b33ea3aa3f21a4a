"""An operator's folders: one for each instance that they run, one for whoever runs the exchange's Kafka.

    <instance>/   settings.env       every setting, for whatever starts the instance
                  site.json          the same for the operator's verbs
                  keys/<instance>/   its private keys
                  secrets/kafka      its password at Kafka: whoever runs Kafka is handed a copy
                  journal/           of erasures; never restored with the database
                  public.json        its card: what the directory says of it. Holds no secret
                  approver_keys.json whose approvals are believed
    <exchange>/   site.json, secrets/admin, beat.key, approver_keys.json, instances/<instance>.json

Mode 0700, files 0600. Nothing that is there is written over. Whoever can read a folder acts as its instance; of the
exchange's, as the administrator of Kafka, who still puts no document in force.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from deploy.operator.cards import ADDRESS, ApproverCard, Card, read_approver_card, read_card
from deploy.operator.settings_file import settings_text
from deploy.site.databases import prepare_databases
from deploy.site.endpoints import ADMIN, Endpoints, KafkaEndpoint, read_site, write_private
from deploy.site.installation import ERASURES, Installation
from deploy.site.key_files import make_instance_keys, new_signing_key, public_keys, signing_entry
from deploy.site.kinds import AUDIT, party_kind
from shared.contracts.directory import Instance
from shared.envelope.keys import SigningKey
from shared.kernel.errors import Refused
from shared.routing.documents import APPROVERS_MIN

SITE: Final = "site.json"
SETTINGS: Final = "settings.env"
CARD: Final = "public.json"
BEAT_CARD: Final = "beat.json"
INSTANCES: Final = "instances"
_DATABASE_CA: Final = "database-ca.pem"
_KAFKA_CA: Final = "kafka-ca.pem"
#: As the directory has it.
_NAME: Final = r"[a-z][a-z0-9_]{0,31}"
_SERVERS: Final = r"[A-Za-z0-9.\[\]-][A-Za-z0-9.,:\[\]-]{0,500}:[0-9]{1,5}"
_PASSWORD: Final = Path("secrets") / "kafka"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are, `host:port`, and the files of the authorities by which they are verified."""

    kafka: str
    kafka_ca: Path
    database: str
    database_ca: Path


@dataclass(frozen=True, slots=True)
class Place:
    """An instance: its kind, its name in the directory, its address for parties, and the port that it listens on."""

    kind: str
    instance: str
    url: str
    port: int


def make_instance_folder(
    folder: Path, place: Place, servers: Servers, *, approvers: Sequence[Path], at: datetime
) -> Card:
    """Make the folder of an instance with everything in it; its card.

    Raises `Refused`: `folder_in_use`, `kind_unknown`, `instance_name_unfit`, `address_unfit`,
    `approvers_too_few`, `ca_file_unusable`, `file_unusable`, `site_invalid`.
    """
    kind = party_kind(place.kind)
    _refuse_unfit(place, servers)
    believed = _believed(approvers)
    authorities = {_KAFKA_CA: _certificates(servers.kafka_ca), _DATABASE_CA: _certificates(servers.database_ca)}
    folder = _emptied(folder)
    urls = _database_urls(place.instance, servers.database, folder / _DATABASE_CA)
    site = _checked(
        {
            "kafka": _kafka(servers.kafka, {place.instance: str(_PASSWORD)}),
            "databases": {place.instance: urls},
            "http": {place.instance: place.url},
            "kinds": {place.instance: place.kind},
        }
    )
    for part in ("keys", "secrets", "journal"):
        (folder / part).mkdir(mode=0o700)
    keys = Installation(folder).keys_dir(place.instance)
    make_instance_keys(keys)
    card = Card(instance=Instance(id=place.instance, kind=kind, keys=public_keys(keys, valid_from=at)), url=place.url)
    password = secrets.token_urlsafe(24)
    write_private(folder / _PASSWORD, password)
    settings = _settings(folder, place, servers, database_url=urls["service_url"], password=password)
    _write(folder, authorities, {"approver_keys.json": believed, SITE: site})
    write_private(folder / CARD, card.text())
    write_private(folder / SETTINGS, settings_text(place.instance, place.kind, settings))
    return card


def _settings(
    folder: Path, place: Place, servers: Servers, *, database_url: str, password: str
) -> dict[str, str | int | Path]:
    """What the instance is told that it would not know by itself, by the names of its settings."""
    return {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka,
        "KAFKA_USERNAME": place.instance,
        "KAFKA_PASSWORD": password,
        "KAFKA_TLS": "true",
        "KAFKA_CA_FILE": folder / _KAFKA_CA,
        "APPROVER_KEYS_FILE": Installation(folder).approver_keys_file,
        "KEYS_DIR": Installation(folder).keys_dir(place.instance),
        "ERASURES_FILE": Installation(folder).journal_dir / ERASURES,
        "HTTP_PORT": place.port,
    }


def _refuse_unfit(place: Place, servers: Servers) -> None:
    """Before anything is made. What is quoted in the files holds no quote."""
    named_right = re.fullmatch(_NAME, place.instance) and (place.kind == AUDIT) == (place.instance == AUDIT)
    if not named_right:
        raise Refused("instance_name_unfit", f"letters a-z, digits, _; `{AUDIT}` for audit and no other", status=400)
    if not re.fullmatch(ADDRESS, place.url):
        raise Refused("address_unfit", "https://host, or http:// on this machine", field="--url", status=400)
    if not 1 <= place.port <= 65_535:
        raise Refused("address_unfit", "1 to 65535", field="--port", status=400)
    for option, value in (("--kafka", servers.kafka), ("--database", servers.database)):
        if not re.fullmatch(_SERVERS, value):
            raise Refused("address_unfit", "host:port", field=option, status=400)


def make_exchange_folder(
    folder: Path, kafka: str, *, kafka_ca: Path, admin_password: Path, approvers: Sequence[Path], at: datetime
) -> None:
    """Make the folder of whoever runs the exchange's Kafka. Raises as `make_instance_folder` does."""
    believed, authority = _believed(approvers), _certificates(kafka_ca)
    password = _text(admin_password, "the file with Kafka's password of its administrator").strip()
    folder = _emptied(folder)
    for part in ("secrets", INSTANCES):
        (folder / part).mkdir(mode=0o700)
    write_private(folder / "secrets" / ADMIN, password)
    beat = new_signing_key()
    write_private(Installation(folder).beat_key_file, beat)
    entry = signing_entry(SigningKey.load(beat).verify_key, valid_from=at)
    site = _checked({"kafka": _kafka(kafka, {ADMIN: f"secrets/{ADMIN}"}), "databases": {}, "http": {}})
    _write(folder, {_KAFKA_CA: authority}, {"approver_keys.json": believed, SITE: site})
    write_private(folder / BEAT_CARD, entry.model_dump_json(exclude_none=True, indent=2))


def admit(folder: Path, card_file: Path, *, password: Path | None) -> Card:
    """Take an instance's card, and a copy of its password at Kafka, into the folder of the exchange.

    Of an instance that is there already the keys are added to those it had, and its address is replaced; the password
    stays where none is given. Raises `Refused`: `card_malformed`, `password_file_unreadable`, `site_invalid`.
    """
    card = read_card(card_file)
    name, site_file = card.instance.id, folder / SITE
    site: dict[str, Any] = json.loads(_text(site_file, "the exchange's site file"))
    if password is not None:
        secret = _text(password, "the file with the instance's password at Kafka").strip()
        write_private(folder / "secrets" / name, secret)
        site["kafka"]["password_files"][name] = f"secrets/{name}"
    elif name not in site["kafka"]["password_files"]:
        raise Refused("password_file_unreadable", "a new instance comes with its password at Kafka: --password")
    known = folder / INSTANCES / f"{name}.json"
    if known.exists():
        card = read_card(known).renewed(card)
    site["http"][name] = card.url
    site.setdefault("kinds", {})[name] = card.service
    text = _site_text(_checked(site))
    write_private(known, card.text())
    write_private(site_file, text)
    return card


def admitted(folder: Path) -> list[Instance]:
    """The instances that were admitted to an exchange, by their cards, sorted by id."""
    return [read_card(file).instance for file in sorted((folder / INSTANCES).glob("*.json"))]


def make_database(folder: Path, admin_url: Path) -> str:
    """Make the database and the three roles of the folder's instance; its name. Doing it again sets the passwords.

    Blocks. Raises `Unavailable("database_admin_failed")`, `Refused("site_missing")` and its like.
    """
    endpoints = read_site(folder / SITE)
    (instance,) = endpoints.databases
    urls = endpoints.database(instance)
    passwords = {
        parts.username or "": unquote(parts.password or "")
        for parts in map(urlsplit, (urls.service_url, urls.owner_url, urls.accountant_url))
    }
    address = _text(admin_url, "the file with the administrator's address of PostgreSQL").strip()
    prepare_databases(address, [instance], passwords.__getitem__, alone=False)
    return instance


def _emptied(folder: Path) -> Path:
    """A new folder of mode 0700. Raises `Refused("folder_in_use")` where something is in it."""
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused("folder_in_use", status=400)
    folder.chmod(0o700)
    return folder


def _believed(files: Sequence[Path]) -> list[ApproverCard]:
    cards = [read_approver_card(file) for file in files]
    if min(len({card.approver for card in cards}), len({card.public for card in cards})) < APPROVERS_MIN:
        raise Refused("approvers_too_few", "name the card of each of two approvers or more: --approver", status=400)
    return cards


def _kafka(servers: str, password_files: dict[str, str]) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers,
        "security_protocol": "SASL_SSL",
        "ca_file": _KAFKA_CA,
        "password_files": password_files,
    }


def _database_urls(instance: str, place: str, authority: Path) -> dict[str, str]:
    """The addresses of the three roles, each with a password of its own; the server is verified, and its name."""
    name = f"causeway_{instance}"
    roles = {"service_url": name, "owner_url": f"{name}_owner", "accountant_url": f"{name}_accountant"}
    trust = f"sslmode=verify-full&sslrootcert={authority}"
    return {
        field: f"postgresql://{role}:{secrets.token_urlsafe(24)}@{place}/{name}?{trust}"
        for field, role in roles.items()
    }


def _checked(site: dict[str, Any]) -> dict[str, Any]:
    try:
        Endpoints.model_validate(site)
        KafkaEndpoint.model_validate(site["kafka"])
    except ValidationError as error:
        where = "/".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise Refused("site_invalid", "what was given makes no site file", field=f"/{where}", status=400) from None
    return site


def _site_text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _write(folder: Path, authorities: dict[str, str], documents: dict[str, Any]) -> None:
    for name, text in authorities.items():
        write_private(folder / name, text)
    for name, value in documents.items():
        plain = value if isinstance(value, dict) else [each.model_dump(mode="json") for each in value]
        write_private(folder / name, _site_text(plain))


def _certificates(file: Path) -> str:
    text = _text(file, "the file with the certificates of an authority")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Refused("ca_file_unusable", "certificates in PEM, as your authority has them", status=400)
    return text


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused("file_unusable", what, status=400) from None
