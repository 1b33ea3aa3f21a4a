"""An operator's folders: one for each instance, and one for the operator of the exchange's Kafka.

    <instance>/   settings.env       every setting, for the program that starts the instance
                  site.json          the same for the operator's commands
                  keys/<instance>/   its private keys
                  secrets/kafka      its password at Kafka: Kafka's operator gets a copy
                  journal/           of erasures; never restored with the database
                  public.json        its card: its entry for the directory. Holds no secret
                  approver_keys.json the trusted approvers
    <exchange>/   site.json, secrets/admin, beat.key, approver_keys.json, instances/<instance>.json

Mode 0700, files 0600. Existing files are never overwritten. A process that can read an instance's folder can act as the
instance. With the exchange's folder it can act as the administrator of Kafka, who still cannot put a document in force.

A card is the statement of an instance or an approver about itself. It holds no secret. An attacker who exchanges a card
in transit can substitute their own key: so key ids are compared by voice.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import StringConstraints, ValidationError

from deploy.site import installation
from deploy.site.access import prepare_databases
from deploy.site.endpoints import ADMIN, Endpoints, read_site, write_private
from deploy.site.settings import AUDIT, kind_serving, party_kind
from shared.core.contracts.base import Contract, error_locations
from shared.core.contracts.directory import Instance
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.core.routing.documents import APPROVERS_MIN
from shared.instance.settings import RuntimeSettings, prefix_of
from shared.platform.kafka.documents import ApproverKeyText

SITE: Final = "site.json"
SETTINGS: Final = "settings.env"
CARD: Final = "public.json"
BEAT_CARD: Final = "beat.json"
INSTANCES: Final = "instances"
#: The name of the kind in the settings file, for the command that starts the instance.
KIND: Final = "CAUSEWAY_KIND"
#: An address for parties: https, or plain http on this machine.
ADDRESS: Final = r"(https://[A-Za-z0-9.-]{1,253}|http://(127\.[0-9.]{5,11}|localhost|\[::1\]))(:[0-9]{1,5})?"
Address = Annotated[str, StringConstraints(pattern=f"^{ADDRESS}$", max_length=270)]
_DATABASE_CA: Final = "database-ca.pem"
_KAFKA_CA: Final = "kafka-ca.pem"
_APPROVERS: Final = "approver_keys.json"
_PASSWORD: Final = "secrets/kafka"  # noqa: S105 - the name of a file
#: The directory's pattern.
_NAME: Final = r"[a-z][a-z0-9_]{0,31}"
_SERVERS: Final = r"[A-Za-z0-9.\[\]-][A-Za-z0-9.,:\[\]-]{0,500}:[0-9]{1,5}"
_Card = TypeVar("_Card", bound=Contract)


class IdentityCard(Contract):
    """An instance as its operator states it: its entry for the directory, and its address for parties."""

    instance: Instance
    url: Address

    def renewed(self, later: IdentityCard) -> Self:
        """Return the card with the address and the kind of a later card, and the keys of both."""
        held = {key.key_id: key for key in (*self.instance.keys, *later.instance.keys)}
        instance = later.instance.model_copy(update={"keys": tuple(held.values())})
        return self.model_copy(update={"instance": instance, "url": later.url})

    def text(self) -> str:
        """Return the text of its file."""
        return self.model_dump_json(exclude_none=True, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers' addresses, `host:port`, and the files of the authorities that verify them."""

    kafka: str
    kafka_ca: Path
    database: str
    database_ca: Path


@dataclass(frozen=True, slots=True)
class InstanceAddress:
    """An instance: its kind, its name in the directory, its address for parties, and its port."""

    kind: str
    instance: str
    url: str
    port: int


def make_instance_folder(
    folder: Path, place: InstanceAddress, servers: Servers, *, approvers: Sequence[Path], at: datetime
) -> IdentityCard:
    """Make the complete folder of an instance; return its card.

    Raises `Refused`: `folder_in_use`, `kind_unknown`, `instance_name_unfit`, `address_unfit`,
    `approvers_too_few`, `ca_file_unusable`, `file_unusable`, `site_invalid`.
    """
    kind, name = party_kind(place.kind), place.instance
    _refuse_unfit(place, servers)
    files = {_APPROVERS: _believed(approvers)}
    files |= {_KAFKA_CA: _certificates(servers.kafka_ca), _DATABASE_CA: _certificates(servers.database_ca)}
    folder = _emptied(folder)
    urls = _database_urls(name, servers.database, folder / _DATABASE_CA)
    site = {"databases": {name: urls}, "http": {name: place.url}, "kinds": {name: place.kind}}
    files[SITE] = _site_text({"kafka": _kafka(servers.kafka, {name: _PASSWORD})} | site)
    for part in ("keys", "secrets", "journal"):
        (folder / part).mkdir(mode=0o700)
    keys = installation.Installation(folder).keys_dir(name)
    installation.make_instance_keys(keys)
    card = IdentityCard(
        instance=Instance(id=name, kind=kind, keys=installation.public_keys(keys, valid_from=at)), url=place.url
    )
    _write(folder, files | {_PASSWORD: secrets.token_urlsafe(24), CARD: card.text()})
    write_private(folder / SETTINGS, _settings_text(folder, place))
    return card


def _settings_text(folder: Path, place: InstanceAddress) -> str:
    """Return a file of `NAME='value'` lines with every setting, for a shell, a systemd unit and a container.

    Settings of the folder's site are in single quotes, which all three readers accept; their values contain none. For
    other settings the file states the default as a comment.
    """
    prefix = prefix_of(place.instance)
    given = installation.environment(installation.Installation(folder), read_site(folder / SITE), place.instance)
    given[f"{prefix}HTTP_PORT"] = str(place.port)
    defaults = {
        prefix + name.upper(): "" if field.is_required() or field.default is None else field.default
        for name, field in RuntimeSettings.model_fields.items()
    }
    lines = [
        f"# Settings of the instance {place.instance}. docs/operations/settings.md explains each.",
        "# A line that begins with # states the default.",
        *(f"{name}='{value}'" for name, value in ({KIND: place.kind} | given).items()),
        *(f"#{name}={value}" for name, value in defaults.items() if name not in given),
    ]
    return "\n".join(lines) + "\n"


def _refuse_unfit(place: InstanceAddress, servers: Servers) -> None:
    """Refuse unfit values before anything is made. A quoted value in the files contains no quote."""
    named_right = re.fullmatch(_NAME, place.instance) and (place.kind == AUDIT) == (place.instance == AUDIT)
    if not named_right:
        raise Refused("instance_name_unfit", f"letters a-z, digits, _; `{AUDIT}` for audit and no other", status=400)
    for option, fits, what in (
        ("--url", re.fullmatch(ADDRESS, place.url), "https://host, or http:// on this machine"),
        ("--port", 1 <= place.port <= 65_535, "1 to 65535"),
        ("--kafka", re.fullmatch(_SERVERS, servers.kafka), "host:port"),
        ("--database", re.fullmatch(_SERVERS, servers.database), "host:port"),
    ):
        if not fits:
            raise Refused("address_unfit", what, field=option, status=400)


def make_exchange_folder(
    folder: Path, kafka: str, *, kafka_ca: Path, admin_password: Path, approvers: Sequence[Path], at: datetime
) -> None:
    """Make the folder of the operator of the exchange's Kafka. Raises as `make_instance_folder` does."""
    files = {_APPROVERS: _believed(approvers), _KAFKA_CA: _certificates(kafka_ca)}
    password = _text(admin_password, "the file with Kafka's password of its administrator").strip()
    folder = _emptied(folder)
    site = {"kafka": _kafka(kafka, {ADMIN: f"secrets/{ADMIN}"}), "databases": {}, "http": {}}
    files[SITE] = _site_text(site)
    for part in ("secrets", INSTANCES):
        (folder / part).mkdir(mode=0o700)
    beat = installation.new_signing_key()
    entry = installation.signing_entry(SigningKey.load(beat).verify_key, valid_from=at)
    card = entry.model_dump_json(exclude_none=True, indent=2)
    beat_file = installation.Installation(folder).beat_key_file.name
    _write(folder, files | {f"secrets/{ADMIN}": password, beat_file: beat, BEAT_CARD: card})


def admit(folder: Path, card_file: Path, *, password: Path | None) -> IdentityCard:
    """Store an instance's card, and a copy of its password at Kafka, in the folder of the exchange.

    For an instance that was admitted before, the keys are added, the address is replaced, and the password stays unless
    one is given. Raises `Refused`: `card_malformed`, `password_file_unreadable`, `site_invalid`.
    """
    card = read_card(card_file)
    name = card.instance.id
    site: dict[str, Any] = json.loads(_text(folder / SITE, "the exchange's site file"))
    if password is not None:
        secret = _text(password, "the file with the instance's password at Kafka").strip()
        write_private(folder / "secrets" / name, secret)
        site["kafka"]["password_files"][name] = f"secrets/{name}"
    elif name not in site["kafka"]["password_files"]:
        raise Refused("password_file_unreadable", "give a new instance's password at Kafka: --password")
    known = f"{INSTANCES}/{name}.json"
    if (folder / known).exists():
        card = read_card(folder / known).renewed(card)
    site["http"][name] = card.url
    site.setdefault("kinds", {})[name] = kind_serving(card.instance.kind)
    _write(folder, {SITE: _site_text(site), known: card.text()})
    return card


def admitted(folder: Path) -> list[Instance]:
    """Return the admitted instances of an exchange, from their cards, sorted by id."""
    return [read_card(file).instance for file in sorted((folder / INSTANCES).glob("*.json"))]


def make_database(folder: Path, admin_url: Path) -> str:
    """Make the database and the three roles of the folder's instance; return its name.

    A repetition sets the passwords. Blocks. Raises `Unavailable("database_admin_failed")`, `Refused("site_missing")`
    and similar codes.
    """
    endpoints = read_site(folder / SITE)
    [(instance, urls)] = endpoints.databases.items()
    parts = [urlsplit(url) for url in (urls.service_url, urls.owner_url, urls.accountant_url)]
    passwords = {each.username or "": unquote(each.password or "") for each in parts}
    address = _text(admin_url, "the file with the administrator's address of PostgreSQL").strip()
    prepare_databases(address, [instance], passwords.__getitem__, alone=False)
    return instance


def read_card(file: Path) -> IdentityCard:
    """Read an instance's card. Raises `Refused("card_malformed")`, with the field."""
    return read_contract(IdentityCard, file, _malformed_card)


def read_approver_card(file: Path) -> ApproverKeyText:
    """Read an approver's card. Raises `Refused("card_malformed")`, with the field."""
    return read_contract(ApproverKeyText, file, _malformed_card)


def read_contract(contract: type[_Card], file: Path, malformed: Callable[[str, str], Refused]) -> _Card:
    """Read another operator's file.

    Raises `Refused("file_unusable")`, and the `malformed` error by rule and field.
    """
    try:
        return contract.model_validate_json(file.read_bytes())
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    except OSError:
        raise Refused("file_unusable", "the file of a card or draft", status=400) from None
    raise malformed(where["rule"], where["field"])


def _malformed_card(rule: str, field: str) -> Refused:
    return Refused("card_malformed", rule, field=field, status=400)


def _emptied(folder: Path) -> Path:
    """Make a folder of mode 0700. Raises `Refused("folder_in_use")` if it is not empty."""
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused("folder_in_use", status=400)
    folder.chmod(0o700)
    return folder


def _believed(files: Sequence[Path]) -> str:
    """Return the text of the approvers' key file, from their cards. Raises `Refused("approvers_too_few")`."""
    cards = [read_approver_card(file) for file in files]
    if min(len({card.approver for card in cards}), len({card.public for card in cards})) < APPROVERS_MIN:
        raise Refused("approvers_too_few", "name the card of each of two approvers or more: --approver", status=400)
    return json.dumps([card.model_dump(mode="json") for card in cards], indent=2) + "\n"


def _kafka(servers: str, password_files: Mapping[str, str]) -> dict[str, object]:
    protocol = {"bootstrap_servers": servers, "security_protocol": "SASL_SSL", "ca_file": _KAFKA_CA}
    return protocol | {"password_files": password_files}


def _database_urls(instance: str, place: str, authority: Path) -> dict[str, str]:
    """Return the addresses of the three roles, each with its own password.

    The server and its name are verified.
    """
    name = f"causeway_{instance}"
    roles = {"service_url": name, "owner_url": f"{name}_owner", "accountant_url": f"{name}_accountant"}
    end = f"{place}/{name}?sslmode=verify-full&sslrootcert={authority}"
    return {field: f"postgresql://{role}:{secrets.token_urlsafe(24)}@{end}" for field, role in roles.items()}


def _site_text(site: Mapping[str, object]) -> str:
    """Return the text of a site file. Raises `Refused("site_invalid")`, with the field."""
    try:
        Endpoints.model_validate(site)
    except ValidationError as error:
        where = "/".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise Refused("site_invalid", "the values make no valid site file", field=f"/{where}", status=400) from None
    return json.dumps(site, indent=2) + "\n"


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        write_private(folder / name, text)


def _certificates(file: Path) -> str:
    text = _text(file, "the file with the certificates of an authority")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise Refused("ca_file_unusable", "give your authority's certificates in PEM", status=400)
    return text


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused("file_unusable", what, status=400) from None
