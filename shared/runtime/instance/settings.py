"""What every instance is told by its environment: `CAUSEWAY_<INSTANCE>_<FIELD>`.

`RuntimeSettings.of` an instance, or of a service's own model that extends it where one needs more, is all that is read
from the environment; every other part of a service is handed values.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from types import new_class
from typing import Annotated, Any, Final, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.exchange.preservation import Hours
from shared.kernel.errors import Refused
from shared.runtime.admission.budgets import BudgetLimits
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.watch.logs import Level

#: No instance is without it: by it the settings of another are known in the same environment.
_ALWAYS_GIVEN: Final = "DATABASE_URL"


def prefix_of(instance: str) -> str:
    """What the names of an instance's settings begin with."""
    return f"CAUSEWAY_{instance.upper()}_"


class RuntimeSettings(BaseSettings):
    """Frozen. No secret has a default, and a key with the instance's prefix that no field has refuses to start."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def of(cls, instance: str, **given: Any) -> Self:
        """What the environment says to the instance of this name. What is `given`, by field, wins over it.

        Raises `Refused`: `settings_invalid` names each setting that is missing or breaks a rule, `unknown_setting` the
        first that there is not.
        """
        config = SettingsConfigDict(env_prefix=prefix_of(instance))
        told: type[Self] = new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(model_config=config))
        try:
            return told(**given)
        except ValidationError as error:
            broken = [(prefix_of(instance) + str(one["loc"][0]).upper(), one["type"]) for one in error.errors()]
        # Outside the `except`: nothing that was given rides along.
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

    #: Bytes of own messages that are kept until all their readers have them. Beyond it new referrals are refused with
    #: 503; an alarm comes at the half.
    kept_bytes_max: Annotated[int, Field(ge=1_000_000, le=2**50)] = 16 * 2**30

    #: Audit has the decided fact of a referral so many seconds after its acceptance, at the latest: every signed
    #: acceptance says so. By default a day, for which a broker may be away.
    merge_delay_s: Annotated[int, Field(ge=1, le=604_800)] = 86_400

    #: For how many days a referral that needs a second person waits for one: then it is erased.
    unreleased_days: Annotated[int, Field(ge=1, le=30)] = 7
    #: For how many hours what was taken back waits for a person's answer: then the service answers by its rules.
    withdrawal_answer_h: Annotated[float, Field(ge=0, le=720)] = 72.0

    #: /readyz says no when a message waits longer than that for its sending, or its acknowledgement. By default never:
    #: an instance that cannot send can still accept.
    outbox_age_s_max: Annotated[float, Field(gt=0)] | None = None
    unacked_age_s_max: Annotated[float, Field(gt=0)] | None = None

    approver_keys_file: Path
    keys_dir: Path | None = None
    signing_key: SecretStr | None = None
    opening_key: SecretStr | None = None
    kek: SecretStr | None = None
    #: The journal of erasures, outside the database and its backups; by default beside the key-encryption key.
    erasures_file: Path | None = None

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)]
    #: Where metrics are shown, to nobody without it: whoever may watch is another network's business than parties are.
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    requests_per_s: Annotated[float, Field(gt=0)] = 200.0
    bytes_per_s: Annotated[float, Field(gt=0)] = 4_000_000.0
    work_per_s: Annotated[float, Field(gt=0)] = 1_000.0

    #: For a dev stack: how many seconds what the policy calls an hour lasts, of clocks and of hold windows. Elsewhere
    #: parties would count differently.
    policy_hour_s: Annotated[int, Field(ge=1, le=3600)] = 3600
    #: For a stack on one machine: so long an issue slot lasts; by default a sixth of that hour.
    issue_slot_s: Annotated[float, Field(gt=0, le=600)] | None = None

    #: For a stack on one machine: events may be sent to plain http on that machine.
    webhooks_to_loopback: bool = False

    #: Where people of parties prove who they are (docs/sign-in.md); without it they come in by links alone.
    sign_in_file: Path | None = None

    log_level: Level = "info"
    otlp_endpoint: str | None = None
    spans_file: Path | None = None
    sampling_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _no_unknown_keys(self) -> Self:
        """A misspelt key would silently leave its default in force. (pydantic-settings looks only at known names.)"""
        prefix = self.model_config.get("env_prefix", "")
        assert prefix, "settings are those `of` an instance"
        known = {f"{prefix}{name}".upper() for name in type(self).model_fields}
        ours = sorted(key for key in os.environ if key.upper().startswith(prefix))  # noqa: TID251 - a settings module
        # `industry` and `industry_two` may be told in one environment: what the longer name begins is the other's.
        others = {key.upper().removesuffix(_ALWAYS_GIVEN) for key in ours if key.upper().endswith(f"_{_ALWAYS_GIVEN}")}
        others -= {prefix}
        for key in ours:
            if key.upper() not in known and not key.upper().startswith(tuple(others)):
                raise Refused("unknown_setting", "no setting of this instance has this name", field=key)
        return self

    def erasures_journal(self) -> Path:
        """Where the journal of erasures is. Raises `Refused("settings_invalid")` where nothing says so."""
        if self.erasures_file is not None:
            return self.erasures_file
        if self.keys_dir is None:
            name = f"{self.model_config.get('env_prefix', '')}ERASURES_FILE"
            raise Refused("settings_invalid", "say where the journal of erasures is", field=name, status=400)
        return self.keys_dir / "erasures.jsonl"

    def hold_hours(self) -> Hours:
        """How long an hour of a hold window lasts, and an issue slot."""
        slot = None if self.issue_slot_s is None else timedelta(seconds=self.issue_slot_s)
        return Hours(timedelta(seconds=self.policy_hour_s), slot)

    def kafka_access(self) -> KafkaAccess:
        """Where Kafka is and as whom it is reached."""
        return KafkaAccess(
            self.kafka_bootstrap_servers,
            self.kafka_username,
            self.kafka_password.get_secret_value() if self.kafka_password is not None else None,
            tls=self.kafka_tls,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
        )

    def budget_limits(self) -> BudgetLimits:
        """What each party may ask for."""
        return BudgetLimits(self.requests_per_s, self.bytes_per_s, self.work_per_s)
