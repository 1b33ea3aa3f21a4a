"""The settings of every instance, from environment variables `CAUSEWAY_<INSTANCE>_<FIELD>`.

Only `RuntimeSettings.of`, or a service's own model that extends it, reads the environment. Every other part of a
service gets values as arguments.

The private keys of an instance: from files that only their owner may read, or from a secret in the settings.

signing.key     Ed25519: signs relay batches
opening*.key    X25519 or ML-KEM-768 ‖ X25519: opens messages sealed to this instance; an old key stays until no
                message sealed to it is in transit
kek.key         256 bits: wraps data keys
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import new_class
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.keys import KEY_OPERATIONS, OpeningKey, SigningKey
from shared.core.errors import Refused
from shared.platform.admission.budgets import BudgetLimits
from shared.platform.kafka.access import KafkaAccess
from shared.platform.observability import metrics
from shared.platform.observability.logs import Level


@dataclass(frozen=True, slots=True)
class InstanceKeys:
    """The keys for signing, opening and wrapping; `opening` by key id."""

    signing: SigningKey
    opening: Mapping[str, OpeningKey]
    kek: KeyEncryptionKey


def measure_key_operations() -> None:
    """Set the gauges of this process's key operations."""
    for kind, count in KEY_OPERATIONS.by_kind().items():
        metrics.KEY_OPERATIONS.labels(kind).set(count)


def load_keys(
    keys_dir: Path | None,
    *,
    signing_key: SecretStr | None = None,
    opening_key: SecretStr | None = None,
    kek: SecretStr | None = None,
) -> InstanceKeys:
    """Load the keys of an instance. A given secret overrides its file.

    Raises `Refused` with `key_missing`, `key_file_exposed` (others may read it) or `key_malformed`.
    """
    opening_texts = [opening_key.get_secret_value()] if opening_key is not None else _opening_texts(keys_dir)
    opening = [OpeningKey.load(text) for text in opening_texts]
    return InstanceKeys(
        signing=SigningKey.load(_text(signing_key, keys_dir, "signing.key")),
        opening={key.key_id: key for key in opening},
        kek=KeyEncryptionKey.load(_text(kek, keys_dir, "kek.key")),
    )


def read_key_file(path: Path) -> str:
    """Return the text of a key file. Raises `Refused` if users other than its owner have a right to it."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise Refused("key_file_exposed", f"{path.name}: make it readable by its owner only (mode 0600)")
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise Refused("key_missing", f"{path.name}: the file does not exist or cannot be read") from None


def _text(secret: SecretStr | None, keys_dir: Path | None, name: str) -> str:
    if secret is not None:
        return secret.get_secret_value()
    if keys_dir is None:
        raise Refused("key_missing", f"{name}: set the keys directory, or give the key itself")
    return read_key_file(keys_dir / name)


def _opening_texts(keys_dir: Path | None) -> list[str]:
    paths = sorted(keys_dir.glob("opening*.key")) if keys_dir is not None else []
    return [read_key_file(path) for path in paths] or [_text(None, keys_dir, "opening.key")]


#: The setting that every instance has. It shows which other instances have settings in the same environment.
_ALWAYS_GIVEN: Final = "DATABASE_URL"


def _listed(text: object) -> object:
    return [each.strip() for each in text.split(",") if each.strip()] if isinstance(text, str) else text


def prefix_of(instance: str) -> str:
    """Return the prefix of the names of an instance's settings."""
    return f"CAUSEWAY_{instance.upper()}_"


class RuntimeSettings(BaseSettings):
    """The frozen settings of an instance. No secret has a default.

    An unknown variable with the instance's prefix prevents the start.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def of(cls, instance: str, **given: Any) -> Self:
        """Read the settings of the instance of this name. `given` fields override the environment.

        Raises `Refused`: `settings_invalid` names each setting that is missing or breaks a rule, `unknown_setting` the
        first unknown one.
        """
        config = SettingsConfigDict(env_prefix=prefix_of(instance))
        model: type[Self] = new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(model_config=config))
        try:
            return model(**given)
        except ValidationError as error:
            broken = [(prefix_of(instance) + str(one["loc"][0]).upper(), one["type"]) for one in error.errors()]
        # Raised outside the `except`, so that the error does not carry the given values.
        (field, rule), *others = broken
        listed = "; ".join([rule, *(f"{name}: {why}" for name, why in others)])
        raise Refused("settings_invalid", f"{listed} (docs/operations/settings.md)", field=field, status=400)

    database_url: SecretStr
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 8

    kafka_bootstrap_servers: str
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_tls: bool = False
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None

    #: Limit of the bytes of own messages that are stored until all their readers have them. Beyond it, new referrals
    #: are refused with 503. An alarm is raised at half of it.
    kept_bytes_max: Annotated[int, Field(ge=1_000_000, le=2**50)] = 16 * 2**30

    #: The maximum merge delay: seconds from acceptance until audit has the decision at the latest. Every signed
    #: acceptance states it. The default of a day tolerates an outage of the broker of that length.
    merge_delay_s: Annotated[int, Field(ge=1, le=604_800)] = 86_400

    #: Days that a referral waits for the approval of a second person. After that it is erased.
    unreleased_days: Annotated[int, Field(ge=1, le=30)] = 7
    #: Hours that a withdrawal waits for a person's acknowledgement. The service then acknowledges it by rule.
    withdrawal_answer_h: Annotated[float, Field(ge=0, le=720)] = 72.0

    #: /readyz fails when a message waits longer than this for its sending, or its acknowledgement. By default it never
    #: fails for that, because an instance that cannot send can still accept.
    outbox_age_s_max: Annotated[float, Field(gt=0)] | None = None
    unacked_age_s_max: Annotated[float, Field(gt=0)] | None = None

    approver_keys_file: Path
    keys_dir: Path | None = None
    signing_key: SecretStr | None = None
    opening_key: SecretStr | None = None
    kek: SecretStr | None = None
    #: The erasure journal, outside the database and its backups; by default in the folder of the key-encryption key.
    erasures_file: Path | None = None

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)]
    site_scheme: Literal["https", "http"] = "https"
    #: The networks of the proxies before the port, separated by commas. A header of the PROXY protocol names
    #: the source of each of their connections.
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...] | None, NoDecode, BeforeValidator(_listed)] = None
    #: The address of /livez, /readyz and /metrics: on a port of its own, because monitoring uses another network than
    #: parties do. Without a port there are no metrics; the API's port has the first two as well.
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    requests_per_s: Annotated[float, Field(gt=0)] = 200.0
    bytes_per_s: Annotated[float, Field(gt=0)] = 4_000_000.0
    work_per_s: Annotated[float, Field(gt=0)] = 1_000.0

    #: For a stack on one machine: the seconds of an issue slot; by default a sixth of an hour of the policy.
    issue_slot_s: Annotated[float, Field(gt=0, le=600)] | None = None

    #: For a stack on one machine: events may be sent over plain http to that machine.
    webhooks_to_loopback: bool = False

    #: The file of the parties' identity providers (docs/sign-in.md). Without it, people sign in only by links.
    sign_in_file: Path | None = None

    log_level: Level = "info"
    otlp_endpoint: str | None = None
    spans_file: Path | None = None
    sampling_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _no_unknown_keys(self) -> Self:
        """Refuse unknown names, because a misspelt one would silently leave a default in force.

        pydantic-settings itself checks only known names.
        """
        prefix = self.model_config.get("env_prefix", "")
        assert prefix, "settings are those `of` an instance"
        known = {f"{prefix}{name}".upper() for name in type(self).model_fields}
        ours = sorted(key for key in os.environ if key.upper().startswith(prefix))  # noqa: TID251 - a settings module
        # `industry` and `industry_two` may share one environment: names with the longer prefix are the other's.
        others = {key.upper().removesuffix(_ALWAYS_GIVEN) for key in ours if key.upper().endswith(f"_{_ALWAYS_GIVEN}")}
        others -= {prefix}
        for key in ours:
            if key.upper() not in known and not key.upper().startswith(tuple(others)):
                raise Refused("unknown_setting", "no setting of this instance has this name", field=key)
        return self

    def erasures_journal(self) -> Path:
        """Return the path of the erasure journal. Raises `Refused("settings_invalid")` if no setting gives it."""
        if self.erasures_file is not None:
            return self.erasures_file
        if self.keys_dir is None:
            name = f"{self.model_config.get('env_prefix', '')}ERASURES_FILE"
            raise Refused("settings_invalid", "set the path of the erasure journal", field=name, status=400)
        return self.keys_dir / "erasures.jsonl"

    def issue_slot(self) -> timedelta | None:
        """Return the length of an issue slot; None for that of the policy's hour."""
        return None if self.issue_slot_s is None else timedelta(seconds=self.issue_slot_s)

    def kafka_access(self) -> KafkaAccess:
        """Return the address of Kafka and the login for it."""
        return KafkaAccess(
            self.kafka_bootstrap_servers,
            self.kafka_username,
            self.kafka_password.get_secret_value() if self.kafka_password is not None else None,
            tls=self.kafka_tls,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
        )

    def budget_limits(self) -> BudgetLimits:
        """Return the rate limits of each party."""
        return BudgetLimits(self.requests_per_s, self.bytes_per_s, self.work_per_s)
