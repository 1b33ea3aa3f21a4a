"""The file of parties that a sandbox process plays: who, where, and with which key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from shared.contracts.base import PartyId
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

SandboxKind = Literal[PartyKind.HOTLINE, PartyKind.LAW_ENFORCEMENT, PartyKind.INDUSTRY]


class SandboxParty(BaseModel):
    """One party to play. Only sandbox keys are taken: nothing here can act for a live party."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    party: PartyId
    kind: SandboxKind
    url: str
    key: SecretStr

    @field_validator("key")
    @classmethod
    def _key_is_of_a_sandbox(cls, key: SecretStr) -> SecretStr:
        if not key.get_secret_value().startswith("cw_test_"):
            raise ValueError("not a sandbox key")
        return key


_PARTIES = TypeAdapter(Annotated[tuple[SandboxParty, ...], Field(min_length=1)])


def read_parties(path: Path) -> tuple[SandboxParty, ...]:
    """The parties in a JSON file that only its owner can read. Raises `Refused`, never with a key in it."""
    if path.stat().st_mode & 0o077:
        raise Refused("parties_file_open_to_others", "chmod 600 the file: it holds keys")
    try:
        return _PARTIES.validate_json(path.read_bytes())
    except ValidationError as error:
        field = "/" + "/".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
    raise Refused("parties_file_malformed", "a list of {party, kind, url, key} with sandbox keys", field=field)
